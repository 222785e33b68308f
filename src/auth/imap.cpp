// SPDX-License-Identifier: GPL-2.0-or-later
#include "auth/dialogue.h"

#include <algorithm>
#include <array>

#include "core/base/address.h"

namespace bandd {
namespace {

std::string_view first_word(std::string_view& text) {
    auto end = std::min(text.find_first_of(" \t"), text.size());
    std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return word;
}

bool same_word(std::string_view word, std::string_view wanted) {
    return std::ranges::equal(word, wanted, [](char one, char other) {
        return (one >= 'a' && one <= 'z' ? static_cast<char>(one - 'a' + 'A') : one) == other;
    });
}

// An IMAP server's answer to the command with this tag.
struct Tagged {
    std::string_view status;  // OK, NO, BAD
    std::string_view text;
};

// `line` keeps the text. "+" is the answer too, if the server wants the rest of a literal.
Result<Tagged> hear_tagged(Wire& wire, std::string_view tag, std::string& line) {
    for (int i = 0; i < most_lines; ++i) {
        auto heard = wire.hear();
        if (!heard) return std::unexpected(heard.error());
        line = std::move(*heard);
        std::string_view rest = line;
        std::string_view first = first_word(rest);
        if (first == "+") return Tagged{"+", rest};
        if (first == tag) {
            std::string_view status = first_word(rest);
            return Tagged{status, rest};
        }
        if (first == "*" && same_word(first_word(rest), "BYE"))
            return fail("mail server", "closes the connection");
    }
    return fail("mail server", "does not come to an end of its answer");
}

// A code of RFC 5530, or Dovecot's, that does not speak of the password.
bool is_no_verdict(std::string_view text) {
    constexpr std::array codes{"UNAVAILABLE", "CONTACTADMIN",    "SERVERBUG", "INUSE", "LIMIT",
                               "CLIENTBUG",   "PRIVACYREQUIRED", "CANNOT",    "ALERT"};
    if (!text.starts_with('[')) return false;
    std::string_view code = text.substr(1, text.find_first_of(" ]") - 1);
    return std::ranges::any_of(codes, [&](const char* known) { return same_word(code, known); });
}

// LOGIN, piece by piece: an IMAP string is quoted if that can hold it, else it is a literal, whose
// bytes follow once the server has said "+".
class Login {
  public:
    Login(Wire& wire, std::string_view tag, std::size_t longest) : wire_(wire), tag_(tag) {
        // Once, so that no part of it stays behind in memory that was too small.
        text_.reserve(tag.size() + 2 * longest + 64);
        text_ += tag;
        text_ += " LOGIN";
    }
    ~Login() { Secret::wipe(text_); }
    Login(const Login&) = delete;
    Login& operator=(const Login&) = delete;

    Result<> add(std::string_view word) {
        text_ += ' ';
        bool quotable = std::ranges::all_of(word, [](char c) { return c >= ' ' && c <= '~'; });
        if (!quotable) return add_literal(word);
        text_ += '"';
        for (char c : word) {
            if (c == '"' || c == '\\') text_ += '\\';
            text_ += c;
        }
        text_ += '"';
        return {};
    }
    Result<> send() {
        auto said = wire_.say(text_);
        Secret::wipe(text_);
        return said;
    }
    Result<> end() {
        text_ += "\r\n";
        return send();
    }

  private:
    Result<> add_literal(std::string_view word) {
        text_ += "{" + std::to_string(word.size()) + "}\r\n";
        if (auto said = send(); !said) return said;
        std::string line;
        auto answer = hear_tagged(wire_, tag_, line);
        if (!answer) return std::unexpected(answer.error());
        // Whatever it says instead, it has not seen the password.
        if (answer->status != "+") return fail("mail server", "takes no such name or password");
        text_ += word;
        return {};
    }

    Wire& wire_;
    std::string_view tag_;
    std::string text_;
};

Checked verdict_of(const Tagged& answer) {
    if (same_word(answer.status, "OK")) return {PasswordVerdict::right, {}};
    if (same_word(answer.status, "NO") && !is_no_verdict(answer.text))
        return {PasswordVerdict::wrong, {}};
    // Not its text, which may repeat what it was sent.
    return unknown({"mail server",
                    same_word(answer.status, "NO") ? "answers to LOGIN that it cannot tell now"
                                                   : "does not understand LOGIN",
                    "see its log; if it wants TLS, set \"http: auth: tls\"",
                    {}});
}

Result<> start_tls(Wire& wire) {
    if (auto said = wire.say("t STARTTLS\r\n"); !said) return said;
    std::string line;
    auto answer = hear_tagged(wire, "t", line);
    if (!answer) return std::unexpected(answer.error());
    if (!same_word(answer->status, "OK"))
        return fail("mail server", "refuses STARTTLS: " + line, "see \"http: auth: tls\"");
    return wire.start_tls();
}

// Whether the greeting's capabilities have ID (RFC 2971).
bool knows_id(std::string_view greeting) {
    auto end = greeting.find(']');
    if (end == std::string_view::npos) return false;
    greeting = greeting.substr(0, end);
    while (!greeting.empty())
        if (same_word(first_word(greeting), "ID")) return true;
    return false;
}

// Dovecot believes whose login it is if we are in its login_trusted_networks. Else all are ours,
// and it makes us wait longer for each wrong password. An address holds nothing that must be
// quoted.
Result<> tell_client(Wire& wire, const PasswordQuestion& question) {
    if (!parse_address(question.client)) return {};
    auto said = wire.say("i ID (\"x-originating-ip\" \"" + question.client + "\")\r\n");
    if (!said) return said;
    std::string line;
    auto answer = hear_tagged(wire, "i", line);  // whatever it is
    if (!answer) return std::unexpected(answer.error());
    return {};
}

Result<> begin_imap(Wire& wire, const PasswordServer& server, const PasswordQuestion& question) {
    if (server.tls == PasswordServer::Tls::yes)
        if (auto begun = wire.start_tls(); !begun) return begun;
    auto greeting = wire.hear();
    if (!greeting) return std::unexpected(greeting.error());
    std::string_view rest = *greeting;
    if (first_word(rest) != "*" || !same_word(first_word(rest), "OK"))
        return fail("mail server", "greets with: " + *greeting, "is it an IMAP server?");
    if (server.tls == PasswordServer::Tls::starttls)
        if (auto begun = start_tls(wire); !begun) return begun;
    return knows_id(rest) ? tell_client(wire, question) : Result<>();
}

Result<Tagged> log_in(Wire& wire, const PasswordQuestion& question, std::string_view tag,
                      std::string& line) {
    Login login(wire, tag, question.user.size() + question.password.view().size());
    if (auto added = login.add(question.user); !added) return std::unexpected(added.error());
    if (auto added = login.add(question.password.view()); !added)
        return std::unexpected(added.error());
    if (auto ended = login.end(); !ended) return std::unexpected(ended.error());
    return hear_tagged(wire, tag, line);
}

}  // namespace

Checked check_by_imap(Wire& wire, const PasswordServer& server, const PasswordQuestion& question,
                      std::string_view tag) {
    if (!can_be_right(question)) return {PasswordVerdict::wrong, {}};
    if (auto begun = begin_imap(wire, server, question); !begun) return unknown(begun.error());
    std::string line;
    auto answer = log_in(wire, question, tag, line);
    if (!answer) return unknown(answer.error());
    Checked checked = verdict_of(*answer);
    [[maybe_unused]] auto polite = wire.say("z LOGOUT\r\n");
    return checked;
}

}  // namespace bandd
