// SPDX-License-Identifier: GPL-2.0-or-later
// The real daemon and bandctl, in a namespace: what a user sees who installs, breaks and repairs
// it.
#include <csignal>
#include <ctime>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

#include "os/clock.h"
#include "support/setup.h"

using namespace bandd;

TEST_CASE_METHOD(AppSetup, "two hits ban; status, bans, explain, watch and unban tell of it") {
    configure_app();
    REQUIRE(daemon.start());
    std::string events = dir / "events";
    Background watcher("exec " + built("bandctl") + " --config " + dir.path() + " watch", events);
    REQUIRE(wait_for([&] { return has(sh("ss -Hxp").out, "\"bandctl\""); }));
    denied("203.0.113.9");
    REQUIRE(
        wait_for([&] { return has(daemon.ctl("explain 203.0.113.9").out, "has 1 of 2 hits"); }));
    CHECK(bans().empty());
    denied("203.0.113.9");
    REQUIRE(bans_become("203.0.113.9 app active\n"));
    CHECK(in_set("app-ipv4", "203.0.113.9"));
    Ran explain = daemon.ctl("explain 203.0.113.9");
    INFO(explain.out);
    CHECK(has(explain.out, "203.0.113.9 is banned (active)"));
    CHECK(has(explain.out, "reason: denied; 2 hits; ban number 1"));
    CHECK(has(explain.out, "denied bob 203.0.113.9"));
    CHECK(has(explain.out, "user: bob"));
    Ran status = daemon.ctl("status");
    INFO(status.out);
    CHECK(has(status.out, "JAIL"));
    CHECK(json("status")["jails"][0]["bans"] == 1);
    CHECK(has(daemon.ctl("status app").out, "ban after 2 hits in 10m for 1h"));
    CHECK(has(daemon.ctl("bans").out, "203.0.113.9"));
    CHECK(daemon.ctl("unban 203.0.113.9").out == "203.0.113.9 is free (jail app)\n");
    CHECK_FALSE(in_set("app-ipv4", "203.0.113.9"));
    CHECK(bans().empty());
    CHECK(wait_for([&] { return has(read_file(events), "unban"); }));
    CHECK(has(read_file(events), "found"));
    CHECK(has(read_file(events), "denied"));
}

TEST_CASE_METHOD(AppSetup, "bans by hand: jail, time, reason, blocks; and what is said no to") {
    configure_app("    ignoreip: [198.51.100.0/24]\n");
    REQUIRE(daemon.start());
    Ran ran = daemon.ctl("ban 203.0.113.0/24 --for 2h --reason 'too loud'");
    INFO(ran.out);
    CHECK(ran.code == 0);
    CHECK(has(ran.out, "203.0.113.0/24 is banned in jail manual, until "));
    CHECK(daemon.ctl("ban 2001:db8::7 --jail app --for forever").out ==
          "2001:db8::/64 is banned in jail app, for ever\n");
    CHECK(bans() == "203.0.113.0/24 manual active\n2001:db8::/64 app active\n");
    CHECK(has(daemon.ctl("explain 203.0.113.77").out, "too loud"));
    Ran ignored = daemon.ctl("ban 198.51.100.7 --jail app");
    INFO(ignored.out);
    CHECK(ignored.code == 1);
    CHECK(has(ignored.out, "ignoreip"));
    Ran typo = daemon.ctl("ban 192.0.2.1 --jail aap");
    CHECK(typo.code == 1);
    CHECK(typo.out == "jail \"aap\": there is no such jail; did you mean \"app\"?\n");
    Ran none = daemon.ctl("unban 192.0.2.1");
    INFO(none.out);
    CHECK(none.code == 1);
    CHECK(has(none.out, "192.0.2.1"));
    CHECK(has(none.out, "is not banned"));
    CHECK(daemon.ctl("flush").out == "2 bans lifted\n");
    CHECK(bans().empty());
}

TEST_CASE_METHOD(AppSetup, "ignoreip, own addresses, simulate: decided, said, not banned") {
    must("ip address add 192.0.2.99/32 dev lo");
    write_file(dir / "trusted.txt", "# home\n198.51.100.0/24\n");
    configure_app("    ignoreip: ['file:trusted.txt']\n", "log: {level: info}\n");
    REQUIRE(daemon.start());
    for (const char* ip : {"198.51.100.7", "192.0.2.99", "::ffff:198.51.100.7", "127.0.0.1"})
        for (int i = 0; i < 3; ++i) denied(ip);
    CHECK(daemon.said("ignored 198.51.100.7 jail=app why=\"ignoreip\""));
    CHECK(daemon.said("ignored 192.0.2.99 jail=app why=\"own address\""));
    CHECK(daemon.said("ignored 127.0.0.1 jail=app"));
    CHECK(bans().empty());
    // An address that is added later is ours, too.
    must("ip address add 192.0.2.100/32 dev lo");
    denied("192.0.2.100");
    denied("192.0.2.100");
    CHECK(daemon.said("ignored 192.0.2.100 jail=app why=\"own address\""));
    configure_app("    simulate: true\n");
    CHECK(daemon.ctl("reload").code == 0);
    denied("203.0.113.9");
    denied("203.0.113.9");
    CHECK(daemon.said("would ban 203.0.113.9 jail=app"));
    CHECK_FALSE(in_set("app-ipv4", "203.0.113.9"));
}

TEST_CASE_METHOD(AppSetup, "recidive counts the bans of other jails") {
    configure(
        "  app: {logpath: app.log, maxretry: 1, bantime: 1s}\n"
        "  recidive: {source: bans, maxretry: 2, findtime: 1d, bantime: 1w}\n");
    REQUIRE(daemon.start());
    denied("203.0.113.9");
    REQUIRE(daemon.said("unban 203.0.113.9 jail=app"));
    denied("203.0.113.9");
    REQUIRE(daemon.said("ban 203.0.113.9 jail=recidive"));
    CHECK(in_set("recidive-ipv4", "203.0.113.9"));
}

TEST_CASE_METHOD(AppSetup, "rights: another user, two capabilities, logs that only root may read") {
    must("chmod 600 " + log);
    configure_app();
    REQUIRE(daemon.start());
    std::string status = read_file("/proc/" + std::to_string(daemon.pid()) + "/status");
    INFO(status);
    std::string nobody = must("id -u nobody");
    nobody.pop_back();
    CHECK(has(status, "Uid:\t" + nobody + "\t" + nobody + "\t" + nobody + "\t" + nobody));
    CHECK(has(status, "CapEff:\t0000000000001004"));
    CHECK(has(status, "CapPrm:\t0000000000001004"));
    CHECK(has(status, "CapBnd:\t0000000000001004"));
    CHECK(has(status, "NoNewPrivs:\t1"));
    CHECK(has(status, "Seccomp:\t2"));
    CHECK(must("stat -c '%a %U' " + dir / "run/state.db") == "600 nobody\n");
    CHECK(must("stat -c '%a %U %G' " + dir / "run/socket") == "660 nobody nogroup\n");
    denied("203.0.113.9");
    denied("203.0.113.9");
    CHECK(bans_become("203.0.113.9 app active\n"));
    // After a rotation, too: the new file is opened with the rights that are left.
    must("mv " + log + " " + log + ".1; umask 077; touch " + log);
    denied("203.0.113.10");
    denied("203.0.113.10");
    CHECK(bans_become("203.0.113.9 app active\n203.0.113.10 app active\n"));
    // Somebody else may not talk to it.
    must("chmod 755 " + dir.path() + " " + dir / "run");
    Ran other = sh("setpriv --reuid=1 --regid=1 --clear-groups " + built("bandctl") + " --config " +
                   dir.path() + " status");
    CHECK(other.code == 3);
    CHECK(has(other.out, "Permission denied; become root, or a member of the group bandd"));
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
    Json before = json("bans");
    daemon.ctl("history");  // writes what is not written yet
    std::string file = dir / "state.json";
    CHECK(wait_for([&] { return has(daemon.ctl("state export").out, "\"why\":1"); }));
    CHECK(daemon.ctl("state export " + file).code == 0);
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
    Ran done = daemon.ctl("state import " + file);
    CHECK(done.out == "imported 1 ban and 1 earlier ban into " + dir / "run/state.db" + "\n");
    REQUIRE(daemon.start());
    CHECK(bans_become("203.0.113.1 app active\n"));
    CHECK(json("bans") == before);
    CHECK(in_set("app-ipv4", "203.0.113.1"));
    denied("203.0.113.2");  // its first hit came along
    CHECK(bans_become("203.0.113.1 app active\n203.0.113.2 app active\n"));
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

TEST_CASE_METHOD(AppSetup, "history: who was banned, when, why, how often; across restarts") {
    configure_app("    bantime: 1s\n");
    REQUIRE(daemon.start());
    CHECK(daemon.ctl("history").out == "nobody was banned\n");
    denied("203.0.113.9");
    denied("203.0.113.9");
    REQUIRE(daemon.said("unban 203.0.113.9 jail=app"));
    CHECK(daemon.ctl("ban 198.51.100.0/24 --reason loud").code == 0);
    daemon.stop(SIGTERM);
    REQUIRE(daemon.start());
    Ran all = daemon.ctl("history");
    INFO(all.out);
    CHECK(has(all.out, "203.0.113.9"));
    CHECK(has(all.out, "denied"));
    CHECK(has(all.out, "its time was over"));
    CHECK(has(all.out, "still banned"));
    CHECK(json("history 203.0.113.9")["bans"].size() == 1);
    CHECK(json("history --jail manual")["bans"].size() == 1);
    CHECK(json("history --since 1h")["bans"].size() == 2);
    CHECK(json("history --since 2020-01-01")["bans"].size() == 2);
    CHECK(json("history 192.0.2.0/24")["bans"].empty());
    CHECK(daemon.ctl("history --since yesterday").code == 2);
    CHECK(json("status app")["jails"][0]["total_bans"] == 1);
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

TEST_CASE_METHOD(
    AppSetup,
    "replay decides as the daemon did: 100,000 lines, four jails, three dialects of time") {
    // Filters of both dialects, one that joins lines of a connection.
    write_file(
        dir / "filters/old.yaml",
        "dialect: fail2ban\nfailregex:\n"
        "  - '^ mx app\\[<F-MLFID>\\d+</F-MLFID>\\]: <F-NOFAIL>connect</F-NOFAIL> from <HOST>$'\n"
        "  - '^ mx app\\[<F-MLFID>\\d+</F-MLFID>\\]: refused$'\n");
    configure(
        "  app: {logpath: app.log, maxretry: 4, findtime: 2s, bantime: 3s}\n"
        "  long: {logpath: app.log, filter: app, maxretry: 9, findtime: 1m, bantime: 1h,\n"
        "         bantime.increment: {factor: 2, jitter: 10s}}\n"
        "  old: {logpath: app.log, maxretry: 3, findtime: 1m, bantime: 4s}\n"
        "  recidive: {source: bans, maxretry: 3, findtime: 1h, bantime: 1d}\n");
    REQUIRE(daemon.start());
    {
        std::ofstream out(log, std::ios::app);
        std::mt19937 random(7);
        for (int line = 0; line < 100'000; ++line) {
            Instant when = now();
            auto host = std::to_string(random() % 200 + 1);
            auto id = std::to_string(random() % 300);
            out << format_rfc3339(when);
            switch (random() % 20) {
                case 0:
                    out << " mx app: denied bob 203.0.113." << host << "\n";
                    break;
                case 1:
                    out << " mx app[" << id << "]: connect from 198.51.100." << host << "\n";
                    break;
                case 2:
                    out << " mx app[" << id << "]: refused\n";
                    break;
                default:
                    out << " mx app: welcome bob 203.0.113." << host << "\n";
            }
            if (line % 1000 == 999) {
                out.flush();
                std::this_thread::sleep_for(std::chrono::milliseconds(60));
            }
        }
    }
    auto decisions = [](const Json& bans) {
        std::vector<std::string> lines;
        for (const Json& ban : bans)
            lines.push_back(ban["jail"].get<std::string>() + " " + ban["ip"].get<std::string>() +
                            " " + ban["from"].get<std::string>() + " " + ban["until"].dump() + " " +
                            ban["offence"].dump());
        std::ranges::sort(lines);
        return lines;
    };
    REQUIRE(wait_for([&] { return json("status")["lines"] == 100'000; }, 30));
    std::vector<std::string> live;
    REQUIRE(wait_for([&] {
        live = decisions(json("history --limit 10000")["bans"]);
        return live.size() > 100;
    }));
    Json replayed = Json::array();
    std::istringstream out(daemon.ctl("replay --json " + log).out);
    Json summary;
    for (std::string line; std::getline(out, line);) {
        Json one = Json::parse(line, nullptr, false);
        REQUIRE_FALSE(one.is_discarded());
        if (one.contains("summary"))
            summary = one["summary"];
        else if (one["kind"] == "ban")
            replayed.push_back(one);
    }
    CHECK(summary["lines"] == 100'000);
    std::vector<std::string> told = decisions(replayed);
    for (const char* jail : {"app ", "long ", "old ", "recidive "})
        CHECK(std::ranges::any_of(told, [&](const std::string& l) { return l.starts_with(jail); }));
    wait_for([&] { return decisions(json("history --limit 10000")["bans"]) == told; }, 5);
    CHECK(decisions(json("history --limit 10000")["bans"]) == told);
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

TEST_CASE_METHOD(AppSetup, "a missing set is said, shown and waited for; other jails go on") {
    configure(
        "  app:\n    logpath: app.log\n    maxretry: 1\n    action: [{ipset: {set: hmailblock}}]\n"
        "  other: {logpath: other.log, filter: app, maxretry: 1}\n");
    write_file(dir / "other.log", "");
    REQUIRE(daemon.start());
    std::string message =
        "ipset \"hmailblock\": does not exist; make it: ipset create hmailblock hash:net family "
        "inet timeout 0 maxelem 1000000, or set \"create: true\"";
    CHECK(daemon.said("jail=app " + message));
    denied("203.0.113.1");
    denied("203.0.113.2", dir / "other.log");
    REQUIRE(bans_become("203.0.113.1 app pending\n203.0.113.2 other active\n"));
    CHECK(has(daemon.ctl("status app").out, message));
    must("ipset create hmailblock hash:net");
    CHECK(bans_become("203.0.113.1 app active\n203.0.113.2 other active\n"));
    CHECK(has(must("ipset save hmailblock"), "add hmailblock 203.0.113.1"));
}

TEST_CASE_METHOD(AppSetup, "a missing log is said and waited for; its own log is not read") {
    std::string own = dir / "run/bandd.log";
    configure(
        "  app: {logpath: later/app.log, maxretry: 1}\n  own: {logpath: run/bandd.log, filter: "
        "app}\n",
        "log: {target: run/bandd.log}\n");
    must("mkdir " + dir / "run" + "; chown nobody " + dir / "run");
    write_file(dir / "daemon.log", "");
    daemon.start();
    auto said = [&](const std::string& text) {
        return wait_for([&] { return has(read_file(own), text); });
    };
    CHECK(said("log \"" + dir / "later/app.log" + "\" does not exist; waiting for it"));
    CHECK(said("\"" + own + "\": bandd does not read its own log; take it out of \"logpath\""));
    denied("203.0.113.9", dir / "later/app.log");
    CHECK(bans_become("203.0.113.9 app active\n"));
    CHECK(said("log \"" + dir / "later/app.log" + "\" is read now"));
}

TEST_CASE_METHOD(AppSetup, "started without rights, it says what it lacks") {
    must("chmod 777 " + dir.path() + "; chmod 600 " + log);
    write_file(dir / "daemon.log", "");
    must("chmod 666 " + dir / "daemon.log");
    configure("  app: {logpath: app.log}\n");
    DaemonProcess plain(
        dir.path(),
        "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all");
    CHECK_FALSE(plain.start());
    INFO(plain.log());
    CHECK(has(plain.log(), "bandd needs CAP_NET_ADMIN: start it as root"));
    SECTION("an unreadable log, with a jail that needs no firewall") {
        configure("  app:\n    logpath: app.log\n    action: [syslog]\n",
                  "defaults: {action: [syslog]}\n");
        REQUIRE(plain.start());
        CHECK(plain.said("cannot read \"" + log +
                         "\": Permission denied; give the user bandd the right to read it"));
        must("chmod 644 " + log);
        CHECK(plain.said("log \"" + log + "\" is read now"));
    }
}

TEST_CASE_METHOD(AppSetup,
                 "a full disk stops no ban, is said and shown, and is written once there is room") {
    std::string small = dir / "small";
    must("mkdir " + small + "; mount -t tmpfs -o size=800k tmpfs " + small);
    write_file(dir / "bandd.yaml",
               "state: small/state/db\nsocket: run/socket\nuser: nobody\ngroup: nogroup\njails:\n"
               "  app: {logpath: app.log, maxretry: 1}\n");
    REQUIRE(daemon.start());
    sh("dd if=/dev/zero of=" + small + "/ballast bs=4k");
    // The room that SQLite's log gives back is enough for one ban, not for a thousand.
    denied("203.0.113.9");
    REQUIRE(bans_become("203.0.113.9 app active\n"));
    sh("dd if=/dev/zero of=" + small + "/ballast bs=4k oflag=append conv=notrunc");
    std::string attack;
    for (int i = 0; i < 1000; ++i)
        attack +=
            "denied bob 198.51." + std::to_string(i / 250) + "." + std::to_string(i % 250) + "\n";
    append_file(log, attack);
    std::string message = "state \"" + small +
                          "/state/db\": cannot write: database or disk is full; free some space; "
                          "bans go on, but a restart would forget the newest";
    CHECK(daemon.said(message));
    CHECK(has(daemon.ctl("status").out, message));
    must("rm " + small + "/ballast");
    CHECK(daemon.said("is written again"));
    CHECK(daemon.stop(SIGTERM) == 0);
    must("umount " + small);
}

TEST_CASE_METHOD(AppSetup,
                 "a state on a read-only file system at the start is an error with what to do") {
    std::string small = dir / "small";
    must("mkdir " + small + "; mount -t tmpfs tmpfs " + small);
    write_file(dir / "bandd.yaml",
               "state: small/db\nsocket: run/socket\nuser: root\ngroup: root\njails:\n"
               "  app: {logpath: app.log, maxretry: 1}\n");
    REQUIRE(daemon.start());
    denied("203.0.113.8");
    REQUIRE(bans_become("203.0.113.8 app active\n"));
    daemon.stop(SIGTERM);
    must("mount -o remount,ro " + small);
    CHECK_FALSE(daemon.start());
    INFO(daemon.log());
    CHECK(has(daemon.log(), "state \"" + small +
                                "/db\": Read-only file system; mount it writable, "
                                "or set \"state:\" to a file elsewhere"));
    must("umount " + small);
}

TEST_CASE_METHOD(AppSetup, "a disk that is full at the start is an error with what to do") {
    std::string small = dir / "small";
    must("mkdir " + small + "; mount -t tmpfs -o size=64k tmpfs " + small +
         "; dd if=/dev/zero of=" + small + "/ballast bs=4k; true");
    write_file(dir / "bandd.yaml",
               "state: small/db\nsocket: run/socket\njails:\n  app: {logpath: app.log}\n");
    CHECK_FALSE(daemon.start());
    INFO(daemon.log());
    CHECK(has(daemon.log(),
              "state \"" + small + "/db.lock\": No space left on device; free some space there"));
    must("umount " + small);
}

TEST_CASE_METHOD(AppSetup, "a log directory that is unmounted and comes back is read on") {
    std::string mount_point = dir / "logs";
    must("mkdir " + mount_point + "; mount -t tmpfs tmpfs " + mount_point);
    write_file(mount_point + "/app.log", "");
    configure("  app: {logpath: logs/app.log, maxretry: 1}\n");
    REQUIRE(daemon.start());
    denied("203.0.113.1", mount_point + "/app.log");
    REQUIRE(bans_become("203.0.113.1 app active\n"));
    must("umount -l " + mount_point);
    must("mount -t tmpfs tmpfs " + mount_point);
    denied("203.0.113.2", mount_point + "/app.log");
    CHECK(bans_become("203.0.113.1 app active\n203.0.113.2 app active\n"));
    daemon.stop(SIGTERM);
    must("umount " + mount_point);
}

#ifndef BANDD_ADDRESS_SANITIZER  // UBSan opens a pipe to look whether memory can be read
TEST_CASE_METHOD(AppSetup, "out of file descriptors: said, and the logs that are open go on") {
    for (int i = 0; i < 60; ++i) write_file(dir / ("many/" + std::to_string(i) + ".log"), "");
    configure(
        "  app: {logpath: app.log, maxretry: 1}\n  many: {logpath: 'many/*.log', filter: app, "
        "maxretry: 1}\n");
    DaemonProcess small(dir.path(), "prlimit --nofile=40:40");
    bool started = small.start();
    INFO(small.log());
    REQUIRE(started);
    CHECK(small.said("Too many open files"));
    denied("203.0.113.1");
    CHECK(wait_for([&] { return in_set("app-ipv4", "203.0.113.1"); }));
    CHECK(small.stop(SIGTERM) == 0);
}
#endif

TEST_CASE_METHOD(AppSetup, "out of inotify watches: said with the sysctl to raise") {
    write_file(dir / "bandd.yaml",
               "state: run/state.db\nsocket: run/socket\nuser: root\ngroup: root\n"
               "defaults: {action: [syslog]}\njails:\n  app: {logpath: [app.log, a/app.log, "
               "b/app.log, c/app.log]}\n");
    for (const char* sub : {"a", "b", "c"}) write_file(dir / (std::string(sub) + "/app.log"), "");
    // The limit belongs to the user namespace, so that this touches nobody else's.
    write_file(dir / "start",
               "#!/bin/sh\necho 3 > /proc/sys/user/max_inotify_watches\nexec \"$@\"\n");
    must("chmod 755 " + dir / "start");
    DaemonProcess limited(dir.path(), "unshare --user --map-root-user " + dir / "start");
    bool started = limited.start();
    INFO(limited.log());
    REQUIRE(started);
    CHECK(limited.said("No space left on device; raise the sysctl fs.inotify.max_user_watches"));
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

#if !defined BANDD_ADDRESS_SANITIZER && \
    !defined BANDD_THREAD_SANITIZER  // which need terabytes of it
TEST_CASE_METHOD(AppSetup,
                 "out of memory it ends at worst, its bans stay, and the next start knows them") {
    configure_app();
    DaemonProcess limited(dir.path(), "prlimit --as=105000000");
    REQUIRE(limited.start());
    denied("203.0.113.9");
    denied("203.0.113.9");
    REQUIRE(bans_become("203.0.113.9 app active\n"));
    must("sleep 3");  // a checkpoint
    std::string much(60'000, 'x');
    for (int i = 0; i < 600 && limited.ctl("version").code == 0; ++i)
        limited.ctl("ban 10." + std::to_string(i / 256) + "." + std::to_string(i % 256) +
                    ".1 --reason " + much);
    INFO(limited.log());
    CHECK(in_set("app-ipv4", "203.0.113.9"));
    limited.stop(SIGKILL);
    REQUIRE(daemon.start());
    CHECK(wait_for([&] { return has(bans(), "203.0.113.9 app active"); }));
}
#endif

TEST_CASE_METHOD(AppSetup, "with nothing to watch it says so and how to add a log") {
    write_file(dir / "bandd.yaml",
               "state: run/state.db\nsocket: run/socket\nuser: nobody\ngroup: nogroup\n");
    REQUIRE(daemon.start());
    CHECK(daemon.said(
        "nothing to watch: no jail has a log that exists here; name one with \"logpath:\" in " +
        dir.path() + "/jails/NAME.yaml, then run bandctl reload"));
    CHECK(daemon.ctl("ban 203.0.113.9").code == 0);  // bans by hand work all the same
    CHECK(in_set("manual-ipv4", "203.0.113.9"));
}

TEST_CASE_METHOD(AppSetup, "one log under two jails is read once, and hits count in both") {
    configure(
        "  one: {logpath: app.log, filter: app, maxretry: 1}\n  two: {logpath: 'app*.log', filter: "
        "app, maxretry: 2}\n");
    REQUIRE(daemon.start());
    denied("203.0.113.9");
    REQUIRE(bans_become("203.0.113.9 one active\n"));
    denied("203.0.113.9");
    CHECK(bans_become("203.0.113.9 one active\n203.0.113.9 two active\n"));
    CHECK(json("status")["lines"] == 2);
}

TEST_CASE_METHOD(AppSetup,
                 "programs are run at a ban and at its end; a ban is told only once it holds") {
    std::string told = dir / "told";
    configure(
        "  app:\n    logpath: app.log\n    maxretry: 1\n    bantime: 1s\n    action:\n      - "
        "nftables\n"
        "      - exec: {ban: [/bin/sh, -c, 'echo \"ban $1 $2\" >> " +
        told + "', sh, <ip>, <F-USER>], unban: [/bin/sh, -c, 'echo \"unban $1\" >> " + told +
        "', sh, <ip>]}\n");
    REQUIRE(daemon.start());
    denied("203.0.113.9");
    CHECK(wait_for([&] { return read_file(told) == "ban 203.0.113.9 bob\nunban 203.0.113.9\n"; }));
}
