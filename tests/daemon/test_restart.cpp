// SPDX-License-Identifier: GPL-2.0-or-later
// The running daemon over reloads, restarts, kills, moved states and set clocks: nothing is
// forgotten or counted twice.
#include <algorithm>
#include <csignal>
#include <fstream>
#include <sstream>

#include "os/clock.h"
#include "support/setup.h"

using namespace bandd;

TEST_CASE_METHOD(AppSetup, "what is added to ignoreip is lifted, by a reload and by a start") {
    auto configure_two = [&](const std::string& global, const std::string& own) {
        configure(
            "  app: {logpath: app.log, maxretry: 2}\n  other: {logpath: other.log, filter: "
            "app, maxretry: 1, ban_prefix: {ipv4: 24}" +
                own + "}\n",
            global);
    };
    write_file(dir / "other.log", "");
    configure_two("", "");
    start();
    for (const char* ip : {"203.0.113.1", "203.0.113.1", "203.0.114.1", "203.0.114.1"}) denied(ip);
    for (const char* ip : {"203.0.113.1", "203.0.114.1"}) denied(ip, dir / "other.log");
    REQUIRE(daemon.ctl("ban 203.0.115.1 --jail app --force").code == 0);
    REQUIRE(
        bans_become("203.0.113.0/24 other active\n203.0.113.1 app active\n"
                    "203.0.114.0/24 other active\n203.0.114.1 app active\n"
                    "203.0.115.1 app active\n"));
    std::string ignore_in_all = "defaults: {ignoreip: [203.0.113.1, 203.0.115.1]}\n";
    auto check_lifted = [&] {
        REQUIRE(
            bans_become("203.0.114.0/24 other active\n203.0.114.1 app active\n"
                        "203.0.115.1 app active\n"));
        std::string why = "why=\"it is ignored or our own, or holds such an address\"";
        CHECK(daemon.said("unban 203.0.113.1 jail=app " + why));
        CHECK(daemon.said("unban 203.0.113.0/24 jail=other " + why));
        CHECK_FALSE(in_set("app-ipv4", "203.0.113.1"));
        CHECK_FALSE(has(sh("nft list table inet bandd").out, "203.0.113.0"));
        CHECK(in_set("app-ipv4", "203.0.114.1"));
        CHECK(in_set("app-ipv4", "203.0.115.1"));
        Ran explain = daemon.ctl("explain 203.0.113.1");
        INFO(explain.out);
        CHECK(has(explain.out, "never banned: ignoreip holds it"));
        CHECK(has(explain.out, "the ban of 203.0.113.1 since "));
        CHECK(has(explain.out, "the ban of 203.0.113.0/24 since "));
        CHECK(has(explain.out, "its reason: denied"));
        CHECK(has(daemon.ctl("explain 203.0.115.1").out, "made with --force"));
        CHECK(has(daemon.ctl("history 203.0.113.1").out, "ignored since"));
    };
    SECTION("a reload, all jails") {
        configure_two(ignore_in_all, "");
        CHECK(daemon.ctl("reload").code == 0);
        check_lifted();
        // One that was made in spite of ignoreip outlives restarts as well.
        daemon.stop(SIGTERM);
        start();
        check_lifted();
    }
    SECTION("a reload, one jail") {
        configure_two("", ", ignoreip: [203.0.113.77]");
        CHECK(daemon.ctl("reload").code == 0);
        CHECK(
            bans_become("203.0.113.1 app active\n203.0.114.0/24 other active\n"
                        "203.0.114.1 app active\n203.0.115.1 app active\n"));
    }
    SECTION("a start, from the state") {
        daemon.stop(SIGKILL);
        configure_two(ignore_in_all, "");
        start();
        check_lifted();
    }
    SECTION("a start, from the kernel's sets") {
        daemon.stop(SIGKILL);
        must("rm -f " + dir / "run/state.db" + "*");
        must("> " + log + "; > " + dir / "other.log");
        configure_two(ignore_in_all, "");
        start();
        // That one was forced is known to the state only.
        REQUIRE(bans_become("203.0.114.0/24 other active\n203.0.114.1 app active\n"));
        CHECK_FALSE(in_set("app-ipv4", "203.0.113.1"));
        CHECK_FALSE(has(sh("nft list table inet bandd").out, "203.0.113.0"));
    }
    SECTION("an address that becomes our own") {
        must("ip address add 203.0.114.1/32 dev lo");
        CHECK(
            bans_become("203.0.113.0/24 other active\n203.0.113.1 app active\n"
                        "203.0.115.1 app active\n"));
        CHECK_FALSE(in_set("app-ipv4", "203.0.114.1"));
    }
}

TEST_CASE_METHOD(AppSetup, "a reload swaps all or nothing; unchanged jails keep windows and bans") {
    configure(
        "  app: {logpath: app.log, maxretry: 2}\n  other: {logpath: other.log, filter: app, "
        "maxretry: 1}\n");
    write_file(dir / "other.log", "");
    REQUIRE(daemon.start());
    denied("203.0.113.1");
    denied("203.0.113.1");
    denied("203.0.113.2");
    denied("203.0.113.3", dir / "other.log");
    REQUIRE(bans_become("203.0.113.1 app active\n203.0.113.3 other active\n"));
    SECTION("a bad configuration changes nothing and says why") {
        configure("  app: {logpath: app.log, maxretri: 2}\n");
        Ran ran = daemon.ctl("reload");
        INFO(ran.out);
        CHECK(ran.code == 2);
        CHECK(
            has(ran.out, "unknown key \"maxretri\": in jail \"app\"; did you mean \"maxretry\"?"));
        CHECK(daemon.said("the configuration was not changed"));
        CHECK(bans() == "203.0.113.1 app active\n203.0.113.3 other active\n");
    }
    SECTION("what check refuses, and what it only warns of, a reload refuses and takes") {
        auto both = [&] {
            auto check = sh(built("bandctl") + " check " + dir.path());
            auto reload = daemon.ctl("reload");
            INFO(check.out << reload.out);
            CHECK(check.code == reload.code);
            return check.out + reload.out;
        };
        std::string good = read_file(dir / "bandd.yaml");
        std::string filter = read_file(dir / "filters/app.yaml");
        write_file(dir / "filters/app.yaml",
                   filter + "  - {line: 'denied bob 192.0.2.1', match: none}\n");
        CHECK(has(both(), "should be none"));
        write_file(dir / "filters/app.yaml", filter);
        write_file(dir / "bandd.yaml", good + "access: {users_file: none}\n");
        CHECK(has(both(), "users_file: cannot read \"" + dir / "none" + "\""));
        CHECK(daemon.said("users_file: cannot read \"" + dir / "none" + "\""));
        // A start warns of it as well, and takes the file once it is there.
        daemon.stop(SIGTERM);
        std::string before = daemon.log();
        start();
        CHECK(has(daemon.log().substr(before.size()),
                  "users_file: cannot read \"" + dir / "none" + "\""));
        write_file(dir / "none", "joe|DE\n");
        CHECK(daemon.said("was read again: 1 users"));
        must("rm " + dir / "none");
        write_file(dir / "bandd.yaml", good + "jails: [\n");
        std::string broken = both();  // not "cannot reach bandd"
        CHECK(has(broken, "bandctl: cannot tell where bandd's socket is; mend that first"));
        CHECK_FALSE(has(broken, "cannot reach"));
        write_file(dir / "bandd.yaml", good);
        CHECK(has(both(), "loaded: "));
    }
    SECTION("one whose database is broken leaves the log where it is") {
        write_file(dir / "geo.mmdb", "broken");
        write_file(dir / "elsewhere.log", "");
        must("chmod 666 " + dir / "elsewhere.log");
        configure("  app: {logpath: app.log, maxretry: 2}\n",
                  "geoip: geo.mmdb\nlog: {target: " + dir / "elsewhere.log" + ", level: error}\n");
        CHECK(daemon.ctl("reload").code == 2);
        CHECK(daemon.said("the configuration was not changed"));
        CHECK(daemon.ctl("ban 203.0.113.4 --jail app").code == 0);
        CHECK(daemon.said("ban 203.0.113.4 jail=app"));
        CHECK(read_file(dir / "elsewhere.log").empty());
        CHECK(daemon.ctl("unban 203.0.113.4").code == 0);
    }
    SECTION("a good one is taken; the jail that is gone lifts its bans") {
        configure(
            "  app: {logpath: app.log, maxretry: 2}\n  new: {logpath: new.log, filter: app, "
            "maxretry: 1}\n");
        kill(daemon.pid(), SIGHUP);
        REQUIRE(daemon.said("configuration loaded"));
        CHECK(bans_become("203.0.113.1 app active\n"));
        CHECK_FALSE(has(sh("nft list ruleset").out, "other-ipv4"));
        denied("203.0.113.4", dir / "new.log");
        CHECK(bans_become("203.0.113.1 app active\n203.0.113.4 new active\n"));
    }
    denied("203.0.113.2");  // the second hit: the first one, before the reload, still counts
    CHECK(wait_for([&] { return has(bans(), "203.0.113.2 app active"); }));
}

TEST_CASE_METHOD(AppSetup, "a start that fails says each reason once, and ends with 2") {
    configure("  app: {logpath: app.log, maxretri: 2, findtim: 1h}\n");
    Ran ran = sh(built("bandd") + " --config " + dir.path());
    INFO(ran.out);
    CHECK(ran.code == 2);
    CHECK(std::ranges::count(ran.out, '\n') == 2);
    CHECK(has(ran.out, "unknown key \"maxretri\""));
    CHECK(has(ran.out, "unknown key \"findtim\""));
}

TEST_CASE_METHOD(AppSetup, "a restart forgets nothing: windows, bans, offences, log positions") {
    configure_app("    bantime: 1h\n    bantime.increment: {factor: 3}\n");
    REQUIRE(daemon.start());
    denied("203.0.113.1");
    denied("203.0.113.1");
    denied("203.0.113.2");
    REQUIRE(bans_become("203.0.113.1 app active\n"));
    Json before = json("bans")["bans"][0];
    CHECK(daemon.stop(SIGTERM) == 0);
    CHECK(in_set("app-ipv4", "203.0.113.1"));
    denied("203.0.113.2");  // while it is down
    REQUIRE(daemon.start());
    REQUIRE(bans_become("203.0.113.1 app active\n203.0.113.2 app active\n"));
    Json all = json("bans");
    for (const Json& ban : all["bans"])
        if (ban["ip"] == "203.0.113.1") CHECK(ban == before);
    CHECK(daemon.ctl("unban 203.0.113.1").code == 0);
    denied("203.0.113.1");
    denied("203.0.113.1");
    REQUIRE(bans_become("203.0.113.1 app active\n203.0.113.2 app active\n"));
    CHECK(has(daemon.ctl("explain 203.0.113.1").out, "ban number 2"));
    CHECK(has(must("nft list set inet bandd app-ipv4"), "203.0.113.1 timeout 3h"));
}

TEST_CASE_METHOD(
    AppSetup,
    "a broken state is moved aside; bans come back from the kernel, counts from the logs") {
    configure_app("    bantime: 2h\n");
    REQUIRE(daemon.start());
    for (int i = 1; i <= 3; ++i)
        for (int hit = 0; hit < 2; ++hit) denied("203.0.113." + std::to_string(i));
    REQUIRE(wait_for([&] { return json("bans")["total"] == 3; }));
    daemon.stop(SIGTERM);
    std::string state = dir / "run/state.db";
    // What SQLite's log beside it could bring back goes, too.
    std::filesystem::remove(state + "-wal");
    std::filesystem::remove(state + "-shm");
    SECTION("it is no database at all") { write_file(state, std::string(50'000, 'x')); }
    SECTION("pages in its middle are broken") {
        std::string bytes = read_file(state);
        // Everything but the first pages: the schema is readable, the tables are not.
        for (std::size_t i = 4096; i < bytes.size(); ++i) bytes[i] = 'x';
        write_file(state, bytes);
    }
    must("chown nobody " + state + "*");
    REQUIRE(daemon.start());
    CHECK(daemon.said("it was moved to \"" + state + ".broken-"));
    CHECK(wait_for([&] { return json("bans")["total"] == 3; }));
    CHECK(has(daemon.ctl("explain 203.0.113.1").out, "found in the kernel"));
    CHECK(in_set("app-ipv4", "203.0.113.3"));
    denied("203.0.113.9");
    denied("203.0.113.9");
    CHECK(wait_for([&] { return json("bans")["total"] == 4; }));
}

TEST_CASE_METHOD(AppSetup, "a state that is missing at a start: bans come back from the kernel") {
    configure("  app: {logpath: app.log, maxretry: 1, findtime: 1s, bantime: 2h}\n");
    REQUIRE(daemon.start());
    denied("203.0.113.1");
    CHECK(daemon.ctl("ban 198.51.100.0/24").code == 0);
    REQUIRE(bans_become("198.51.100.0/24 manual active\n203.0.113.1 app active\n"));
    daemon.ctl("history");  // writes what is not written yet
    must("sleep 1.5");
    daemon.stop(SIGKILL);
    std::string state = dir / "run/state.db";
    SECTION("all of it") { must("rm " + state + "*"); }
    SECTION("its tables") { must("truncate -s 0 " + state + "*"); }
    SECTION("its log") { must("rm " + state + "-wal"); }
    REQUIRE(daemon.start());
    CHECK(bans_become("198.51.100.0/24 manual active\n203.0.113.1 app active\n"));
    CHECK(in_set("app-ipv4", "203.0.113.1"));
}

TEST_CASE_METHOD(AppSetup, "a state that breaks or goes while bandd runs is written anew") {
    configure("  app: {logpath: app.log, maxretry: 3, bantime: 2h}\n");
    REQUIRE(daemon.start());
    for (int hit = 0; hit < 3; ++hit) denied("203.0.113.1");
    for (int hit = 0; hit < 2; ++hit) denied("203.0.113.2");
    REQUIRE(bans_become("203.0.113.1 app active\n"));
    daemon.ctl("history");  // writes what is not written yet
    std::string state = dir / "run/state.db";
    SECTION("it is deleted") {
        must("rm " + state + "*");
        denied("203.0.113.3");
        CHECK(daemon.said("was taken away while bandd had it open; it is written anew"));
    }
    SECTION("all its pages are noise") {
        must("head -c 200000 /dev/urandom | dd conv=notrunc status=none of=" + state +
             "; truncate -s 0 " + state + "-wal");
        denied("203.0.113.3");
        CHECK(daemon.said("was overwritten while bandd had it open; it is written anew"));
        CHECK(daemon.said("it was moved to \"" + state + ".broken-", 20));
    }
    CHECK(wait_for([&] { return !json("status").contains("state_error"); }, 20));
    CHECK(daemon.said("is written again", 20));
    daemon.stop(SIGKILL);
    must("nft flush ruleset");
    REQUIRE(daemon.start());
    CHECK(bans_become("203.0.113.1 app active\n"));
    denied("203.0.113.2");
    CHECK(bans_become("203.0.113.1 app active\n203.0.113.2 app active\n"));
    CHECK_FALSE(daemon.log().contains("not an error"));
}

TEST_CASE_METHOD(AppSetup,
                 "the state moves to another machine: export beside the running daemon, import "
                 "into a stopped one") {
    configure_app("    bantime: 1h\n    bantime.increment: true\n");
    REQUIRE(daemon.start());
    for (const char* ip :
         {"203.0.113.1", "203.0.113.1", "203.0.113.2", "2001:db8::1", "2001:db8::2"})
        denied(ip);
    REQUIRE(bans_become("203.0.113.1 app active\n2001:db8::/64 app active\n"));
    CHECK(daemon.ctl("unban 2001:db8::1").code == 0);
    CHECK(daemon.ctl("ban 203.0.113.0 --jail app --force").code == 0);
    CHECK(daemon.ctl("allow 198.51.100.9 -r office").code == 0);
    Json before = json("bans");
    CHECK(has(before.dump(), "\"even_if_ignored\":true"));
    daemon.ctl("history");  // writes what is not written yet
    std::string file = dir / "state.json";
    CHECK(wait_for([&] { return has(daemon.ctl("state export").out, "\"why\":1"); }));
    CHECK(daemon.ctl("state export " + file).code == 0);
    // A backup is whole or not there, for its owner, and nobody else's file.
    CHECK(must("stat -c %a " + file) == "600\n");
    must("chmod 644 " + file + "; echo precious > " + dir / "precious; ln -s " + dir / "precious " +
         dir / "link; ls -A " + dir.path() + " > " + dir / "before");
    CHECK(daemon.ctl("state export " + file).code == 0);
    CHECK(daemon.ctl("state export " + dir / "link").code == 0);
    CHECK(must("stat -c %a " + file + " " + dir / "link") == "600\n600\n");
    CHECK(read_file(dir / "precious") == "precious\n");
    CHECK(has(daemon.ctl("state export " + dir / "run/state.db").out, "it is the state itself"));
    CHECK(must("ls -A " + dir.path()) == read_file(dir / "before"));
    Ran busy = daemon.ctl("state import " + file);
    CHECK(busy.code == 2);
    CHECK(has(busy.out, "is using it; stop that one first"));
    daemon.stop(SIGKILL);
    must("rm " + dir / "run/state.db" + "*; nft flush ruleset; : > " + log);
    Ran bad = sh("echo '{\"ban\":{\"jail\":\"app\",\"prefix\":\"x\"}}' | " + built("bandctl") +
                 " --config " + dir.path() + " state import");
    CHECK(bad.code == 2);
    CHECK(bad.out ==
          "-:1: \"ban\": \"prefix\": must be an address or a CIDR block; nothing was imported\n");
    must("head -n 3 " + file + " > " + dir / "cut; sed 2d " + file + " > " + dir / "short; : > " +
         dir / "empty");
    CHECK(has(daemon.ctl("state import " + dir / "cut").out, "ends too early: it is cut"));
    CHECK(has(daemon.ctl("state import " + dir / "short").out, "nothing was imported"));
    CHECK(has(daemon.ctl("state import " + dir / "empty").out, "is no export of a state"));
    Ran done = daemon.ctl("state import " + file);
    CHECK(done.out == "imported 2 bans and 1 earlier ban into " + dir / "run/state.db" + "\n");
    REQUIRE(daemon.start());
    CHECK(bans_become("203.0.113.0 app active\n203.0.113.1 app active\n"));
    CHECK(json("bans") == before);
    CHECK(json("allow list")["allowed"][0]["reason"] == "office");
    CHECK(in_set("app-ipv4", "203.0.113.1"));
    denied("203.0.113.2");  // its first hit came along
    CHECK(bans_become("203.0.113.0 app active\n203.0.113.1 app active\n203.0.113.2 app active\n"));
    CHECK(has(daemon.ctl("explain 2001:db8::1").out, "banned 1 time so far"));
}

TEST_CASE_METHOD(AppSetup,
                 "a clock that is set, or stood still while the machine slept: bans end in time") {
    std::string file = dir / "shift";
    auto set_clock = [&](std::int64_t seconds) {
        std::fstream out(file, std::ios::binary | std::ios::in | std::ios::out);
        out.write(reinterpret_cast<const char*>(&seconds), sizeof seconds);
    };
    write_file(file, std::string(8, '\0'));
    DaemonProcess shifted(dir.path(), "env ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD=" +
                                          built("libshifted_clock.so") +
                                          " BANDD_CLOCK_SHIFT=" + file);
    configure_app("    bantime: 1h\n");
    REQUIRE(shifted.start());
    auto bans_now = [&] {
        Json all = Json::parse(shifted.ctl("bans --json").out, nullptr, false);
        std::string text;
        for (const Json& ban : all["bans"])
            text += ban["ip"].get<std::string>() + " " + ban["until"].get<std::string>() + "\n";
        return text;
    };
    auto expires = [&](const std::string& text) {
        bool done = wait_for(
            [&] { return has(sh("nft list set inet bandd app-ipv4").out, "expires " + text); });
        if (!done) UNSCOPED_INFO(sh("nft list set inet bandd app-ipv4").out << shifted.log());
        return done;
    };
    denied("203.0.113.1");
    denied("203.0.113.1");
    REQUIRE(expires("59m"));
    std::string bans_then = bans_now();
    SECTION("forward and back: the kernel gets the time that is left by the new clock") {
        set_clock(1800);
        CHECK(expires("29m"));
        CHECK(bans_now() == bans_then);
        set_clock(-7200);
        CHECK(expires("2h59m"));
        CHECK(bans_now() == bans_then);
        denied("203.0.113.2");
        denied("203.0.113.2");
        CHECK(wait_for([&] { return in_set("app-ipv4", "203.0.113.2"); }));
    }
    SECTION("past the end: the ban is over, and a hit from before does not count") {
        denied("203.0.113.2");
        REQUIRE(wait_for([&] { return has(shifted.ctl("explain 203.0.113.2").out, "1 of 2"); }));
        set_clock(2 * 3600);
        CHECK(wait_for([&] { return bans_now().empty(); }));
        CHECK(wait_for([&] { return !in_set("app-ipv4", "203.0.113.1"); }));
        denied("203.0.113.2");
        denied("203.0.113.3");
        denied("203.0.113.3");
        CHECK(wait_for([&] { return in_set("app-ipv4", "203.0.113.3"); }));
        CHECK_FALSE(in_set("app-ipv4", "203.0.113.2"));
    }
    CHECK(shifted.stop(SIGTERM) == 0);
}

TEST_CASE_METHOD(AppSetup, "what a person ordered survives a kill right after") {
    configure_app("", "checkpoint: 1h\n");
    REQUIRE(daemon.start());
    CHECK(daemon.ctl("ban 203.0.113.1").code == 0);
    CHECK(daemon.ctl("ban 203.0.113.2").code == 0);
    CHECK(daemon.ctl("unban 203.0.113.1").code == 0);
    must("sleep 0.5");
    daemon.stop(SIGKILL);
    REQUIRE(daemon.start());
    CHECK(bans_become("203.0.113.2 manual active\n"));
    CHECK_FALSE(in_set("manual-ipv4", "203.0.113.1"));
}

TEST_CASE_METHOD(AppSetup, "lines of one connection are joined over a kill") {
    write_file(
        dir / "filters/old.yaml",
        "dialect: fail2ban\nfailregex:\n"
        "  - '^ mx app\\[<F-MLFID>\\d+</F-MLFID>\\]: <F-NOFAIL>connect</F-NOFAIL> from <HOST>$'\n"
        "  - '^ mx app\\[<F-MLFID>\\d+</F-MLFID>\\]: refused$'\n");
    write_file(dir / "filters/two.yaml",
               "dialect: fail2ban\nmaxlines: 2\nfailregex:\n  - 'begin$\\n.* end <HOST>$'\n");
    configure("  old: {logpath: app.log, maxretry: 1}\n  two: {logpath: app.log, maxretry: 1}\n",
              "checkpoint: 0.1s\n");
    REQUIRE(daemon.start());
    append_file(log, format_rfc3339(now()) + " mx app[7]: connect from 203.0.113.7\n" +
                         format_rfc3339(now()) + " mx app: begin\n");
    REQUIRE(wait_for([&] { return json("status")["lines"] == 2; }));
    REQUIRE(wait_for([&] {
        return has(
            sh("python3 -c 'import sqlite3, sys; print(sqlite3.connect(\"file:" + dir.path() +
               "/run/state.db?mode=ro\", uri=True).execute(\"select value from "
               "meta where name=?\", (\"note conversations\",)).fetchall())'")
                .out,
            "begin");
    }));
    daemon.stop(SIGKILL);
    REQUIRE(daemon.start());
    append_file(log, format_rfc3339(now()) + " mx app: end 203.0.113.8\n" + format_rfc3339(now()) +
                         " mx app[7]: refused\n");
    CHECK(bans_become("203.0.113.7 old active\n203.0.113.8 two active\n"));
}

TEST_CASE_METHOD(AppSetup, "stop: flush takes the bans out of the kernel") {
    must("ipset create users hash:net; ipset add users 192.0.2.1");
    configure(
        "  app:\n    logpath: app.log\n    maxretry: 1\n    action: [nftables, {ipset: {set: "
        "users}}]\n",
        "stop: flush\n");
    REQUIRE(daemon.start());
    denied("203.0.113.9");
    REQUIRE(bans_become("203.0.113.9 app active\n"));
    CHECK(daemon.stop(SIGINT) == 0);
    CHECK_FALSE(has(sh("nft list ruleset").out, "bandd"));
    CHECK(must("ipset save users | grep ^add") == "add users 192.0.2.1\n");
}

TEST_CASE_METHOD(AppSetup, "a second daemon on the same state refuses to start") {
    configure_app();
    REQUIRE(daemon.start());
    Ran second = sh("timeout 10 " + built("bandd") + " --config " + dir.path());
    INFO(second.out);
    CHECK(second.code == 2);
    CHECK(has(second.out,
              "state \"" + dir / "run/state.db" + "\": another bandd (process " +
                  std::to_string(daemon.pid()) +
                  ") is using it; stop that one first, or give this one another \"state:\""));
    denied("203.0.113.9");
    denied("203.0.113.9");
    CHECK(bans_become("203.0.113.9 app active\n"));  // the first one is unharmed
}

TEST_CASE_METHOD(AppSetup,
                 "a ban that no checkpoint knew stays in the kernel through the next start") {
    configure_app("", "checkpoint: 1h\n");
    REQUIRE(daemon.start());
    denied("203.0.113.9");
    denied("203.0.113.9");
    REQUIRE(wait_for([&] { return bans() == "203.0.113.9 app active\n"; }));
    daemon.stop(SIGKILL);
    must("nft add element inet bandd app-ipv4 '{ 203.0.113.77 timeout 1h }'");
    Background monitor("exec nft monitor elements", dir / "elements");
    int tries = 100;  // until the monitor listens
    REQUIRE(wait_for([&] {
        must("nft add element inet bandd app-ipv4 '{ 203.0.113." + std::to_string(tries++) +
             " timeout 1h }'");
        return has(read_file(dir / "elements"), "add element");
    }));
    REQUIRE(daemon.start());
    // What nobody wants goes, once the log has told that.
    REQUIRE(wait_for([&] { return has(read_file(dir / "elements"), "delete element"); }));
    REQUIRE(wait_for([&] { return bans() == "203.0.113.9 app active\n"; }));
    CHECK_FALSE(has(sh("nft list set inet bandd app-ipv4").out, "203.0.113.77"));
    // Its time is set anew, which the kernel does in one transaction; it is never just deleted.
    std::string elements = read_file(dir / "elements");
    INFO(elements << daemon.log());
    std::istringstream lines(elements);
    for (std::string line, next; std::getline(lines, line);)
        if (has(line, "delete") && has(line, "203.0.113.9 "))
            CHECK((std::getline(lines, next) && has(next, "add element") &&
                   has(next, "203.0.113.9 ")));
}

TEST_CASE_METHOD(AppSetup, "bandd sleeps for longer than findtime: what was written then counts") {
    configure("  app: {logpath: app.log, maxretry: 3, findtime: 3s, bantime: 2h}\n");
    REQUIRE(daemon.start());
    denied("203.0.113.1");  // it reads
    REQUIRE(wait_for([&] { return json("status")["lines"] == 1; }));
    REQUIRE(kill(daemon.pid(), SIGSTOP) == 0);
    for (int hit = 0; hit < 3; ++hit)
        append_file(log,
                    must("date '+%Y-%m-%d %H:%M:%S' | tr '\\n' ' '") + "denied bob 203.0.113.2\n");
    must("sleep 6");
    append_file(log, must("date '+%Y-%m-%d %H:%M:%S' | tr '\\n' ' '") + "denied bob 203.0.113.3\n");
    REQUIRE(kill(daemon.pid(), SIGCONT) == 0);
    bool banned = bans_become("203.0.113.2 app active\n");
    INFO(json("status").dump());
    CHECK(banned);
}

TEST_CASE_METHOD(AppSetup, "a disk that is slow to sync holds up no start: bans come first") {
    DaemonProcess slow(dir.path(), "env ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD=" +
                                       built("libslow_disk.so"));
    configure("  app: {logpath: app.log, maxretry: 1, bantime: 2h}\n");
    REQUIRE(slow.start());
    denied("203.0.113.1");
    CHECK(wait_for([&] { return in_set("app-ipv4", "203.0.113.1"); }, 8));
    must("sleep 6");  // a checkpoint has begun
    slow.stop(SIGKILL);
    REQUIRE(slow.start());
    denied("203.0.113.2");
    CHECK(wait_for([&] { return in_set("app-ipv4", "203.0.113.2"); }, 8));
    slow.stop(SIGKILL);
}

TEST_CASE_METHOD(AppSetup,
                 "weights: explain counts failures, and a kill between them changes nothing") {
    configure("  app: {logpath: app.log, maxretry: 5, findtime: 1h, weights: {denied: 3}}\n");
    REQUIRE(daemon.start());
    denied("203.0.113.9");
    CHECK(wait_for([&] {
        return has(daemon.ctl("explain 203.0.113.9").out, "203.0.113.9 has 3 of 5 failures in 1h");
    }));
    for (const char* at_once : {"203.0.113.8", "203.0.113.8"}) denied(at_once);
    CHECK(bans_become("203.0.113.8 app active\n"));
    CHECK(has(daemon.ctl("explain 203.0.113.8").out,
              "reason: denied: 6 failures by 2 lines; ban number 1\n"));
    CHECK(daemon.said("reason=\"denied: 6 failures by 2 lines\" hits=6"));
    must("sleep 3");  // a checkpoint
    daemon.stop(SIGKILL);
    REQUIRE(daemon.start());
    denied("203.0.113.9");
    CHECK(bans_become("203.0.113.8 app active\n203.0.113.9 app active\n"));
    CHECK(has(daemon.ctl("explain 203.0.113.9").out, "reason: denied: 6 failures; ban number 1"));
}
