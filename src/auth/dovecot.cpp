// SPDX-License-Identifier: GPL-2.0-or-later
#include "auth/dialogue.h"

#include <openssl/evp.h>

namespace bandd {
namespace {

// The words of one of Dovecot's lines, which tabs part.
struct DovecotLine {
    std::string_view command, id;
    std::string_view parameters;  // each with a tab before it
    // With a value or without: "nologin", "nologin=y".
    bool has(std::string_view parameter) const {
        std::string wanted = "\t" + std::string(parameter);
        for (std::size_t at = 0; (at = parameters.find(wanted, at)) != std::string_view::npos;) {
            at += wanted.size();
            if (at == parameters.size() || parameters[at] == '\t' || parameters[at] == '=')
                return true;
        }
        return false;
    }
};
DovecotLine parse_dovecot_line(std::string_view line) {
    DovecotLine parsed;
    parsed.command = line.substr(0, line.find('\t'));
    line.remove_prefix(parsed.command.size());
    if (line.empty()) return parsed;
    parsed.id = line.substr(1, line.find('\t', 1) - 1);
    parsed.parameters = line.substr(1 + parsed.id.size());
    return parsed;
}

Result<> greet_dovecot(Wire& wire, std::uint32_t connection) {
    auto said = wire.say("VERSION\t1\t1\nCPID\t" + std::to_string(connection) + "\n");
    if (!said) return said;
    bool knows_plain = false;
    for (int i = 0; i < most_lines; ++i) {
        auto line = wire.hear();
        if (!line) return std::unexpected(line.error());
        DovecotLine parsed = parse_dovecot_line(*line);
        if (parsed.command == "VERSION" && parsed.id != "1")
            return fail("Dovecot", "speaks version " + std::string(parsed.id) +
                                       " of its protocol, and bandd speaks 1");
        if (parsed.command == "MECH" && parsed.id == "PLAIN") knows_plain = true;
        if (parsed.command != "DONE") continue;
        if (knows_plain) return {};
        return fail("Dovecot", "does not take plain passwords", "see its auth_mechanisms");
    }
    return fail("Dovecot", "does not come to an end of its greeting",
                "is it the socket \"auth-client\"?");
}

std::string dovecot_escaped(std::string_view text) {
    std::string out;
    for (char c : text)
        if (c != '\t' && c != '\n' && c != '\r' && c != '\0' && c != '\x01') out += c;
    return out;
}

Secret dovecot_request(const PasswordQuestion& question) {
    std::string plain;
    plain.reserve(64 + question.user.size() + question.password.view().size());
    plain += '\0';
    plain += question.user;
    plain += '\0';
    plain += question.password.view();
    Secret message(std::move(plain));
    std::string request = "AUTH\t1\tPLAIN\tservice=" + dovecot_escaped(question.protocol) +
                          "\trip=" + dovecot_escaped(question.client) + "\tsecured\tresp=";
    auto head = request.size();
    // Base64 makes four of three, and ends with a NUL.
    request.resize(head + (message.view().size() + 2) / 3 * 4 + 1);
    EVP_EncodeBlock(reinterpret_cast<unsigned char*>(request.data()) + head,
                    reinterpret_cast<const unsigned char*>(message.view().data()),
                    static_cast<int>(message.view().size()));
    request.back() = '\n';
    return Secret(std::move(request));
}

Checked verdict_of(const DovecotLine& ok) {
    // Whom Dovecot hands on to another server, it may not have asked for a password (nopassword).
    for (const char* proxy : {"proxy", "proxy_maybe", "proxy_always", "nopassword"})
        if (ok.has(proxy))
            return unknown({"Dovecot",
                            "does not check passwords of users that it hands on (proxy)",
                            "have bandd ask the server that does: \"http: auth: imap\"",
                            {}});
    // nologin: the account is shut, though the password is right.
    return {ok.has("nologin") ? PasswordVerdict::wrong : PasswordVerdict::right, {}};
}

}  // namespace

Checked check_by_dovecot(Wire& wire, const PasswordQuestion& question, std::uint32_t connection) {
    if (!can_be_right(question)) return {PasswordVerdict::wrong, {}};
    if (auto greeted = greet_dovecot(wire, connection); !greeted) return unknown(greeted.error());
    if (auto said = wire.say(dovecot_request(question).view()); !said) return unknown(said.error());
    for (int i = 0; i < most_lines; ++i) {
        auto line = wire.hear();
        if (!line) return unknown(std::move(line.error()));
        DovecotLine parsed = parse_dovecot_line(*line);
        if (parsed.id != "1") continue;
        if (parsed.command == "OK") return verdict_of(parsed);
        if (parsed.command != "FAIL")
            return unknown({"Dovecot", "wants to go on after PLAIN", "", {}});
        if (parsed.has("temp") || parsed.has("code=temp_fail"))
            return unknown({"Dovecot", "cannot tell at the moment", "see its log", {}});
        return {PasswordVerdict::wrong, {}};
    }
    return unknown({"Dovecot", "does not come to an end of its answer", "", {}});
}

}  // namespace bandd
