// SPDX-License-Identifier: GPL-2.0-or-later
// From fail2ban to bandd: bans and offences, and the words of fail2ban-client.
#include <csignal>

#include "core/base/zone.h"
#include "os/clock.h"
#include "store/database.h"
#include "support/setup.h"

using namespace bandd;

namespace {

struct Migration : AppSetup {
    std::string database = dir / "fail2ban.sqlite3";
    std::int64_t now_s = now().us / 1'000'000;

    Migration() {
        write_sql(
            "CREATE TABLE fail2banDb(version INTEGER); INSERT INTO fail2banDb VALUES(4);"
            "CREATE TABLE jails(name TEXT NOT NULL UNIQUE, enabled INTEGER NOT NULL DEFAULT 1);"
            "CREATE TABLE bans(jail TEXT NOT NULL, ip TEXT, timeofban INTEGER NOT NULL,"
            " bantime INTEGER NOT NULL, bancount INTEGER NOT NULL default 1, data JSON);"
            "CREATE TABLE bips(ip TEXT NOT NULL, jail TEXT NOT NULL, timeofban INTEGER NOT NULL,"
            " bantime INTEGER NOT NULL, bancount INTEGER NOT NULL default 1, data JSON,"
            " PRIMARY KEY(ip, jail));");
        configure_app("    bantime: 1h\n    bantime.increment: {factor: 2, maximum: forever}\n");
    }
    void write_sql(const std::string& sql) const {
        sqlite3* raw = nullptr;
        REQUIRE(sqlite3_open(database.c_str(), &raw) == SQLITE_OK);
        Connection connection(raw);
        INFO(sqlite3_errmsg(raw));
        REQUIRE(connection.execute(sql.c_str()));
    }
    // `ago`: seconds before now.
    void ban(const std::string& jail, const std::string& ip, int ago, int bantime,
             int count) const {
        std::string rest = std::to_string(now_s - ago) + "," + std::to_string(bantime) + "," +
                           std::to_string(count) + ",'{\"failures\": 5}')";
        write_sql("INSERT INTO bans VALUES('" + jail + "','" + ip + "'," + rest + ";" +
                  "INSERT OR REPLACE INTO bips VALUES('" + ip + "','" + jail + "'," + rest);
    }
    Ran import(const std::string& options = "") const {
        return daemon.ctl("import fail2ban --bans --database " + database + " " + options);
    }
    std::string until(int ago, int bantime) const {
        return format_rfc3339(Instant{(now_s - ago + bantime) * 1'000'000});
    }
    void check_bans() {
        CHECK(bans_become("198.51.100.7 app active " + until(100, 7200) + " 2 5\n" +
                              "203.0.113.9 app active null 1 5\n",
                          {"ip", "jail", "state", "until", "offence", "hits"}));
    }
    // In force until known ends, over, of another jail.
    void fill() const {
        ban("app", "198.51.100.7", 9000, 3600, 1);
        ban("app", "198.51.100.7", 100, 7200, 2);
        ban("app", "203.0.113.9", 200, -1, 1);
        ban("app", "198.51.100.8", 4000, 3600, 2);
        ban("other", "198.51.100.9", 100, 3600, 1);
    }
    static constexpr const char* taken =
        "2 bans in force, to the end that fail2ban gave them\n"
        "2 bans over: remembered as offences\n"
        "1 ban of jail other left out, as bandd has no such jail\n"
        "  --jail manual takes them for the jail manual\n";
};

}  // namespace

TEST_CASE_METHOD(Migration, "fail2ban's bans go on in a bandd that runs, and over a restart") {
    fill();
    REQUIRE(daemon.start());
    Ran ran = import();
    CHECK(ran.out == taken);
    CHECK(ran.code == 1);
    check_bans();
    CHECK(in_set("app-ipv4", "198.51.100.7"));
    // Again: nothing is new.
    ran = import("--jail manual");
    CHECK(has(ran.out, "1 ban in force"));
    CHECK(has(ran.out, "4 bans taken over before"));
    CHECK(ran.code == 0);
    CHECK(daemon.ctl("unban 198.51.100.9").code == 0);
    check_bans();
    CHECK(has(daemon.ctl("history 198.51.100.7").out, "fail2ban: 5 failures"));
    // The third ban of one that had two.
    denied("198.51.100.8");
    denied("198.51.100.8");
    CHECK(bans_become("198.51.100.7 2\n198.51.100.8 3\n203.0.113.9 1\n", {"ip", "offence"}));
    CHECK(has(daemon.ctl("status app").out, "app"));
    daemon.stop(SIGKILL);
    REQUIRE(daemon.start());
    CHECK(bans_become("198.51.100.7 2\n198.51.100.8 3\n203.0.113.9 1\n", {"ip", "offence"}));
}

TEST_CASE_METHOD(Migration, "fail2ban's bans go on in a bandd that is started later") {
    fill();
    Ran ran = import();
    CHECK(ran.out == taken);
    CHECK(ran.code == 1);
    ran = import();
    CHECK(has(ran.out, "4 bans taken over before"));
    REQUIRE(daemon.start());
    check_bans();
    denied("198.51.100.8");
    denied("198.51.100.8");
    CHECK(bans_become("198.51.100.7 2\n198.51.100.8 3\n203.0.113.9 1\n", {"ip", "offence"}));
}

TEST_CASE_METHOD(Migration, "bans that fail2ban's lead to at once are told of") {
    write_file(dir / "jails/again.yaml",
               "again: {source: bans, maxretry: 2, findtime: 1d, bantime: 1w}\n");
    ban("app", "198.51.100.7", 9000, 3600, 1);
    ban("app", "198.51.100.7", 100, 7200, 2);
    std::string told = "1 ban more at once, by jails that count bans, as recidive does\n";
    SECTION("bandd runs") {
        REQUIRE(daemon.start());
        CHECK(has(import().out, told));
    }
    SECTION("it does not") {
        CHECK(has(import().out, told));
        REQUIRE(daemon.start());
    }
    CHECK(bans_become("198.51.100.7 app\n198.51.100.7 again\n", {"ip", "jail"}));
}

TEST_CASE_METHOD(Migration, "what is not taken of fail2ban's database is counted and said") {
    ban("app", "bob", 100, 3600, 1);
    ban("app", "198.51.100.7", -900000, 3600, 1);
    REQUIRE(daemon.start());
    Ran ran = import();
    CHECK(ran.code == 1);
    CHECK(ran.out ==
          "0 bans in force, to the end that fail2ban gave them\n"
          "2 rows left out: no address, as of \"bob\"\n"
          "2 rows left out: a time that cannot be, as of \"198.51.100.7\"\n");
    write_sql("UPDATE fail2banDb SET version = 9");
    ran = import();
    CHECK(ran.code == 2);
    CHECK(has(ran.out, "is of a newer fail2ban"));
    CHECK(bans().empty());
    CHECK(import("--jail nope").code == 2);
}

TEST_CASE_METHOD(Migration, "a jail that is stopped takes none of fail2ban's bans") {
    ban("app", "198.51.100.7", 100, 3600, 1);
    REQUIRE(daemon.start());
    REQUIRE(daemon.ctl("stop app").code == 0);
    Ran ran = import();
    CHECK(ran.code == 1);
    CHECK(has(ran.out, "1 ban of jail app left out, as it is stopped: bandctl start app\n"));
}

TEST_CASE_METHOD(Migration, "a hundred thousand bans of fail2ban's") {
#ifdef BANDD_ADDRESS_SANITIZER
    constexpr int many = 10'000;
#else
    constexpr int many = 100'000;
#endif
    write_sql(
        "INSERT INTO jails VALUES('app', 1);"
        "WITH RECURSIVE n(x) AS (VALUES(0) UNION ALL SELECT x + 1 FROM n WHERE x + 1 < " +
        std::to_string(many) +
        ") "
        "INSERT INTO bips SELECT (x / 65536 + 1) || '.7.' || (x / 256 % 256) || '.' || (x % "
        "256), 'app', " +
        std::to_string(now_s) + ", 3600, 1, '{}' FROM n");
    REQUIRE(daemon.start());
    Ran ran = import();
    CHECK(ran.out == std::to_string(many) + " bans in force, to the end that fail2ban gave them\n");
    CHECK(json("bans --limit 1")["total"] == many);
}

TEST_CASE_METHOD(Migration, "bandctl answers to fail2ban-client's name and words, as it does") {
    REQUIRE(daemon.start());
    std::string link = dir / "fail2ban-client";
    must("ln -s " + built("bandctl") + " " + link);
    auto client = [&](const std::string& words) {
        return sh(link + " -s " + dir / "run/socket" + " " + words);
    };
    auto says = [&](const std::string& words, const std::string& answer) {
        Ran ran = client(words);
        INFO(words);
        CHECK(ran.out == answer);
        CHECK(ran.code == 0);
    };
    says("ping", "Server replied: pong\n");
    says("status", "Status\n|- Number of jail:\t2\n`- Jail list:\tapp, manual\n");
    says("set app banip 203.0.113.9 203.0.113.10", "2\n");
    says("set app banip 203.0.113.9", "0\n");
    says("get app banip", "203.0.113.9 203.0.113.10\n");
    says("get app banip ,", "203.0.113.9,203.0.113.10\n");
    says("status app",
         "Status for the jail: app\n|- Filter\n|  |- Currently failed:\t0\n|  |- Total failed:\t0\n"
         "|  `- File list:\t" +
             log +
             "\n`- Actions\n   |- Currently banned:\t2\n"
             "   |- Total banned:\t2\n   `- Banned IP list:\t203.0.113.9 203.0.113.10\n");
    says("banned", "[{'app': ['203.0.113.9', '203.0.113.10']}, {'manual': []}]\n");
    says("banned 203.0.113.9 192.0.2.1", "[['app'], []]\n");
    CHECK(has(client("get app banip --with-time").out, " + 3600 = "));
    says("set app unbanip 203.0.113.9", "1\n");
    says("set app unbanip 203.0.113.9", "0\n");
    says("unban --all", "1\n");
    says("get app bantime", "3600\n");
    says("set app bantime 601", "601\n");
    says("get app maxretry", "2\n");
    says("get app logpath", "Current monitored log file(s):\n`- " + log + "\n");
    says("get app ignoreip", "No IP address/network is ignored\n");
    says("set app addignoreip 192.0.2.7",
         "These IP addresses/networks are ignored:\n`- 192.0.2.7\n");
    CHECK(client("set app banip 192.0.2.7").code == 255);
    says("set app delignoreip 192.0.2.7", "No IP address/network is ignored\n");
    CHECK(client("set app unbanip --report-absent 203.0.113.77").code == 255);
    CHECK(has(client("set app unbanip --report-absent 203.0.113.77").out,
              "not banned: ['203.0.113.77']"));
    says("set app banip 203.0.113.77", "1\n");
    says("set app unbanip --report-absent 203.0.113.77", "1\n");
    says("set app banip 203.0.113.77", "1\n");
    says("reload", "OK\n");
    says("get app banip", "203.0.113.77\n");
    says("reload --unban", "OK\n");
    says("get app banip", "\n");
    says("set app banip 203.0.113.77 203.0.113.78", "2\n");
    says("set manual banip 203.0.113.79", "1\n");
    says("restart app", "OK\n");
    says("get app banip", "203.0.113.77 203.0.113.78\n");
    says("restart --unban --if-exists nope", "OK\n");
    says("restart --unban app", "OK\n");
    says("get app banip", "\n");
    says("get manual banip", "203.0.113.79\n");
    says("reload --restart --unban manual", "OK\n");
    says("get manual banip", "\n");
    for (const char* words : {"restart", "restart --unban", "reload --bogus", "reload nope"}) {
        INFO(words);
        CHECK(client(words).code == 255);
    }
    for (const char* words : {"-V", "--version", "-h"}) CHECK(sh(link + " " + words).code == 0);
    says("flushlogs", "logs: flushed\n");
    Ran tested = client("-c " + dir.path() + " -t");
    CHECK(tested.code == 0);
    CHECK(has(tested.out, "OK: configuration test is successful\n"));
    write_file(dir / "broken/bandd.yaml", "jails: 5\n");
    CHECK(client("-c " + dir / "broken" + " --test").code == 255);
    says("reload app", "OK\n");
    says("stop app", "Jail stopped\n");
    says("start app", "Jail started\n");
    for (const char* words : {"status nope", "set nope banip 192.0.2.1", "bogus", "", "start",
                              "get app failregex", "set app banip 999.1.1.1"}) {
        INFO(words);
        CHECK(client(words).code == 255);
    }
    // Of scripts that name fail2ban's own places.
    Ran own = sh(link + " -s /var/run/fail2ban/fail2ban.sock ping");
    CHECK(own.code == 255);
    CHECK(has(own.out, "/run/bandd/bandd.sock"));
    // By its own name it knows those that are clear.
    CHECK(daemon.ctl("get app maxretry").out == "2\n");
    CHECK(daemon.ctl("ping").out == "Server replied: pong\n");
    CHECK(has(daemon.ctl("banned").out, "{'app': []}"));
}

namespace {

// A small fail2ban, in files for root alone.
struct OldConfiguration {
    TempDirectory dir;
    std::string log = dir / "app.log";

    OldConfiguration() {
        write_file(dir / "f2b/fail2ban.conf", "[Definition]\ndbpurgeage = 1d\n");
        write_file(dir / "f2b/filter.d/app.conf",
                   "[Definition]\nfailregex = ^\\s*denied \\S+ <HOST>$\n");
        write_file(dir / "f2b/action.d/post.conf",
                   "[Definition]\nactionban = post <ip> <key>\n[Init]\nkey = none\n");
        write_file(dir / "f2b/jail.conf",
                   "[DEFAULT]\nfindtime = 600\nmaxretry = 5\nbantime = 600\nbackend = auto\n"
                   "[app]\nenabled = true\nfilter = app\nlogpath = " +
                       log + "\naction = post[key=secret]\n");
        std::filesystem::permissions(dir / "f2b/jail.conf", std::filesystem::perms(0600));
    }
    // At this second of 2026-11-20 10:00.
    void denied(const std::string& ip, std::initializer_list<int> seconds) const {
        for (int second : seconds)
            append_file(log, format_rfc3339(Instant{utc_from_civil({2026, 11, 20, 10, 0, 0}).us +
                                                    second * 1'000'000LL}) +
                                 " denied bob " + ip + "\n");
    }
    Ran import(const std::string& words) const {
        return sh(built("bandctl") + " import fail2ban --from " + dir / "f2b" + " " + words);
    }
};

}  // namespace

TEST_CASE_METHOD(OldConfiguration, "what was for root alone stays so, also over what was not") {
    write_file(dir / "out/jails/app.yaml", "old");
    Ran ran = import("--force --to " + dir / "out");
    INFO(ran.out);
    REQUIRE(ran.code == 0);
    auto mode = [&](const char* file) { return sh("stat -c %a " + dir / "out/" + file).out; };
    CHECK(mode("jails/app.yaml") == "600\n");
    CHECK(mode("filters/app.yaml") == "644\n");
    CHECK(mode("bandd.yaml") == "644\n");
    CHECK(has(ran.out, "1 file for root alone, as fail2ban's were\n"));
}

TEST_CASE_METHOD(OldConfiguration, "what replaces a link is no more open than what that named") {
    write_file(dir / "kept.yaml", "defaults: {maxretry: 3}\n");
    std::filesystem::permissions(dir / "kept.yaml", std::filesystem::perms(0600));
    std::filesystem::create_directories(dir / "out");
    std::filesystem::create_symlink(dir / "kept.yaml", dir / "out/bandd.yaml");
    REQUIRE(import("--force --to " + dir / "out").code == 0);
    CHECK(sh("stat -c '%F %a' " + dir / "out/bandd.yaml").out == "regular file 600\n");
    CHECK(sh("cat " + dir / "kept.yaml").out == "defaults: {maxretry: 3}\n");
}

TEST_CASE_METHOD(OldConfiguration, "whom the old bandd.yaml exempted stays exempt") {
    std::string out = dir / "out";
    write_file(out + "/bandd.yaml",
               "http: {listen: \"tcp://127.0.0.1:9180\"}\ndefaults:\n  maxretry: 3\n"
               "  ignoreip:\n    - 198.51.100.5\n    - \"2001:db8::/48\"\n    - admin.example\n");
    for (int turn = 0; turn < 2; ++turn) {
        Ran ran = import("--force --to " + out);
        INFO(ran.out);
        REQUIRE(ran.code == 0);
        CHECK(has(ran.out,
                  "ignoreip [198.51.100.5, 2001:db8::/48, admin.example], which "
                  "bandd.yaml had, is kept"));
        if (turn == 0)
            CHECK(has(ran.out,
                      "what the old bandd.yaml said of http, defaults: maxretry: it is in "
                      "the copy that is kept of it"));
    }
    std::string config = must(built("bandctl") + " --config " + out + " config app");
    for (const char* one : {"198.51.100.5", "2001:db8::/48", "admin.example"})
        CHECK(has(config, one));
    write_file(out + "/bandd.yaml", "defaults: [\n");
    CHECK(has(import("--force --to " + out).out, "the old bandd.yaml cannot be read"));
}

TEST_CASE_METHOD(OldConfiguration, "the next import removes what a killed one left") {
    std::string out = dir / "out";
    for (const char* name : {"/jails/app.yaml.new-77", "/bandd.yaml.new-77", "/jails/app.new-one"})
        write_file(out + name, "old");
    Ran ran = import("--force --to " + out);
    INFO(ran.out);
    CHECK(has(ran.out, "2 files of an import that was killed are removed"));
    CHECK(must("ls " + out + " " + out + "/jails | grep new") == "app.new-one\n");
}

TEST_CASE_METHOD(OldConfiguration, "a jail that is put aside is the same at the next import") {
    std::string out = dir / "out";
    write_file(dir / "f2b/filter.d/bad3.conf",
               "[Definition]\nfailregex = ^(?<=a+)denied \\w+ <HOST>$\n");
    append_file(dir / "f2b/jail.conf",
                "[bad3]\nenabled = true\nfilter = bad3\nlogpath = " + log + "\n");
    Ran first = import("--force --to " + out);
    INFO(first.out);
    std::string off = read_file(out + "/jails/bad3.yaml.off");
    INFO(off);
    CHECK(has(off, "in " + out));
    CHECK_FALSE(has(off, "bandctl-"));
    Ran second = import("--force --to " + out);
    CHECK(read_file(out + "/jails/bad3.yaml.off") == off);
    CHECK_FALSE(has(second.out, "bad3.yaml.off was there and is replaced"));
}

TEST_CASE_METHOD(OldConfiguration,
                 "what --force writes over is kept and said, and no mode gets wider") {
    std::string out = dir / "out";
    write_file(out + "/bandd.yaml", "log: {level: debug}\n");
    write_file(out + "/filters/app.yaml", "old");
    write_file(out + "/jails/mine.yaml", "mine: {enabled: false}\n");
    must("chmod 600 " + out + "/bandd.yaml; chmod 640 " + out + "/filters/app.yaml");
    Ran ran = import("--force --to " + out);
    INFO(ran.out);
    REQUIRE(ran.code == 0);
    auto mode = [&](const char* file) { return sh("stat -c %a " + out + "/" + file).out; };
    CHECK(mode("bandd.yaml") == "600\n");
    CHECK(mode("filters/app.yaml") == "640\n");
    CHECK(read_file(out + "/bandd.yaml.bak") == "log: {level: debug}\n");
    CHECK(mode("bandd.yaml.bak") == "600\n");
    CHECK(has(ran.out,
              "bandd.yaml was there and is replaced; the old one is " + out + "/bandd.yaml.bak\n"));
    CHECK(has(ran.out, "filters/app.yaml was there and is replaced"));
    CHECK(has(ran.out, "1 file of before stays in force: jails/mine.yaml\n"));
    // Nothing is new: nothing is replaced, and the first copy stays.
    ran = import("--force --to " + out);
    CHECK_FALSE(has(ran.out, "replaced"));
    write_file(out + "/bandd.yaml", "log: {level: info}\n");
    CHECK(has(import("--force --to " + out).out, "/bandd.yaml.bak-2\n"));
    CHECK(read_file(out + "/bandd.yaml.bak") == "log: {level: debug}\n");
    // All or nothing.
    must("rm -rf " + out + "/*; mkdir -p " + out + "/filters/app.yaml");
    write_file(out + "/bandd.yaml", "log: {level: debug}\n");
    ran = import("--force --to " + out);
    CHECK(ran.code == 1);
    CHECK(must("cd " + out + "; find . -type f | sort") == "./bandd.yaml\n");
    CHECK(read_file(out + "/bandd.yaml") == "log: {level: debug}\n");
}

TEST_CASE_METHOD(OldConfiguration,
                 "a jail that bandd does not take is put aside, the others are used") {
    write_file(dir / "f2b/filter.d/bad.conf", "[Definition]\nfailregex = ^denied (<HOST>$\n");
    append_file(dir / "f2b/jail.conf",
                "[zero]\nenabled = true\nfilter = app\nmaxretry = 0\nlogpath = " + log +
                    "\n[nolog]\nenabled = true\nfilter = app\n[unknown]\nenabled = "
                    "true\nfilter = app\nlogpath = %(nosuch)s\n[bracket]\nenabled = "
                    "true\nfilter = bad\nlogpath = " +
                    log + "\n");
    std::string out = dir / "out";
    Ran ran = import("--to " + out);
    INFO(ran.out);
    REQUIRE(ran.code == 0);
    CHECK(has(ran.out, "5 jails (1 enabled)"));
    for (const char* name : {"zero", "nolog", "unknown", "bracket"}) {
        INFO(name);
        CHECK(has(read_file(out + "/jails/" + name + ".yaml.off"), "# bandd does not take this: "));
        CHECK(has(ran.out, "/" + std::string(name) + ".yaml.off, and not used"));
    }
    Ran check = sh(built("bandctl") + " check " + out);
    INFO(check.out);
    CHECK(check.code == 0);
    CHECK(has(check.out, "1 jail"));
}

TEST_CASE_METHOD(OldConfiguration, "compare: whom fail2ban alone would have banned, and why") {
    denied("203.0.113.1", {0, 1, 2, 3, 4});
    denied("2001:db8::1", {10, 11, 12});
    denied("2001:db8::2", {13, 14});
    // ignoreself, on both sides.
    denied("127.0.0.1", {15, 16, 17, 18, 19});
    // What was before is taken for evenly spread.
    denied("203.0.113.2", {20, 21, 22, 520, 921, 922});
    // No fail2ban-regex.
    Ran ran = sh("PATH=/nowhere; " + built("bandctl") + " import fail2ban --from " + dir / "f2b" +
                 " --compare " + log);
    CHECK(ran.code == 0);
    CHECK(ran.out ==
          "app: 1 banned by both, 1 by fail2ban alone, 1 by bandd alone; 2 bans there, 2 here\n"
          "  fail2ban alone: 203.0.113.2: fail2ban estimates the failures within findtime: it came "
          "to 5, there were 4 at most\n"
          "  bandd alone: 2001:db8::/64: 2 addresses of one block count together here\n"
          "app: fail2ban-regex could not be asked, so both sides count the lines that bandd's "
          "filters find; only how they count is compared\n");
    if (sh("command -v fail2ban-regex").code != 0) return;
    ran = import("--compare " + log);
    CHECK(has(ran.out, "app: 1 banned by both, 1 by fail2ban alone"));
    CHECK_FALSE(has(ran.out, "could not be asked"));
}
