// SPDX-License-Identifier: GPL-2.0-or-later
// Postfix, Dovecot and nginx, asking bandd whether a login may be.
#include "netns/mail_servers.h"

using namespace bandd;

TEST_CASE_METHOD(MailServer,
                 "postfix: after its sixth country an account sends no more mail, until it is "
                 "cleared") {
    NEEDS_MAIL_SERVERS
    start_bandd("accounts: {countries: 5}\njails: {}\n");
    start_dovecot(false);
    start_postfix();
    for (int i = 1; i <= 5; ++i) {
        INFO(i << " " << daemon.log());
        CHECK(send("8." + std::to_string(i) + ".0.1").starts_with("250 "));
    }
    std::string refused = send("8.6.0.1");
    INFO(read_file(dir / "postfix.log"));
    CHECK(refused.starts_with("554 5.7.1 "));
    CHECK(refused.find("This account was used from too many places") != std::string::npos);
    CHECK(send("8.1.0.1").starts_with("554 5.7.1 "));
    CHECK(daemon.said("joe@example.org : ACCOUNTFAILED|smtp 8.6.0.1|BR|Brazil|6 countries in 1d"));
    CHECK(daemon.said("account joe@example.org has 6 countries in 1d"));
    CHECK(daemon.ctl("accounts").out.find("too many countries") != std::string::npos);
    CHECK(daemon.ctl("account joe@example.org clear").code == 0);
    CHECK(send("8.1.0.1").starts_with("250 "));
    CHECK(daemon.ctl("account joe@example.org block").code == 0);
    CHECK(send("8.1.0.1").starts_with("554 5.7.1 "));
    // Who did not log on is none of bandd's business.
    Talk smtp("8.7.0.1", 10025);
    smtp.hear("220 ");
    smtp.say("HELO client.example");
    smtp.say("MAIL FROM:<x@example.org>");
    CHECK(smtp.say("RCPT TO:<ann@example.net>").find("too many places") == std::string::npos);
}

TEST_CASE_METHOD(MailServer,
                 "postfix: an end user's host hands in no mail, unless its user has logged in") {
    NEEDS_MAIL_SERVERS
    policy_keys = "  reject_broadband:\n    except: [\"*.friend.example\", 8.4.0.0/16]\n";
    start_bandd("accounts: {countries: 5}\njails: {}\n");
    start_dovecot(false);
    start_postfix("check_client_access static:OK,");
    // What Postfix says to the recipient, of a client that has this name.
    auto send_as = [&](const std::string& address, const std::string& name, bool confirmed = true) {
        Talk smtp("127.0.0.1", 10025);
        smtp.hear("220 ");
        smtp.say("EHLO client.example", "250 ");
        smtp.say("XCLIENT ADDR=" + address + " NAME=" + (confirmed ? name : "[UNAVAILABLE]") +
                     " REVERSE_NAME=" + name,
                 "220 ");
        smtp.say("EHLO client.example", "250 ");
        smtp.say("MAIL FROM:<x@example.org>");
        smtp.say("RCPT TO:<ann@example.net>");
        return smtp.say("RCPT TO:<bob@example.net>");
    };
    std::string refused = send_as("8.1.0.1", "8-1-0-1.dsl.isp.example");
    INFO(refused << read_file(dir / "postfix.log") << daemon.log());
    CHECK(refused.starts_with("554 5.7.1 "));
    CHECK(refused.find("end-user hosts (8-1-0-1.dsl.isp.example); use your provider's mail") !=
          std::string::npos);
    CHECK(
        daemon.said("policy: mail from 8.1.0.1 refused: 8-1-0-1.dsl.isp.example is an end "
                    "user's host: its address stands in the name"));
    CHECK(send_as("8.1.0.1", "dhcp-7.isp.example", false).starts_with("554 5.7.1 "));
    CHECK(send_as("8.1.0.1", "mail.isp.example").starts_with("250 "));
    CHECK(send_as("8.1.0.1", "[UNAVAILABLE]").starts_with("250 "));
    CHECK(send_as("8.1.0.1", "dsl.friend.example").starts_with("250 "));
    CHECK(send_as("8.4.0.1", "dsl-1.isp.example").starts_with("250 "));
    // Each message is counted and told of once, however many recipients it has.
    CHECK(daemon.ctl("status").out.find("policy: mail of 2 end users' hosts refused") !=
          std::string::npos);
    // Who logs in sends from wherever he is.
    Talk smtp("127.0.0.1", 10025);
    smtp.hear("220 ");
    smtp.say("EHLO client.example", "250 ");
    smtp.say("XCLIENT ADDR=8.1.0.1 NAME=dsl-7.isp.example", "220 ");
    smtp.say("EHLO client.example", "250 ");
    CHECK(smtp.say(std::string("AUTH PLAIN ") + joe).starts_with("235"));
    smtp.say("MAIL FROM:<joe@example.org>");
    CHECK(smtp.say("RCPT TO:<ann@example.net>").starts_with("250 "));
}

TEST_CASE_METHOD(MailServer,
                 "nginx: IMAP and SMTP logins pass to the servers behind it, or are refused by "
                 "country") {
    NEEDS_MAIL_SERVERS
    start_bandd("access: {countries: [US, DE], users: {joe@example.org: [8.7.0.1]}}\njails: {}\n");
    start_dovecot(false);
    start_postfix();
    start_nginx();
    INFO(daemon.log());
    INFO(sh("cat " + dir / "nginx.log").out);
    CHECK(imap("8.1.0.1", 20143).starts_with("a OK"));
    CHECK(imap("8.2.0.1", 20143).starts_with("a OK"));
    CHECK(imap("8.7.0.1", 20143).starts_with("a OK"));
    // The server behind still checks the password.
    CHECK(imap("8.1.0.1", 20143, "wrong").starts_with("a NO"));
    CHECK(imap("8.5.0.1", 20143) == "a NO You may not log in from there.");
    CHECK(daemon.said("joe@example.org : AUTHPASS|imap 8.7.0.1|RU|"));
    CHECK(daemon.said("joe@example.org : COUNTRYFAILED|imap 8.5.0.1|CN|"));
    CHECK(send("8.1.0.1", 20025).starts_with("250 "));
    CHECK(send("8.5.0.1", 20025) == "535 5.7.8 You may not log in from there.");
    CHECK(daemon.log().find("secret") == std::string::npos);
}

TEST_CASE_METHOD(MailServer,
                 "nginx: it is no open relay, though the server behind it trusts it and checks no "
                 "password") {
    NEEDS_MAIL_SERVERS
    // As a mail proxy is often set up: the server behind sees nginx alone, which is this machine.
    const char* smtp = GENERATE("xclient off;", "xclient on;");
    INFO(smtp);
    start_bandd("jails: {}\n", "backend_checks: true");
    start_dovecot(false);
    start_postfix("permit_mynetworks,");
    start_nginx(smtp);
    INFO(sh("cat " + dir / "nginx.log").out);
    // Whoever says that the server behind checks, and it does not, has an open relay: the attack is
    // a real one.
    CHECK(relays(attacks[0], false));
    CHECK(relays(attacks[2], false));

    daemon.stop(SIGTERM);
    start_bandd("jails: {}\n", "backend_checks: false");
    CHECK(daemon.said("nginx may let clients send mail without a password"));
    for (const Attack& attack : attacks)
        for (bool pipelined : {false, true}) {
            INFO(attack.name << (pipelined ? ", pipelined" : ""));
            CHECK_FALSE(relays(attack, pipelined));
        }
    CHECK(send("8.1.0.1", 20025) ==
          "535 5.7.8 bandd is not told who checks passwords (http: auth, or backend_checks)");
    CHECK(json("status")["decisions"]["nginx"]["refused_unchecked"].get<int>() >= 10);
    // It is said, and not for each of them.
    const std::string said = "error: http: a login by smtp: is refused";
    std::string log = daemon.log();
    std::size_t times = 0;
    for (auto at = log.find(said); at != std::string::npos; at = log.find(said, at + 1)) ++times;
    CHECK(times >= 1);
    CHECK(times <= 5);
    // IMAP's passwords are checked behind it in any case.
    CHECK(imap("8.1.0.1", 20143).starts_with("a OK"));
    CHECK(imap("8.1.0.1", 20143, "wrong").starts_with("a NO"));
}

TEST_CASE_METHOD(MailServer, "nginx: as docs/logins.md sets it up it is no open relay") {
    NEEDS_MAIL_SERVERS
    start_bandd("jails: {}\n", "backend_checks: true");
    start_dovecot(false);
    start_postfix("permit_mynetworks,");
    start_nginx();
    INFO(sh("cat " + dir / "nginx.log").out);
    for (const Attack& attack : attacks)
        for (bool pipelined : {false, true}) {
            INFO(attack.name << (pipelined ? ", pipelined" : ""));
            CHECK_FALSE(relays(attack, pipelined));
        }
    CHECK(send("8.1.0.1", 20025).starts_with("250 "));
}

TEST_CASE_METHOD(MailServer,
                 "dovecot: logins are allowed and refused by country, and what it reports counts") {
    NEEDS_MAIL_SERVERS
    start_bandd(
        "access: {countries: [US, DE, FR]}\naccounts: {countries: 2}\n"
        "jails:\n  refused: {source: access, maxretry: 3, where: 'protocol is imap'}\n");
    start_dovecot(true);
    INFO(daemon.log());
    INFO(sh("cat " + dir / "dovecot.log").out);
    CHECK(imap("8.1.0.1", 10143).starts_with("a OK"));
    CHECK(imap("8.5.0.1", 10143).starts_with("a NO"));
    CHECK(daemon.said("joe@example.org : COUNTRYFAILED|imap 8.5.0.1|CN|"));
    CHECK(imap("8.2.0.1", 10143).starts_with("a OK"));
    CHECK(wait_for([&] {
        return daemon.ctl("account joe@example.org").out.find("2 countries") != std::string::npos;
    }));
    // The third country is refused before the password is known to be right, the first two are not.
    CHECK(imap("8.3.0.1", 10143).starts_with("a NO"));
    CHECK(imap("8.1.0.1", 10143).starts_with("a OK"));
    // The owner of a blocked account tries on.
    CHECK(daemon.ctl("account joe@example.org block").code == 0);
    for (int i = 0; i < 4; ++i) CHECK(imap("8.1.0.1", 10143).starts_with("a NO"));
    CHECK(daemon.ctl("account joe@example.org clear").code == 0);
    CHECK(imap("8.1.0.1", 10143).starts_with("a OK"));
    // Wrong passwords feed the jail, as refusals by country do.
    for (int i = 0; i < 3; ++i) CHECK(imap("8.2.0.1", 10143, "wrong").starts_with("a NO"));
    CHECK(daemon.said("joe@example.org : AUTHFAILED|imap 8.2.0.1|DE|"));
    CHECK(daemon.said("ban 8.2.0.1 jail=refused"));
    CHECK(sh("nft list set inet bandd refused-ipv4").out.find("8.2.0.1") != std::string::npos);
}
