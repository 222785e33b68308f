// SPDX-License-Identifier: GPL-2.0-or-later
// How mail servers are asked about passwords: servers that say what RFC 9051, RFC 5530 and
// Dovecot's protocol let them say, and servers that say something else.
#include <deque>

#include "auth/dialogue.h"
#include "auth/helper.h"
#include "auth/places.h"
#include "support/common.h"

using namespace bandd;
using namespace std::string_literals;

namespace {

// A server that says its lines one after another, and keeps what it was told.
class Scripted : public Wire {
  public:
    explicit Scripted(std::initializer_list<std::string> lines) : lines_(lines) {}
    Result<> say(std::string_view bytes) override {
        told += bytes;
        return {};
    }
    Result<std::string> hear() override {
        if (lines_.empty()) return fail("mail server", "closed the connection");
        std::string line = lines_.front();
        lines_.pop_front();
        return line;
    }
    Result<> start_tls() override {
        told += "<tls>";
        return {};
    }
    std::string told;

  private:
    std::deque<std::string> lines_;
};

PasswordQuestion question(std::string user, std::string password) {
    PasswordQuestion asked;
    asked.user = std::move(user);
    asked.protocol = "imap";
    asked.client = "192.0.2.1";
    asked.password = Secret(std::move(password));
    return asked;
}

struct Said {
    Checked checked;
    std::string told;
};
Said imap(std::initializer_list<std::string> lines, std::string user = "bob",
          std::string password = "secret", PasswordServer server = {}) {
    Scripted wire(lines);
    Checked checked =
        check_by_imap(wire, server, question(std::move(user), std::move(password)), "a");
    return {checked, wire.told};
}
Said dovecot(std::initializer_list<std::string> lines, std::string user = "bob",
             std::string password = "secret") {
    Scripted wire(lines);
    Checked checked = check_by_dovecot(wire, question(std::move(user), std::move(password)), 77);
    return {checked, wire.told};
}

}  // namespace

TEST_CASE("imap: a tagged OK alone is a right password") {
    auto right = imap({"* OK ready", "* CAPABILITY IMAP4rev1", "a OK logged in"});
    CHECK(right.checked.verdict == PasswordVerdict::right);
    CHECK(right.told == "a LOGIN \"bob\" \"secret\"\r\nz LOGOUT\r\n");
    for (const char* line :
         {"a NO [AUTHENTICATIONFAILED] no", "a NO Invalid user name or password.", "a no",
          "a NO [AUTHORIZATIONFAILED] x", "a NO [EXPIRED] x", "a NO [] x", "a NO ["}) {
        INFO(line);
        CHECK(imap({"* OK ready", line}).checked.verdict == PasswordVerdict::wrong);
    }
    for (const char* line :
         {"a NO [UNAVAILABLE] later", "a NO [unavailable] later", "a NO [LIMIT] x",
          "a NO [INUSE] x", "a NO [SERVERBUG] x", "a NO [CONTACTADMIN] x",
          "a NO [PRIVACYREQUIRED] x", "a BAD what", "a", "a OKAY", "* BYE", "b OK", "aOK", "A OK",
          "* OK a OK", "+ go on", "", "a  OK"}) {
        INFO(line);
        CHECK(imap({"* OK ready", line}).checked.verdict == PasswordVerdict::unknown);
    }
}

TEST_CASE("imap: who asks for no password is not asked") {
    for (const char* greeting :
         {"* PREAUTH you are in", "* BYE", "220 smtp", "+OK pop3", "", "a OK", "* NO", "OK"}) {
        INFO(greeting);
        auto said = imap({greeting, "a OK in"});
        CHECK(said.checked.verdict == PasswordVerdict::unknown);
        CHECK(said.told.find("secret") == std::string::npos);
    }
    CHECK(imap({"* OK", "a OK"}, "", "x").checked.verdict == PasswordVerdict::wrong);
    CHECK(imap({"* OK", "a OK"}, "bob", "").checked.verdict == PasswordVerdict::wrong);
    CHECK(imap({"* OK", "a OK"}, "bob", std::string("a\0b", 3)).checked.verdict ==
          PasswordVerdict::wrong);
    CHECK(imap({"* OK", "a OK"}, std::string("b\0b", 3), "x").checked.verdict ==
          PasswordVerdict::wrong);
}

TEST_CASE("imap: no name and no password says another command") {
    CHECK(imap({"* OK", "a OK"}, "a\"b\\", "x y").told ==
          "a LOGIN \"a\\\"b\\\\\" \"x y\"\r\nz LOGOUT\r\n");
    // What a quoted string cannot hold goes as a literal, once the server wants it.
    CHECK(imap({"* OK", "+ go", "+ go", "a OK"}, "b\r\na OK", "gr\xc3\xbcn").told ==
          "a LOGIN {7}\r\nb\r\na OK {5}\r\ngr\xc3\xbcn\r\nz LOGOUT\r\n");
    for (const char* line : {"a BAD literal", "a NO literal", "a OK"}) {
        auto refused = imap({"* OK", line}, "b\nc", "secret");
        CHECK(refused.checked.verdict == PasswordVerdict::unknown);
        CHECK(refused.told.find("secret") == std::string::npos);
    }
}

TEST_CASE("imap: what a server says after LOGIN is in no error: it may repeat the password") {
    for (const char* line : {"a BAD unknown command LOGIN bob secret", "* BYE bob secret",
                             "a NO [LIMIT] secret", "secret", "+ secret"}) {
        auto said = imap({"* OK", line});
        CHECK(to_line(said.checked.error).find("secret") == std::string::npos);
    }
}

TEST_CASE("imap: with TLS no password goes before it") {
    PasswordServer server;
    server.tls = PasswordServer::Tls::starttls;
    auto said = imap({"* OK", "t OK go", "a OK"}, "bob", "secret", server);
    CHECK(said.checked.verdict == PasswordVerdict::right);
    CHECK(said.told.starts_with("t STARTTLS\r\n<tls>a LOGIN"));
    for (const char* line : {"t NO", "t BAD", "a OK", "* BYE"}) {
        auto refused = imap({"* OK", line, "a OK"}, "bob", "secret", server);
        CHECK(refused.checked.verdict == PasswordVerdict::unknown);
        CHECK(refused.told.find("LOGIN") == std::string::npos);
    }
    server.tls = PasswordServer::Tls::yes;
    CHECK(imap({"* OK", "a OK"}, "bob", "secret", server).told.starts_with("<tls>a LOGIN"));
}

TEST_CASE("imap: a server that knows ID is told who the client is") {
    auto said = imap({"* OK [CAPABILITY IMAP4rev1 ID LITERAL+] ready", "* ID NIL", "i OK", "a OK"});
    CHECK(said.checked.verdict == PasswordVerdict::right);
    CHECK(
        said.told ==
        "i ID (\"x-originating-ip\" \"192.0.2.1\")\r\na LOGIN \"bob\" \"secret\"\r\nz LOGOUT\r\n");
    CHECK(imap({"* OK [CAPABILITY ID] x", "i BAD what", "a OK"}).checked.verdict ==
          PasswordVerdict::right);
    CHECK(imap({"* OK [CAPABILITY ID] x", "* BYE", "a OK"}).checked.verdict ==
          PasswordVerdict::unknown);
    for (const char* greeting : {"* OK ID", "* OK [CAPABILITY IDLE] ID", "* OK [CAPABILITY XID"})
        CHECK(imap({greeting, "a OK"}).told.starts_with("a LOGIN"));
}

TEST_CASE("a server that never comes to an end is given up") {
    struct Endless : Wire {
        Result<> say(std::string_view) override { return {}; }
        Result<std::string> hear() override {
            ++heard;
            return heard == 1 ? "* OK" : "* x";
        }
        Result<> start_tls() override { return {}; }
        int heard = 0;
    } endless;
    CHECK(check_by_imap(endless, {}, question("a", "b"), "a").verdict == PasswordVerdict::unknown);
    CHECK(endless.heard < 500);
    CHECK(check_by_dovecot(endless, question("a", "b"), 1).verdict == PasswordVerdict::unknown);
}

TEST_CASE("dovecot: OK for our request alone is a right password") {
    const std::string version = "VERSION\t1\t2", plain = "MECH\tPLAIN\tplaintext", done = "DONE";
    auto right = dovecot({version, plain, "SPID\t1", "CUID\t1", done, "OK\t1\tuser=bob"});
    CHECK(right.checked.verdict == PasswordVerdict::right);
    // printf '\0bob\0secret' | base64
    CHECK(right.told ==
          "VERSION\t1\t1\nCPID\t77\n"
          "AUTH\t1\tPLAIN\tservice=imap\trip=192.0.2.1\tsecured\tresp=AGJvYgBzZWNyZXQ=\n");
    auto verdict = [&](const std::string& line) {
        INFO(line);
        return dovecot({version, plain, done, line}).checked.verdict;
    };
    CHECK(verdict("OK\t1\tuser=bob\tnologin") == PasswordVerdict::wrong);
    CHECK(verdict("OK\t1\tnologin\treason=shut\tuser=bob") == PasswordVerdict::wrong);
    CHECK(verdict("OK\t1\tuser=bob\tnologin=y") == PasswordVerdict::wrong);
    for (const char* proxy : {"proxy", "proxy=y", "proxy_maybe", "proxy_maybe=y", "nopassword",
                              "nologin\tproxy", "nopassword=y\tproxy=y"})
        CHECK(verdict("OK\t1\tuser=bob\t" + std::string(proxy) + "\thost=10.0.0.1") ==
              PasswordVerdict::unknown);
    CHECK(verdict("OK\t1\tuser=bob\tproxyish=y") == PasswordVerdict::right);
    CHECK(verdict("OK\t1\tuser=nologin") == PasswordVerdict::right);
    CHECK(verdict("FAIL\t1\tuser=bob") == PasswordVerdict::wrong);
    CHECK(verdict("FAIL\t1") == PasswordVerdict::wrong);
    CHECK(verdict("FAIL\t1\tuser=temp\treason=temp too") == PasswordVerdict::wrong);
    CHECK(verdict("FAIL\t1\tuser=bob\ttemp") == PasswordVerdict::unknown);
    CHECK(verdict("FAIL\t1\tcode=temp_fail\tuser=bob") == PasswordVerdict::unknown);
    for (const char* line : {"OK\t2\tuser=bob", "OK", "OK\t11", "CONT\t1\t", "", "OK 1", "ok\t1"})
        CHECK(verdict(line) == PasswordVerdict::unknown);
    for (auto said : {dovecot({version, done, "OK\t1"}), dovecot({"VERSION\t2\t0", plain, done}),
                      dovecot({version, "MECH\tPLAINER", done}), dovecot({})}) {
        CHECK(said.checked.verdict == PasswordVerdict::unknown);
        CHECK(said.told.find("AUTH") == std::string::npos);
    }
}

TEST_CASE("a question and the server that it is about come out as they went in") {
    PasswordQuestion asked = question("b\r\nob\0"s, "se\0cret"s);
    asked.id = 7;
    Secret packet = to_packet(asked);
    auto parsed = parse_question(packet.view());
    REQUIRE(parsed);
    CHECK(parsed->id == 7);
    CHECK(parsed->user == asked.user);
    CHECK(parsed->password.view() == asked.password.view());
    CHECK(parsed->client == "192.0.2.1");
    for (std::size_t size = 0; size < packet.view().size(); ++size)
        CHECK_FALSE(parse_question(packet.view().substr(0, size)));
    CHECK_FALSE(parse_question(to_packet(question("a", std::string(5000, 'x'))).view()));
    PasswordServer server{PasswordServer::Kind::dovecot_sasl,
                          {ip("2001:db8::1"), 993},
                          "/run/x",
                          PasswordServer::Tls::starttls,
                          "mx",
                          "PEM",
                          std::chrono::seconds(3)};
    CHECK(parse_password_server(to_packet(server)) == server);
    CHECK(parse_answer(to_packet(PasswordAnswer{9, PasswordVerdict::right}))->verdict ==
          PasswordVerdict::right);
    CHECK_FALSE(parse_answer("x"));
}

TEST_CASE("who guesses from many addresses leaves places for clients that were right before") {
    Places places;
    auto good = places.take(ip("8.0.2.1"), "x");
    REQUIRE(good);
    places.give_back(*good, true);
    auto wrong = places.take(ip("8.0.2.2"), "x");
    places.give_back(*wrong, false);
    std::vector<Places::Place> taken;
    auto guess = [&](const std::string& from) {
        auto place = places.take(ip(from), "x");
        if (place) taken.push_back(*place);
        return place.has_value();
    };
    // One address, one /64, one /48 have their share.
    for (unsigned i = 0; i < Places::most_of_one; ++i) CHECK(guess("8.51.100.1"));
    CHECK_FALSE(guess("8.51.100.1"));
    for (unsigned i = 0; i < Places::most_of_one; ++i)
        CHECK(guess("2a01:db8::" + std::to_string(i)));
    CHECK_FALSE(guess("2a01:db8::ffff"));
    for (unsigned i = 0; i < Places::most_of_site - Places::most_of_one; ++i)
        CHECK(guess("2a01:db8:0:" + std::to_string(i + 1) + "::1"));
    CHECK_FALSE(guess("2a01:db8:0:ff::1"));
    // All of them have theirs.
    unsigned more = 0;
    while (guess("9.0." + std::to_string(more / 250) + "." + std::to_string(more % 250))) ++more;
    CHECK(taken.size() == Places::most_of_strangers);
    CHECK_FALSE(guess("8.0.2.2"));
    for (unsigned i = 0; i < Places::most_of_one; ++i) CHECK(guess("8.0.2.1"));
    CHECK_FALSE(guess("8.0.2.1"));
    for (const auto& place : taken) places.give_back(place, false);
    CHECK(guess("8.0.2.2"));
}

TEST_CASE("behind a private address each account is a client of its own") {
    Places places;
    for (unsigned i = 0; i < Places::most_of_one; ++i) CHECK(places.take(ip("10.0.0.1"), "joe"));
    CHECK_FALSE(places.take(ip("10.0.0.1"), "joe"));
    CHECK(places.take(ip("10.0.0.1"), "ann"));
    CHECK(places.take(ip("127.0.0.1"), "joe"));
    auto right = places.take(ip("::1"), "joe");
    places.give_back(*right, true);
    CHECK(places.take(ip("::1"), "joe")->known);
    CHECK_FALSE(places.take(ip("::1"), "ann")->known);
}

TEST_CASE("a million right clients are not all kept") {
    Places places;
    auto right = [&](unsigned i) {
        Address address = ip("11.0.0.0");
        for (int byte = 0; byte < 3; ++byte)
            address.bytes[static_cast<std::size_t>(15 - byte)] =
                static_cast<unsigned char>(i >> (8 * byte));
        auto place = places.take(address, "x");
        REQUIRE(place);
        places.give_back(*place, true);
        return place->known;
    };
    for (unsigned i = 0; i <= Places::most_known; ++i) CHECK_FALSE(right(i));
    CHECK_FALSE(right(0));  // the oldest went
    CHECK(right(2));
}
