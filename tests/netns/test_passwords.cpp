// SPDX-License-Identifier: GPL-2.0-or-later
// bandd checks the passwords of nginx' logins itself, by Dovecot's IMAP and by its socket for SASL.
// The server behind nginx trusts it, as a mail proxy is often set up: what bandd lets in is in.
#include "netns/mail_servers.h"

using namespace bandd;

namespace {

const std::vector<std::string> ways{"imap: 127.0.0.1:10143",
                                    "dovecot_sasl: DIR/dovecot-run/auth-client"};

struct Checking : MailServer {
    void start_all(std::string way, const std::string& smtp, const std::string& rules) {
        if (auto at = way.find("DIR"); at != std::string::npos) way.replace(at, 3, dir.path());
        start_bandd(rules, "auth: {" + way + "}");
        start_dovecot(false);
        start_postfix("permit_mynetworks,");
        start_nginx(smtp);
    }
    std::string lines(const std::string& of) const {
        std::string found;
        std::istringstream log(daemon.log());
        for (std::string line; std::getline(log, line);)
            if (line.find(of) != std::string::npos) found += line + "\n";
        return found;
    }
    static std::size_t count(const std::string& text) {
        return static_cast<std::size_t>(std::ranges::count(text, '\n'));
    }
};

}  // namespace

TEST_CASE_METHOD(Checking, "passwords: no way to relay without one, and the honest user gets in") {
    NEEDS_MAIL_SERVERS
    auto [way, smtp] = GENERATE(
        table<std::string, const char*>({{ways[0], "xclient off;"}, {ways[1], "xclient on;"}}));
    INFO(way << " " << smtp);
    start_all(way, smtp, "jails: {}\n");
    INFO(sh("cat " + dir / "nginx.log " + dir / "dovecot.log").out << daemon.log());
    for (const Attack& attack : attacks)
        for (bool pipelined : {false, true}) {
            INFO(attack.name << (pipelined ? ", pipelined" : ""));
            CHECK_FALSE(relays(attack, pipelined));
        }
    CHECK(send("8.1.0.1", 20025).starts_with("250 "));
    CHECK(imap("8.1.0.1", 20143).starts_with("a OK"));
    CHECK(imap("8.1.0.1", 20143, "wrong") == "a NO Invalid login or password");
    CHECK(daemon.log().find("secret") == std::string::npos);
}

TEST_CASE_METHOD(Checking, "passwords: each login is one line, and wrong ones are counted") {
    NEEDS_MAIL_SERVERS
    std::string way = GENERATE(from_range(ways));
    INFO(way);
    start_all(way, "xclient off;",
              "access: {countries: [US, DE], message: '554 5.7.1 Not from <country_name>, <user> "
              "at <ip>'}\naccounts: {countries: 1}\n"
              "jails:\n  refused: {source: access, maxretry: 3}\n");
    INFO(sh("cat " + dir / "nginx.log " + dir / "dovecot.log").out << daemon.log());
    CHECK(imap("8.1.0.1", 20143).starts_with("a OK"));
    CHECK(daemon.said("joe@example.org : AUTHPASS|imap 8.1.0.1|US|"));
    CHECK(count(lines("8.1.0.1|")) == 1);
    CHECK(imap("8.5.0.1", 20143) == "a NO Not from China, joe@example.org at 8.5.0.1");
    CHECK(count(lines("8.5.0.1|")) == 1);
    CHECK(imap("8.1.2.1", 20143, "wrong").starts_with("a NO"));
    CHECK(daemon.said("joe@example.org : AUTHFAILED|imap 8.1.2.1|US|"));
    CHECK(count(lines("8.1.2.1|")) == 1);
    // Logins with a right password count, and no others.
    CHECK(daemon.ctl("account joe@example.org").out.find("8.1.2.1") == std::string::npos);
    CHECK(imap("8.2.0.1", 20143).find("too many places") != std::string::npos);
    CHECK(daemon.said("joe@example.org : ACCOUNTFAILED|imap 8.2.0.1|DE|Germany|2 countries in 1d"));
    CHECK(count(lines("8.2.0.1|")) == 1);
    // A name cannot look like a line about somebody else.
    sh("curl -s -H 'Client-IP: 8.1.3.1' -H 'Auth-User: eve : AUTHPASS|imap 8.9.9.9|US|' -H "
       "'Auth-Pass: "
       "x' -H 'Auth-Protocol: imap' http://127.0.0.1:10041/auth/nginx");
    CHECK(daemon.said("eve : AUTHPASS\\x7cimap 8.9.9.9\\x7cUS\\x7c : AUTHFAILED|imap 8.1.3.1|US|"));
    for (int i = 0; i < 3; ++i) imap("8.1.9.1", 20143, "wrong");
    CHECK(daemon.said("ban 8.1.9.1 jail=refused"));
}

TEST_CASE_METHOD(Checking, "passwords: any byte may be in one; APOP and CRAM-MD5 say why not") {
    NEEDS_MAIL_SERVERS
    std::string way = GENERATE(from_range(ways));
    INFO(way);
    start_all(way, "xclient off;", "jails: {}\n");
    INFO(sh("cat " + dir / "nginx.log " + dir / "dovecot.log").out << daemon.log());
    auto login = [](const std::string& user, const std::string& quoted) {
        Talk imap("8.1.0.1", 20143);
        imap.hear("* OK");
        return imap.say("a LOGIN " + user + " " + quoted, "a ");
    };
    CHECK(login("ann@example.org", "\"s3\\\"\\\\cr et\"").starts_with("a OK"));
    CHECK(login("uml@example.org", "\"gr\u00fcn%41\"").starts_with("a OK"));
    // A right password, of an account that Dovecot has shut.
    CHECK(login("shut@example.org", "secret").starts_with("a NO"));
    // A right password of somebody else.
    CHECK(login("ann@example.org", "secret").starts_with("a NO"));
    Talk smtp("8.1.0.1", 20025);
    smtp.reply();
    smtp.put("EHLO x\r\n");
    smtp.reply();
    // printf 'joe@example.org\0ann@example.org\0secret' | base64: joe's, as ann
    CHECK(smtp.say("AUTH PLAIN am9lQGV4YW1wbGUub3JnAGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=")
              .starts_with("535"));
    Talk pop("8.1.0.1", 20110);
    pop.hear("+OK");
    CHECK(pop.say("APOP joe@example.org 0123456789abcdef0123456789abcdef") ==
          "-ERR Only plain passwords are taken here, not apop");
    Talk pop2("8.1.0.1", 20110);
    pop2.hear("+OK");
    pop2.say("USER joe@example.org", "+OK");
    CHECK(pop2.say("PASS secret").starts_with("+OK"));
    CHECK(daemon.said("http: a login by apop: is refused"));
    // What no mail server is named for is no login.
    auto ask = [](const std::string& headers) {
        return sh("curl -s -D - -H 'Client-IP: 8.1.0.1' -H 'Auth-User: joe@example.org' " +
                  headers + " http://127.0.0.1:10041/auth/nginx")
            .out;
    };
    CHECK(ask("-H 'Auth-Pass: secret' -H 'Auth-Protocol: imap'").find("Auth-Status: OK") !=
          std::string::npos);
    for (const char* odd :
         {"-H 'Auth-Pass: secret' -H 'Auth-Protocol: sieve'", "-H 'Auth-Pass: secret'",
          "-H 'Auth-Pass: secret' -H 'Auth-Pass: secret' -H 'Auth-Protocol: imap'",
          "-H 'Auth-Pass: x' -H 'Auth-Pass: y' -H 'Auth-Pass: secret' -H 'Auth-Protocol: imap'",
          "-H 'Auth-Pass: x%' -H 'Auth-Pass: secret' -H 'Auth-Protocol: imap'",
          "-H 'Auth-Pass;' -H 'Auth-Pass: secret' -H 'Auth-Protocol: imap'",
          "-H 'Auth-Protocol: imap'",
          "-H 'Auth-Pass: secret' -H 'Auth-Protocol: imap' -H 'Auth-User: ann@example.org'",
          "-H 'Auth-Pass: secret%' -H 'Auth-Protocol: imap'"}) {
        INFO(odd);
        CHECK(ask(odd).find("Auth-Status: OK") == std::string::npos);
    }
    CHECK(daemon.said("http: a login by \"sieve\": is refused, as no mail server is named for it"));
}

TEST_CASE_METHOD(Checking, "passwords: nobody is let in while nobody can say what is right") {
    NEEDS_MAIL_SERVERS
    std::string way = GENERATE(from_range(ways));
    INFO(way);
    start_all(way + ", timeout: 2s", "xclient off;",
              "jails:\n  refused: {source: access, maxretry: 1}\n");
    INFO(sh("cat " + dir / "nginx.log " + dir / "dovecot.log").out << daemon.log());
    CHECK(imap("8.1.0.1", 20143).starts_with("a OK"));
    // bandd-auth dies: bandd says so, refuses, starts it again.
    must("kill -9 " + std::to_string(daemon.role("bandd-auth")));
    CHECK(daemon.said("bandd-auth: has ended"));
    CHECK(wait_for([&] { return imap("8.1.0.1", 20143).starts_with("a OK"); }, 20));
    must("kill -9 " + std::to_string(daemon.role("bandd-http")));
    CHECK(wait_for([&] { return imap("8.1.0.1", 20143).starts_with("a OK"); }, 20));
    // It stands still: another one takes its place.
    must("kill -STOP " + std::to_string(daemon.role("bandd-auth")));
    CHECK(imap("8.1.0.1", 20143) == "a NO [UNAVAILABLE] Temporary server problem, try again later");
    CHECK(daemon.said("bandd-auth: does not answer"));
    CHECK(wait_for([&] { return imap("8.1.0.1", 20143).starts_with("a OK"); }, 20));
    // The mail server is gone.
    servers.erase(servers.begin());
    CHECK(imap("8.1.0.1", 20143) == "a NO [UNAVAILABLE] Temporary server problem, try again later");
    CHECK(send("8.1.0.1", 20025).starts_with("451 4.3.0"));
    CHECK(daemon.said("http: auth: mail server"));
    CHECK(daemon.ctl("status").out.find("did not say whether") != std::string::npos);
    // Which is no failure of his.
    CHECK(daemon.ctl("bans").out.find("8.1.0.1") == std::string::npos);
}
