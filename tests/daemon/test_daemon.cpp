// SPDX-License-Identifier: GPL-2.0-or-later
// The real daemon and bandctl, in a namespace: what a user sees who installs, breaks and repairs
// it.
#include <csignal>
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
    std::string app = daemon.ctl("status app").out;
    CHECK(has(app, "ban after 2 hits in 10m for 1h"));
    CHECK(has(app, "  log " + log + ": reading\n"));  // a file has no TLS failures
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

TEST_CASE_METHOD(AppSetup, "rights: another user, one capability, logs that only root may read") {
    must("chmod 600 " + log);
    configure_app();
    REQUIRE(daemon.start());
    std::string status = read_file("/proc/" + std::to_string(daemon.pid()) + "/status");
    INFO(status);
    std::string nobody = must("id -u nobody");
    nobody.pop_back();
    CHECK(has(status, "Uid:\t" + nobody + "\t" + nobody + "\t" + nobody + "\t" + nobody));
    CHECK(has(status, "CapEff:\t0000000000000004"));
    CHECK(has(status, "CapPrm:\t0000000000000004"));
    CHECK(has(status, "CapBnd:\t0000000000000004"));
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
        "      - exec: {user: root, ban: [/bin/sh, -c, 'echo \"ban $1 $2\" >> " +
        told + "', sh, <ip>, <F-USER>], unban: [/bin/sh, -c, 'echo \"unban $1\" >> " + told +
        "', sh, <ip>]}\n");
    REQUIRE(daemon.start());
    denied("203.0.113.9");
    CHECK(wait_for([&] { return read_file(told) == "ban 203.0.113.9 bob\nunban 203.0.113.9\n"; }));
}

TEST_CASE_METHOD(
    AppSetup,
    "programs: a reload that adds the first one starts it, one that takes the last one "
    "away still runs what undoes its bans") {
    std::string told = dir / "told";
    auto has_process = [&] {
        return sh("ps -eo args | grep '^bandd-programs ' | grep -qF " + dir.path()).code == 0;
    };
    configure_app();
    REQUIRE(daemon.start());
    CHECK_FALSE(has_process());
    configure(
        "  app: {logpath: app.log, maxretry: 2}\n  other:\n    logpath: other.log\n    filter: "
        "app\n"
        "    maxretry: 1\n    action:\n      - exec: {user: root, ban: [/bin/sh, -c, 'id -u > " +
        told + "'], unban: [/bin/sh, -c, 'sleep 0.1; echo \"unban $1\" >> " + told +
        "', sh, <ip>]}\n");
    write_file(dir / "other.log", "");
    CHECK(daemon.ctl("reload").code == 0);
    CHECK(has_process());
    denied("203.0.113.9", dir / "other.log");
    REQUIRE(wait_for([&] { return read_file(told) == "0\n"; }));
    configure_app();
    CHECK(daemon.ctl("reload").code == 0);
    CHECK(wait_for([&] { return read_file(told) == "0\nunban 203.0.113.9\n"; }));
    CHECK(wait_for([&] { return !has_process(); }));
}

TEST_CASE_METHOD(AppSetup, "programs: a configuration that others may write is not reloaded") {
    std::string keys = "    action: [nftables, {exec: {ban: [/bin/true]}}]\n";
    configure_app(keys);
    std::filesystem::permissions(dir / "bandd.yaml", std::filesystem::perms{0666});
    REQUIRE(daemon.start());
    CHECK(daemon.said("bandd.yaml\": others than root may write to it"));
    denied("203.0.113.9");
    denied("203.0.113.9");
    CHECK(bans_become("203.0.113.9 app active\n"));
    CHECK(daemon.said("configuration that bandd-programs has not read"));
    Ran reload = daemon.ctl("reload");
    CHECK(reload.code != 0);
    CHECK(has(reload.out, "others than root may write to it"));
    std::filesystem::permissions(dir / "bandd.yaml", std::filesystem::perms{0644});
    CHECK(daemon.ctl("reload").code == 0);
}
