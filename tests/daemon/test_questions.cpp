// SPDX-License-Identifier: GPL-2.0-or-later
// Questions of the engine, which name servers and programs answer before it decides.
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include "os/clock.h"
#include "support/setup.h"

using namespace bandd;

namespace {

struct AskingSetup : Setup {
    std::unique_ptr<Background> dns;

    AskingSetup() {
        must("ip link set lo up");
        write_file(dir / "filters/app.yaml",
                   "dialect: fail2ban\nfailregex:\n  - '^ denied <HOST>$'\n");
        write_file(log, "");
        name_server(
            "evil.example=203.0.113.9 evil.example=2001:db8:1::9 home.example=198.51.100.7");
        configure("  app: {logpath: app.log, maxretry: 1}\n");
    }
    void name_server(const std::string& table) {
        sh("rm -f " + dir / "asked");
        dns.reset();
        dns = std::make_unique<Background>("ASKED=" + dir / "asked" +
                                           " exec support/dns_server 5353 " + table);
        REQUIRE(wait_for([&] { return std::ifstream(dir / "asked").good(); }));
    }
    void configure(const std::string& jails) {
        write_config("dns_servers: [\"127.0.0.1:5353\"]\nlog: {level: info}\njails:\n" + jails);
    }
    void denied(const std::string& host) {
        append_file(log, format_rfc3339(now()) + " denied " + host + "\n");
    }
    bool bans_become(const std::string& expected) {
        return Setup::bans_become(expected, {"ip", "jail"});
    }
    std::string asked() {
        std::stringstream text;
        text << std::ifstream(dir / "asked").rdbuf();
        return text.str();
    }
    void program(const std::string& text) {
        write_file(dir / "asked.sh", "#!/bin/sh\n" + text);
        must("chmod 755 " + dir / "asked.sh");
    }
};

}  // namespace

TEST_CASE_METHOD(AskingSetup, "usedns: a host name in a line bans its addresses, IPv4 and IPv6") {
    REQUIRE(daemon.start());
    denied("evil.example");
    CHECK(bans_become("203.0.113.9 app\n2001:db8:1::/64 app\n"));
    denied("no-such.example");
    CHECK(wait_for([&] { return json("status")["host_names"] == 1; }));
    CHECK(json("status")["look_ups"] == 2);
    CHECK(json("status")["look_ups_unanswered"] == 1);
}

TEST_CASE_METHOD(AskingSetup, "a name server that keeps silent holds up nobody else") {
    REQUIRE(daemon.start());
    denied("silent.example");
    REQUIRE(wait_for([&] { return has(asked(), "silent.example"); }));
    CHECK(json("status")["waiting_hits"] == 1);
    denied("203.0.113.5");
    denied("evil.example");
    CHECK(bans_become("203.0.113.5 app\n203.0.113.9 app\n2001:db8:1::/64 app\n"));
    CHECK(wait_for([&] { return json("status")["waiting_hits"] == 0; }, 30));
}

TEST_CASE_METHOD(AskingSetup, "a name is asked for once, however often it is written") {
    REQUIRE(daemon.start());
    for (int i = 0; i < 50; ++i) denied("evil.example");
    CHECK(bans_become("203.0.113.9 app\n2001:db8:1::/64 app\n"));
    CHECK(json("status")["look_ups"] == 1);
}

TEST_CASE_METHOD(AskingSetup, "a hit that waits for its name survives a kill") {
    REQUIRE(daemon.start());
    denied("silent.example");
    REQUIRE(wait_for([&] { return json("status")["waiting_hits"] == 1; }));
    REQUIRE(wait_for([&] {
        return has(sh("python3 -c 'import sqlite3; print(sqlite3.connect(\"file:" + dir.path() +
                      "/run/state.db?mode=ro\", uri=True).execute(\"select value from meta where "
                      "name=?\", (\"note waiting\",)).fetchall())'")
                       .out,
                   "silent.example");
    }));
    daemon.stop(SIGKILL);
    name_server("silent.example=203.0.113.9");
    REQUIRE(daemon.start());
    CHECK(bans_become("203.0.113.9 app\n"));
}

TEST_CASE_METHOD(AskingSetup, "host names in ignoreip are looked up before a ban") {
    configure("  app: {logpath: app.log, maxretry: 2, ignoreip: [home.example, 192.0.2.1]}\n");
    REQUIRE(daemon.start());
    denied("198.51.100.7");
    denied("203.0.113.5");
    denied("198.51.100.7");
    denied("203.0.113.5");
    CHECK(bans_become("203.0.113.5 app\n"));
    CHECK(daemon.said("ignored 198.51.100.7 jail=app why=\"exempt: ignorecommand or a host name"));
    // The address behind the name changes: fail2ban's users with a dynamic address know this.
    CHECK(json("status")["look_ups"] == 1);
}

TEST_CASE_METHOD(AskingSetup, "ignorecommand: exit code 0 exempts, another one does not") {
    program("echo \"$1 $2 $3\" >> " + dir / "asked" + "\n[ \"$1\" = 198.51.100.7 ]\n");
    configure("  app: {logpath: app.log, maxretry: 2, ignorecommand: {run: [" + dir / "asked.sh" +
              ", <ip>, <family>, <jail>], user: root}}\n");
    REQUIRE(daemon.start());
    for (const char* host : {"198.51.100.7", "203.0.113.5", "2001:db8::5"})
        for (int i = 0; i < 2; ++i) denied(host);
    CHECK(bans_become("203.0.113.5 app\n2001:db8::/64 app\n"));
    CHECK(daemon.said("ignored 198.51.100.7 jail=app why=\"exempt"));
    CHECK(has(asked(), "2001:db8::5 inet6 app"));
    CHECK(json("status")["ignorecommands"] == 3);
}

TEST_CASE_METHOD(AskingSetup,
                 "ignorecommand that hangs or is missing: said, and banned without it") {
    program("sleep 60\n");
    configure("  app: {logpath: app.log, maxretry: 1, ignorecommand: {run: [" + dir / "asked.sh" +
              ", <ip>], timeout: 0.3s}}\n  other: {logpath: other.log, filter: app, maxretry: 1, "
              "ignorecommand: [/no/such/program, <ip>]}\n");
    write_file(dir / "other.log", "");
    REQUIRE(daemon.start());
    denied("203.0.113.5");
    append_file(dir / "other.log", format_rfc3339(now()) + " denied 203.0.113.6\n");
    CHECK(bans_become("203.0.113.5 app\n203.0.113.6 other\n"));
    CHECK(
        daemon.said("asked.sh: took too long and was killed; until it answers, addresses are "
                    "banned without asking it"));
    CHECK(daemon.said("/no/such/program: exit code 127: cannot run /no/such/program"));
}

TEST_CASE_METHOD(AskingSetup, "a resolver that dies is started anew, and asked again") {
    name_server("evil.example=203.0.113.9 later.example=203.0.113.10");
    configure("  app: {logpath: app.log, maxretry: 1}\n");
    REQUIRE(daemon.start());
    denied("evil.example");
    REQUIRE(bans_become("203.0.113.9 app\n"));
    kill(daemon.role("bandd-resolver"), SIGKILL);
    CHECK(daemon.said("bandd-resolver: has ended; it is started anew in 1 s"));
    denied("203.0.113.5");
    CHECK(bans_become("203.0.113.5 app\n203.0.113.9 app\n"));
    CHECK(wait_for([&] {
        denied("later.example");
        return has(bans({"ip"}), "203.0.113.10\n");
    }));
}

TEST_CASE_METHOD(AskingSetup, "asking: the host name of an address, which must lead back to it") {
    name_server(
        "21.192.196.24.in-addr.arpa=dsl7.city.isp.example dsl7.city.isp.example=24.196.192.21 "
        "22.192.196.24.in-addr.arpa=dsl8.city.isp.example dsl8.city.isp.example=24.196.192.99 "
        "23.192.196.24.in-addr.arpa=mail.example.org mail.example.org=24.196.192.23");
    configure(
        "  app: {logpath: app.log, maxretry: 1, reverse_lookup: true, where: hostname is "
        "broadband}\n");
    REQUIRE(daemon.start());
    // Its name is of somebody else's address; it has none; its name is a mail server's.
    for (const char* who : {"24.196.192.22", "24.196.192.24", "24.196.192.23", "192.168.1.1"})
        denied(who);
    denied("24.196.192.21");
    CHECK(bans_become("24.196.192.21 app\n"));
    CHECK(has(daemon.ctl("explain 24.196.192.21").out, "dsl7.city.isp.example"));
    // Private addresses are nobody's business.
    CHECK_FALSE(has(asked(), "168.192"));
    // Asked once, then known.
    std::string before = asked();
    denied("24.196.192.23");
    REQUIRE(wait_for([&] { return json("status app")["jails"][0]["ignored"] == 5; }));
    CHECK(asked() == before);
}

TEST_CASE_METHOD(AskingSetup, "asking: a hit that waits for a host name survives a kill") {
    name_server("'*=silent'");
    configure(
        "  app: {logpath: app.log, maxretry: 1, reverse_lookup: true, where: hostname is "
        "broadband}\n");
    REQUIRE(daemon.start());
    denied("24.196.192.21");
    REQUIRE(wait_for([&] { return json("status")["waiting_hits"] == 1; }));
    std::this_thread::sleep_for(std::chrono::milliseconds(2500));  // a checkpoint
    daemon.stop(SIGKILL);
    name_server(
        "21.192.196.24.in-addr.arpa=dsl7.city.isp.example "
        "dsl7.city.isp.example=24.196.192.21");
    REQUIRE(daemon.start());
    CHECK(bans_become("24.196.192.21 app\n"));
}
