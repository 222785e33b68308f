// SPDX-License-Identifier: GPL-2.0-or-later
// bandctl and the daemon as a tired administrator drives them: nothing false is said, and nothing
// is done that was not meant.
#include <algorithm>
#include <csignal>
#include <iterator>
#include <sstream>

#include "os/clock.h"
#include "support/setup.h"

using namespace bandd;

namespace {

std::size_t widest_line(const std::string& text) {
    std::size_t widest = 0;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) widest = std::max(widest, line.size());
    return widest;
}
std::vector<std::string> words_of(const std::string& text) {
    std::istringstream words(text);
    return {std::istream_iterator<std::string>(words), {}};
}

}  // namespace

TEST_CASE_METHOD(AppSetup, "what is meant for one daemon never reaches another one") {
    // The machine's own, at the socket that is used if nothing names one.
    write_file(dir / "bandd.yaml",
               "state: run/state.db\nuser: nobody\ngroup: nogroup\njails: {}\n");
    must("mkdir -p /run/bandd");
    REQUIRE(daemon.start());
    REQUIRE(daemon.ctl("ban 203.0.113.9 --for 1h").code == 0);
    TempDirectory other;
    auto refused = [&](const std::string& config) {
        Ran ran = sh(built("bandctl") + " -c " + config + " flush");
        INFO(ran.out);
        CHECK(ran.code == 2);
        return ran.out;
    };
    CHECK(refused(other / "wrong") == "configuration \"" + other / "wrong" +
                                          "\": No such file or directory\nbandctl: cannot tell "
                                          "where bandd's socket is; mend that first, or give "
                                          "--socket; bandd itself goes on as it was\n");
    CHECK(has(refused(other.path()), "bandd: runs on the configuration \"" + dir / "bandd.yaml" +
                                         "\", not on \"" + other / "bandd.yaml" +
                                         "\"; give --socket if that daemon is meant"));
    // Beside the daemon's own.
    write_file(dir / "other.yaml", "jails: {}\n");
    CHECK(has(refused(dir / "other.yaml"), "give --socket if that daemon is meant"));
    Ran unset = sh(built("bandctl") + " -s '' flush");
    CHECK(unset.code == 2);
    CHECK(has(unset.out, "--socket: is empty: give it a value, or leave it out"));
    write_file(other / "bandd.yaml", "jails: [\n");
    CHECK(has(refused(other.path()), "cannot tell where bandd's socket is"));
    write_file(other / "bandd.yaml", "jails: {}\n");
    CHECK(has(refused(other.path()), "give --socket if that daemon is meant"));
    CHECK(bans() == "203.0.113.9 manual active\n");
    CHECK(sh(built("bandctl") + " -c " + other.path() + " -s /run/bandd/bandd.sock flush").code ==
          0);
}

TEST_CASE_METHOD(AppSetup, "a mistyped block bans and lifts nothing") {
    configure_app("    ignoreip: [198.51.100.0/24]\n");
    REQUIRE(daemon.start());
    Ran ran = daemon.ctl("ban 10.0.0.0/4");
    CHECK(ran.code == 2);
    CHECK(ran.out ==
          "\"10.0.0.0/4\": no block of that size begins at 10.0.0.0; write 0.0.0.0/4 if that is "
          "meant\n");
    CHECK(daemon.ctl("unban 203.0.113.9/24").code == 2);
    CHECK(daemon.ctl("history 203.0.113.9/24").code == 2);
    ran = daemon.ctl("ban 10.0.0.0/8");
    CHECK(ran.code == 1);
    CHECK(ran.out ==
          "ban 10.0.0.0/8: it is wider than a /16; use --force to ban it all the same\n");
    ran = daemon.ctl("ban 198.0.0.0/8 -j app");
    CHECK(has(ran.out, "and ignored addresses or this machine's own are in it"));
    CHECK(has(daemon.ctl("ban 2001::/16").out, "it is wider than a /32"));
    CHECK(bans().empty());
    CHECK(daemon.ctl("ban 10.0.0.0/8 --force").code == 0);
    CHECK(daemon.ctl("ban 172.16.0.0/16").code == 0);
    CHECK(bans() == "10.0.0.0/8 manual active\n172.16.0.0/16 manual active\n");
}

TEST_CASE_METHOD(AppSetup, "unban of an address lifts no block that it is in, unless told to") {
    configure_app();
    REQUIRE(daemon.start());
    REQUIRE(daemon.ctl("ban 203.0.113.0/24").code == 0);
    REQUIRE(daemon.ctl("ban 2001:db8::7").code == 0);
    Ran ran = daemon.ctl("unban 203.0.113.9");
    CHECK(ran.code == 1);
    CHECK(ran.out ==
          "203.0.113.9: is banned only as a part of 203.0.113.0/24 (jail manual); bandctl unban "
          "203.0.113.0/24 lifts that whole block, and so does --covering\n");
    REQUIRE(daemon.ctl("ban 203.0.113.9 -j app").code == 0);
    ran = daemon.ctl("unban 203.0.113.9");
    CHECK(ran.code == 1);
    CHECK(ran.out ==
          "203.0.113.9 is free (jail app)\nit stays banned as a part of 203.0.113.0/24 (jail "
          "manual); --covering lifts that, too\n");
    REQUIRE(daemon.ctl("ban 203.0.113.9 -j app").code == 0);
    ran = daemon.ctl("unban 203.0.113.9 203.0.113.10");
    CHECK(ran.code == 1);
    CHECK(has(ran.out,
              "203.0.113.9: its own ban is lifted, but it still is banned only as a part "
              "of 203.0.113.0/24 (jail manual)"));
    CHECK(has(ran.out, "203.0.113.10: is banned only as a part of 203.0.113.0/24"));
    CHECK(daemon.ctl("unban 203.0.113.9 --covering").out ==
          "203.0.113.0/24 is free (jail manual)\n");
    // An IPv6 address is banned as its /64, and lifted as that.
    CHECK(daemon.ctl("unban 2001:db8::8").out == "2001:db8::/64 is free (jail manual)\n");
    CHECK(bans().empty());
}

TEST_CASE_METHOD(AppSetup, "no answer is false: blocks, limits, jails that are not there") {
    configure_app();
    REQUIRE(daemon.start());
    for (const char* who : {"203.0.113.8", "203.0.113.9", "198.51.100.7"})
        REQUIRE(daemon.ctl(std::string("ban ") + who).code == 0);
    denied("203.0.113.50");
    REQUIRE(wait_for([&] { return has(daemon.ctl("explain 203.0.113.50").out, "1 of 2 hits"); }));
    Ran inside = daemon.ctl("explain 203.0.113.0/24");
    INFO(inside.out);
    CHECK(has(inside.out, "jail app\n  1 offender within it counted so far\n"));
    CHECK(has(inside.out, "jail manual\n  2 bans within it: 203.0.113.8, 203.0.113.9\n"));
    CHECK_FALSE(has(inside.out, "is banned ("));
    CHECK(daemon.ctl("bans --limit 0").out == "3 more: use --limit\n");
    CHECK(daemon.ctl("history --limit 0").out == "more: use --limit\n");
    CHECK(has(daemon.ctl("history --limit 2").out, "… and more: use --limit\n"));
    CHECK_FALSE(has(daemon.ctl("history --limit 3").out, "more"));
    for (const char* command : {"history -j", "bans -j", "unban --all -j", "status"}) {
        Ran ran = daemon.ctl(std::string(command) + " manul");
        CHECK(ran.code == 1);
        CHECK(ran.out == "jail \"manul\": there is no such jail; did you mean \"manual\"?\n");
    }
    Background watcher("exec " + built("bandctl") + " -c " + dir.path() + " watch 2>&1",
                       dir / "events");
    CHECK(wait_for([&] {
        return read_file(dir / "events") == "watching for hits, bans and unbans; Ctrl-C ends it\n";
    }));
    Ran replay = sh(built("bandctl") + " -c " + dir.path() + " replay " + log);
    INFO(replay.out);
    CHECK(has(replay.out, "nobody would have been banned\n"));
}

TEST_CASE_METHOD(AppSetup, "many at once: all, or a list of what is bad, and in seconds") {
    configure_app("    ignoreip: [198.51.100.0/24]\n");
    REQUIRE(daemon.start());
    std::string list = dir / "list";
    write_file(list,
               "# from a friend\n"
               "203.0.113.7 2h spam run\n"
               "203.0.113.8\n\n"
               "2001:db8::7 forever\n"
               "203.0.113.9 2031-01-01T00:00:00Z 3 times\n"
               "203.0.113.10 2001-01-01\n");
    auto from_file = [&](const std::string& command) {
        return sh(built("bandctl") + " -c " + dir.path() + " " + command + " < " + list + " 2>&1");
    };
    Ran ran = from_file("ban - -r theirs");
    INFO(ran.out);
    CHECK(ran.code == 0);
    CHECK(ran.out == "4 bans in force\n1 ban left out, as their time is over\n");
    Json one = json("bans --reason 'spam run'")["bans"];
    REQUIRE(one.size() == 1);
    CHECK(one[0]["ip"] == "203.0.113.7");
    CHECK(json("bans --reason theirs")["total"] == 2);
    CHECK(json("bans --within 203.0.113.9")["bans"][0]["until"] == "2031-01-01T00:00:00Z");
    CHECK(json("bans --within 203.0.113.9")["bans"][0]["reason"] == "by hand: 3 times");
    // What bans --json wrote comes back as it was.
    must(built("bandctl") + " -c " + dir.path() + " bans --json > " + list);
    auto all = [&] {
        std::string text;
        Json answer = json("bans --sort ip");
        for (const Json& ban : answer["bans"])
            for (const char* key : {"ip", "jail", "until", "reason"}) text += ban[key].dump();
        return text;
    };
    std::string before = all();
    CHECK(daemon.ctl("flush").out == "4 bans lifted\n");
    CHECK(from_file("ban -").out == "4 bans in force\n");
    CHECK(all() == before);
    CHECK(daemon.ctl("unban 203.0.113.7 203.0.113.8 192.0.2.1").out ==
          "2 bans lifted\n1 was not banned\n");
    CHECK(from_file("unban -").out == "2 bans lifted\n2 were not banned\n");
    // Nobody is banned if a line is bad, here or there.
    write_file(list, "203.0.113.1\n203.0.113.2/24\n\nnobody\n");
    ran = from_file("ban -");
    CHECK(ran.code == 2);
    CHECK(has(ran.out, "standard input:2: \"203.0.113.2/24\": no block of that size begins"));
    CHECK(has(ran.out, "standard input:4: \"nobody\": is no address and no CIDR block"));
    write_file(list, std::string(1'000'000, '1'));
    ran = from_file("ban -");
    CHECK(ran.code == 2);
    CHECK(ran.out.size() < 500);
    write_file(list, "203.0.113.1\n198.51.100.9\n203.0.0.0/8\n");
    ran = from_file("ban - -j app");
    CHECK(ran.code == 1);
    CHECK(has(ran.out, "standard input:2: ban 198.51.100.9: ignoreip of jail \"app\" holds it"));
    CHECK(has(ran.out, "standard input:3: ban 203.0.0.0/8: it is wider than a /16"));
    CHECK(has(ran.out, "ban: nobody was banned; take these lines out, or mend them\n"));
    CHECK(bans().empty());
    CHECK(has(daemon.ctl("ban 203.0.113.1 nobody").out, "\"nobody\": is no address"));
    CHECK(bans().empty());
    CHECK(daemon.ctl("ban 203.0.113.1 203.0.113.2").out == "2 bans in force\n");
    CHECK(daemon.ctl("ban 203.0.113.3 203.0.113.3 203.0.113.1").out ==
          "1 ban in force\n2 bans renewed: there before, or named twice\n");
    must(built("bandctl") + " -c " + dir.path() + " unban 203.0.113.3");
    SECTION("a hundred thousand") {
#ifdef BANDD_ADDRESS_SANITIZER
        constexpr int many = 10'000;
#else
        constexpr int many = 100'000;
#endif
        std::string text;
        for (int i = 0; i < many; ++i)
            text += "10." + std::to_string(i >> 16) + "." + std::to_string(i >> 8 & 255) + "." +
                    std::to_string(i & 255) + " 2h\n";
        write_file(list, text);
        double begin = stopwatch();
        ran = from_file("ban -");
        INFO(stopwatch() - begin << " s");
        // On a busy machine the kernel may still be at it.
        CHECK(ran.out.starts_with(std::to_string(many) + " bans in force\n"));
        CHECK(json("bans --limit 0")["total"] == many + 2);
        CHECK(daemon.ctl("bans --format list --limit 1 --sort ip").out ==
              "10.0.0.0\n" + std::to_string(many + 1) + " more: use --limit\n");
        CHECK(from_file("unban -").out == std::to_string(many) + " bans lifted\n");
        WARN("banned and lifted in " << stopwatch() - begin << " s");
    }
}

TEST_CASE_METHOD(AppSetup, "what `bans` lists for programs is all, and can be banned again") {
    configure_app("    ignoreip: [198.51.100.0/24]\n");
    REQUIRE(daemon.start());
    std::string many;
    for (int i = 0; i < 12'000; ++i)
        many += "10.1." + std::to_string(i / 250) + "." + std::to_string(1 + i % 250) + " 1h\n";
    write_file(dir / "many", many);
    auto ctl = "bandctl -s " + dir / "run/socket ";
    std::string with_path = "PATH=" + built("") + ":$PATH ";
    must(with_path + ctl + "ban - < " + dir / "many");
    REQUIRE(daemon.ctl("ban 198.51.100.7 -j app --force --for 1h").code == 0);
    REQUIRE(daemon.ctl("ban 172.0.0.0/8 --force --for 1h").code == 0);
    REQUIRE(daemon.ctl("ban 203.0.113.9 --for 1h").code == 0);
    auto count_of = [&](const std::string& how) {
        return std::stoi(must(with_path + ctl + how + " | wc -l"));
    };
    CHECK(count_of("bans --format list") == 12'003);
    CHECK(count_of("bans --format csv") == 12'004);
    CHECK(count_of("bans --format list --limit 7 2> /dev/null") == 7);
    CHECK(must(with_path + ctl + "bans --format list --sort ip --within 10.1.0.0/29") ==
          "10.1.0.1\n10.1.0.2\n10.1.0.3\n10.1.0.4\n10.1.0.5\n10.1.0.6\n10.1.0.7\n");
    CHECK(daemon.ctl("bans --limit -1").code == 2);
    must(with_path + ctl + "--json bans > " + dir / "saved");
    CHECK(daemon.ctl("flush").code == 0);
    // A list alone must not ban what only --force does.
    Ran unforced = sh(with_path + ctl + "ban - < " + dir / "saved" + " 2>&1");
    INFO(unforced.out);
    CHECK(unforced.code == 1);
    CHECK(has(unforced.out,
              "ban 198.51.100.7: the line wants it even if ignoreip holds it; use "
              "--force if that is meant\n"));
    CHECK(bans().empty());
    must(with_path + ctl + "ban - --force < " + dir / "saved");
    CHECK(count_of("bans --format list") == 12'003);
    // As they were made: one holds against ignoreip, the others do not.
    auto of = [&](const std::string& block) {
        return json("bans --within " + block)["bans"][0].value("even_if_ignored", false);
    };
    CHECK(of("198.51.100.7"));
    CHECK_FALSE(of("203.0.113.9"));
    // A renewal takes nothing away.
    REQUIRE(daemon.ctl("ban 198.51.100.8 -j app --force").code == 0);
    daemon.ctl("ban 198.51.100.8 -j app");
    CHECK(of("198.51.100.8"));
    for (const char* wrong : {"203.0.113.10 2hh", "203.0.113.10 -1h", "203.0.113.10 0",
                              "203.0.113.10 0 x", "203.0.113.10 3x failures"}) {
        Ran ran = sh("echo " + std::string(wrong) + " | " + with_path + ctl + "ban -");
        CHECK(ran.code == 2);
        CHECK(has(ran.out, "standard input:1: end \""));
    }
    must("echo 203.0.113.11 90 | " + with_path + ctl + "ban -");
    CHECK(has(json("bans --within 203.0.113.11").dump(), "\"reason\":\"by hand\""));
    // A number is what it is behind --for.
    must("echo 203.0.113.12 600 failures | " + with_path + ctl + "ban -");
    Json ban = json("bans --within 203.0.113.12")["bans"][0];
    CHECK(ban["reason"] == "by hand: failures");
    auto seconds = [&](const char* key) {
        return std::stoll(must("date +%s -d " + ban[key].get<std::string>()));
    };
    CHECK(seconds("until") - seconds("from") == 600);
}

TEST_CASE_METHOD(AppSetup, "a list of bans is understood, or refused: it is never another ban") {
    configure_app("    ignoreip: [198.51.100.0/24]\n", "ban_limit: 5\n");
    REQUIRE(daemon.start());
    auto feed = [&](const std::string& lines, const std::string& options = "") {
        write_file(dir / "list", lines);
        Ran ran = sh(built("bandctl") + " -c " + dir.path() + " ban - " + options + " < " +
                     dir / "list" + " 2>&1");
        UNSCOPED_INFO(ran.out);
        return ran;
    };
    // Its lines may not switch off what the command has not.
    for (const char* line :
         {R"({"ip":"198.51.100.5","jail":"app","even_if_ignored":true})",
          R"({"ip":"198.51.100.5","jail":"app","force":true})",
          R"({"ip":"0.0.0.0/0","even_if_ignored":true})", R"({"ip":"10.0.0.0/8","force":true})",
          R"({"ip":"10.0.0.0/8"})", R"({"ip":"10.0.0.0/8","by_hand":true})"}) {
        Ran ran = feed(line);
        CHECK(ran.code == 1);
        CHECK(has(ran.out, "use --force"));
        CHECK(has(ran.out, "nobody was banned"));
    }
    CHECK(feed(R"({"ip":"198.51.100.5","jail":"app","even_if_ignored":true})", "--force").code ==
          0);
    CHECK(json("bans")["bans"][0]["even_if_ignored"] == true);
    CHECK(daemon.ctl("flush").code == 0);
    // Each value is of the type that it has.
    for (const char* bad :
         {R"({"ip":"203.0.113.1","until":""})", R"({"ip":"203.0.113.1","until":true})",
          R"({"ip":"203.0.113.1","until":1930000000000})", R"({"ip":"203.0.113.1","jail":5})",
          R"({"ip":"203.0.113.1","reason":[1]})", R"({"ip":"203.0.113.1","force":1})",
          R"({"ip":"203.0.113.1","by_hand":true,"offence":"2"})", R"({"bans":5})",
          R"({"bans":[7]})", R"({"ip":7})"}) {
        Ran ran = feed(bad);
        CHECK(ran.code == 2);
        CHECK(has(ran.out, "standard input:1: "));
    }
    CHECK(feed(R"({"ip":"203.0.113.1","until":1930000000})"
               "\n"
               R"({"ip":"203.0.113.2","until":"2031-02-28T01:06:40+02:00"})"
               "\n203.0.113.3 2031-12-09 10:00 then\n"
               R"({"ip":"203.0.113.4","until":null})")
              .code == 0);
    CHECK(has(bans({"ip", "until"}), "203.0.113.1 2031-02-27T23:06:40Z\n"));
    CHECK(has(bans({"ip", "until"}), "203.0.113.2 2031-02-27T23:06:40Z\n"));
    CHECK(has(json("bans --within 203.0.113.3").dump(), "\"reason\":\"by hand: then\""));
    CHECK(daemon.ctl("ban 203.0.113.9 -r " + std::string(1001, 'x')).code == 2);
    // All, or none: there is room for one more.
    Ran ran = feed("203.0.113.1\n203.0.113.11\n203.0.113.11\n203.0.113.12\n203.0.113.13\n");
    CHECK(ran.code == 1);
    CHECK_FALSE(has(ran.out, "203.0.113.11:"));
    CHECK(has(ran.out,
              "standard input:4: ban 203.0.113.12: there is room for 1 more bans only; "
              "raise \"ban_limit\" in bandd.yaml\n"));
    CHECK(has(ran.out, "standard input:5: ban 203.0.113.13"));
    CHECK(has(ran.out, "nobody was banned"));
    CHECK(json("bans")["total"] == 4);
    CHECK(feed("203.0.113.1\n203.0.113.11\n203.0.113.11\n").code == 0);
    // What is there needs no room.
    CHECK(feed("203.0.113.1 2h\n").code == 0);
    CHECK(daemon.ctl("ban 203.0.113.1 --for 3h").code == 0);
    CHECK(daemon.ctl("ban 203.0.113.12").code == 1);
}

TEST_CASE_METHOD(AppSetup, "a list of bans comes back as it was, those of logs, too") {
    configure_app("    bantime.increment: {factor: 2}\n");
    REQUIRE(daemon.start());
    for (int i = 0; i < 2; ++i) {
        denied("203.0.113.9");
        denied("203.0.113.9");
        REQUIRE(bans_become("203.0.113.9 app active\n"));
        if (i == 0) REQUIRE(daemon.ctl("unban 203.0.113.9").code == 0);
    }
    REQUIRE(daemon.ctl("ban 203.0.113.1 -r 'by hand: twice'").code == 0);
    REQUIRE(daemon.ctl("ban 203.0.113.2 --for forever").code == 0);
    REQUIRE(daemon.ctl("ban 2001:db8::1 -j app").code == 0);
    std::string list = built("bandctl") + " -c " + dir.path() + " --json bans --sort ip";
    std::string before = must(list + " | tee " + dir / "saved");
    auto again = [&] {
        must(built("bandctl") + " -c " + dir.path() + " ban - < " + dir / "saved");
    };
    REQUIRE(daemon.ctl("flush").code == 0);
    again();
    CHECK(must(list) == before);
    again();  // of bans that are there
    CHECK(must(list) == before);
    CHECK(has(daemon.ctl("explain 203.0.113.9").out, "ban number 2"));
    // Elsewhere the next one is a further one, too.
    daemon.stop(SIGTERM);
    must("rm -r " + dir / "run/state.db*");
    must("nft delete table inet bandd");
    write_file(log, "");
    REQUIRE(daemon.start());
    again();
    CHECK(must(list) == before);
    REQUIRE(daemon.ctl("unban 203.0.113.9").code == 0);
    denied("203.0.113.9");
    denied("203.0.113.9");
    REQUIRE(wait_for([&] { return has(daemon.ctl("explain 203.0.113.9").out, "ban number 3"); }));
}

TEST_CASE_METHOD(AppSetup, "bans within a block are not those around it, unless asked for") {
    configure_app();
    REQUIRE(daemon.start());
    for (const char* who : {"203.0.0.0/16", "203.0.113.0/24", "203.0.113.9", "203.0.114.1"})
        REQUIRE(daemon.ctl(std::string("ban ") + who).code == 0);
    auto within = [&](const std::string& what) {
        return daemon.ctl("bans --format list --sort ip --within " + what).out;
    };
    CHECK(within("203.0.113.0/24") == "203.0.113.0/24\n203.0.113.9\n");
    CHECK(within("203.0.113.9") == "203.0.113.9\n");
    CHECK(within("203.0.113.10").empty());
    CHECK(within("203.0.113.10 --covering") == "203.0.0.0/16\n203.0.113.0/24\n");
    CHECK(within("203.0.113.0/25 --covering") == "203.0.0.0/16\n203.0.113.0/24\n203.0.113.9\n");
    CHECK(daemon.ctl("bans --covering").code == 2);
}

TEST_CASE_METHOD(AppSetup, "a reload puts limits into force, or says that it needs a restart") {
    configure_app("", "ban_limit: 2\n");
    start();
    auto ban = [&](const std::string& ip) { return daemon.ctl("ban " + ip).code; };
    CHECK(ban("203.0.113.1") == 0);
    CHECK(ban("203.0.113.2") == 0);
    CHECK(ban("203.0.113.3") == 1);
    configure_app("",
                  "ban_limit: 3\nmemory_limit: 1\ndbpurgeage: 1d\nline_limit: 1000\n"
                  "dns_servers: [127.0.0.1]\n");
    CHECK(daemon.ctl("reload").out ==
          "loaded: 2 jails\ndns_servers, line_limit: restart bandd to have the new values\n");
    CHECK(daemon.said("dns_servers, line_limit: new values hold only when bandd is restarted"));
    std::string config = daemon.ctl("config").out;
    INFO(config);
    CHECK(has(config, "65536"));
    CHECK_FALSE(has(config, "127.0.0.1"));
    CHECK(ban("203.0.113.3") == 0);
    CHECK(ban("203.0.113.4") == 1);
    // Nobody is freed by a lower one.
    configure_app("", "ban_limit: 1\n");
    CHECK(daemon.ctl("reload").code == 0);
    CHECK(json("bans")["total"] == 3);
    CHECK(ban("203.0.113.4") == 1);
    CHECK(has(daemon.ctl("ban 203.0.113.4").out, "which is the limit"));
}

TEST_CASE_METHOD(AppSetup, "bans: filters, order, pages, and formats for programs") {
    make_database("8.2.0.0/16 country_code=DE\n8.1.0.0/16 country_code=FR\n");
    configure_app("", "geoip: geo.mmdb\n");
    REQUIRE(daemon.start());
    must(built("bandctl") + " -c " + dir.path() +
         " ban 8.2.0.1 8.2.0.2 -r 'one, \"two\"' --for forever");
    must(built("bandctl") + " -c " + dir.path() + " ban 8.1.0.1 -j app");
    auto list = [&](const std::string& options) {
        return daemon.ctl("bans --format list --sort ip " + options).out;
    };
    CHECK(list("") == "8.1.0.1\n8.2.0.1\n8.2.0.2\n");
    CHECK(list("--reverse") == "8.2.0.2\n8.2.0.1\n8.1.0.1\n");
    CHECK(list("--country de") == "8.2.0.1\n8.2.0.2\n");
    CHECK(list("--jail app") == "8.1.0.1\n");
    CHECK(list("--within 8.2.0.0/24 --skip 1") == "8.2.0.2\n");
    CHECK(list("--since 1h --limit 2") == "8.1.0.1\n8.2.0.1\n1 more: use --limit\n");
    CHECK(list("--reason two --limit 1 --skip 1") == "8.2.0.2\n");
    CHECK(list("--skip 3") == "--skip leaves out all: there are 3 bans\n");
    CHECK(daemon.ctl("bans --skip 99").out == "--skip leaves out all: there are 3 bans\n");
    CHECK(daemon.ctl("bans --country XX").out == "nobody is banned that this is true of\n");
    Ran csv = daemon.ctl("bans --format csv --within 8.2.0.1");
    CHECK(csv.out.starts_with("address,jail,state,from,until,hits,reason\n8.2.0.1,manual,"));
    CHECK(has(csv.out, ",,0,\"by hand: one, \"\"two\"\"\"\n"));
    Ran narrow = sh("COLUMNS=60 " + built("bandctl") + " -c " + dir.path() + " bans");
    INFO(narrow.out);
    CHECK(widest_line(narrow.out) <= 62);  // "…" has three bytes
    CHECK(has(narrow.out, "8.2.0.1"));
    CHECK(has(narrow.out, "UNTIL"));
}

TEST_CASE_METHOD(AppSetup, "sentences fit a narrow terminal, and are whole for programs") {
    configure_app("    description: " + std::string("what the application says of ") +
                  "logins that it refused, in words\n");
    REQUIRE(daemon.start());
    denied("203.0.113.9");
    denied("203.0.113.9");
    REQUIRE(bans_become("203.0.113.9 app active\n"));
    must(built("bandctl") + " -c " + dir.path() +
         " ban 203.0.113.20 -r 'a reason of more words than fit into one line of a narrow "
         "terminal'");
    for (const char* words : {"status app", "status", "explain 203.0.113.9", "explain 203.0.113.20",
                              "ban 203.0.113.256", "ban 10.0.0.0/4", "status no-such-jail-here"}) {
        auto ask = [&](const std::string& environment) {
            return sh(environment + built("bandctl") + " -c " + dir.path() + " " + words).out;
        };
        std::string narrow = ask("COLUMNS=60 "), wide = ask("env -u COLUMNS ");
        INFO(narrow);
        // But for lines of logs, which may be copied.
        std::string told;
        std::istringstream lines(narrow);
        for (std::string line; std::getline(lines, line);)
            if (!has(line, "denied bob")) told += line + "\n";
        CHECK(widest_line(told) <= 60);
        CHECK(words_of(narrow) == words_of(wide));
    }
    CHECK(has(
        sh("COLUMNS=60 " + built("bandctl") + " -c " + dir.path() + " explain 203.0.113.20").out,
        "\n      "));
}

TEST_CASE_METHOD(AppSetup,
                 "allow: nobody there is banned from then on, over kill -9, until it ends") {
    configure_app("", "checkpoint: 1s\n");
    REQUIRE(daemon.start());
    REQUIRE(daemon.ctl("ban 203.0.113.0/24").code == 0);
    CHECK(daemon.ctl("allow list").out == "nobody is allowed by hand\n");
    Ran ran = daemon.ctl("allow 203.0.113.9 --for 2d -r office");
    INFO(ran.out);
    CHECK(ran.code == 0);
    CHECK(has(ran.out, "203.0.113.9 is allowed, until "));
    CHECK(has(ran.out, "203.0.113.0/24 is free (jail manual)\n"));
    CHECK(daemon.ctl("allow 198.51.100.0/24 -j app").code == 0);
    CHECK_FALSE(in_set("manual-ipv4-24", "203.0.113.0/24"));
    CHECK(
        has(daemon.ctl("explain 203.0.113.9").out, "never banned: 203.0.113.9 is allowed by hand"));
    CHECK(has(daemon.ctl("explain 203.0.113.9").out, ": office\n"));
    ran = daemon.ctl("ban 203.0.113.9");
    CHECK(ran.code == 1);
    CHECK(has(ran.out, "it is allowed by hand (bandctl allow list)"));
    auto allowed = [&] {
        std::string all;
        Json answer = json("allow list");
        for (const Json& one : answer["allowed"])
            all += one["ip"].get<std::string>() + one.value("jail", "") + "\n";
        return all;
    };
    CHECK(allowed() == "203.0.113.9\n198.51.100.0/24app\n");
    auto check = [&] {
        CHECK(allowed() == "203.0.113.9\n198.51.100.0/24app\n");
        denied("203.0.113.9");
        denied("203.0.113.9");
        denied("198.51.100.7");
        denied("198.51.100.7");
        denied("192.0.2.7");
        denied("192.0.2.7");
        CHECK(bans_become("192.0.2.7 app active\n"));
        must(built("bandctl") + " -c " + dir.path() + " unban 192.0.2.7");
    };
    check();
    CHECK(wait_for([&] { return has(daemon.ctl("state export").out, "office"); }));
    daemon.stop(SIGKILL);
    REQUIRE(daemon.start());
    check();
    CHECK(daemon.ctl("reload").code == 0);
    check();
    CHECK(daemon.ctl("allow remove 203.0.113.9").code == 0);
    CHECK(daemon.ctl("allow remove 203.0.113.9").code == 1);
    CHECK(daemon.ctl("ban 203.0.113.9").code == 0);
    CHECK(daemon.ctl("allow 203.0.113.9 --for 1s").code == 0);
    CHECK(wait_for([&] { return allowed() == "198.51.100.0/24app\n"; }));
    CHECK(daemon.ctl("ban 203.0.113.9").code == 0);
    CHECK(has(daemon.ctl("allow 0.0.0.0/0").out, "it is too wide"));
    CHECK(has(daemon.ctl("allow 192.0.2.1 -j aap").out, "did you mean \"app\"?"));
    CHECK(daemon.ctl("ban 192.0.2.1 --force").code == 0);
    ran = daemon.ctl("allow 192.0.2.1");
    CHECK(ran.code == 1);
    CHECK(has(ran.out, "it stays banned by 192.0.2.1 (jail manual), which was made with --force"));
}

TEST_CASE_METHOD(AppSetup, "a jail is stopped, started and changed at run time, over restarts") {
    configure_app("", "checkpoint: 1s\n");
    REQUIRE(daemon.start());
    denied("203.0.113.9");
    denied("203.0.113.9");
    REQUIRE(bans_become("203.0.113.9 app active\n"));
    Ran ran = daemon.ctl("stop app");
    INFO(ran.out);
    CHECK(ran.out == "jail app is stopped, until bandctl start; 1 ban lifted\n");
    CHECK(daemon.ctl("stop app").code == 1);
    CHECK(bans().empty());
    CHECK_FALSE(in_set("app-ipv4", "203.0.113.9"));
    CHECK(daemon.ctl("status app").out == "jail app is stopped: bandctl start app\n");
    CHECK(has(daemon.ctl("status").out, "jail app is stopped: bandctl start app\n"));
    CHECK(daemon.ctl("ban 203.0.113.1 -j app").out ==
          "jail \"app\": it is stopped; bandctl start app\n");
    CHECK(wait_for([&] { return has(daemon.ctl("state export").out, "stopped"); }));
    daemon.stop(SIGKILL);
    REQUIRE(daemon.start());
    CHECK(daemon.ctl("reload").code == 0);
    denied("203.0.113.9");
    denied("203.0.113.9");
    CHECK(has(daemon.log(), "warning: jail \"app\": it is stopped by hand; bandctl start app\n"));
    CHECK(daemon.ctl("status app").out == "jail app is stopped: bandctl start app\n");
    CHECK(daemon.ctl("start app").out == "jail app is started\n");
    REQUIRE(bans_become("203.0.113.9 app active\n"));  // what was written meanwhile
    CHECK(daemon.ctl("unban 203.0.113.9").code == 0);
    CHECK(daemon.ctl("set app maxretry 4").out == "jail app bans after 4 hits in 10m for 1h\n");
    CHECK(daemon.ctl("set app bantime 2h").out == "jail app bans after 4 hits in 10m for 2h\n");
    CHECK(daemon.ctl("set app findtime 1d").out == "jail app bans after 4 hits in 1d for 2h\n");
    CHECK(has(daemon.ctl("status app").out,
              "maxretry was set by bandctl; the configuration says 2\n"));
    for (int i = 0; i < 3; ++i) denied("203.0.113.20");
    CHECK(
        wait_for([&] { return has(daemon.ctl("explain 203.0.113.20").out, "3 of 4 hits in 1d"); }));
    CHECK(daemon.ctl("set app maxretry 0").code == 2);
    CHECK(daemon.ctl("set app bantime soon").code == 2);
    CHECK(daemon.ctl("set aap bantime 1h").code == 1);
    CHECK(wait_for([&] { return has(daemon.ctl("state export").out, "findtime"); }));
    daemon.stop(SIGKILL);
    REQUIRE(daemon.start());
    CHECK(
        wait_for([&] { return has(daemon.ctl("explain 203.0.113.20").out, "3 of 4 hits in 1d"); }));
    CHECK(daemon.ctl("reload").code == 0);
    denied("203.0.113.20");
    REQUIRE(bans_become("203.0.113.20 app active\n"));
    CHECK(daemon.ctl("set app maxretry default").out ==
          "jail app bans after 2 hits in 1d for 2h\n");
    // fail2ban's words.
    CHECK(daemon.ctl("set app banip 192.0.2.7 192.0.2.8").code == 0);
    CHECK(daemon.ctl("set app unbanip 192.0.2.7").out == "192.0.2.7 is free\n");
    CHECK(daemon.ctl("set app addignoreip 192.0.2.8").code == 0);
    CHECK(bans() == "203.0.113.20 app active\n");
    CHECK(daemon.ctl("set app delignoreip 192.0.2.8").code == 0);
}

TEST_CASE_METHOD(AppSetup, "what was ordered of a jail that has left its file is taken back") {
    configure_app();
    REQUIRE(daemon.start());
    CHECK(daemon.ctl("set app maxretry 4").code == 0);
    CHECK(daemon.ctl("stop app").code == 0);
    std::string before = must("cat " + dir / "bandd.yaml");
    write_file(dir / "bandd.yaml",
               must("sed 's/^  app:/  other:\\n    filter: app/' " + dir / "bandd.yaml"));
    REQUIRE(daemon.ctl("reload").code == 0);
    CHECK(daemon.ctl("set app maxretry 5").code == 1);
    CHECK(daemon.ctl("set app maxretry default").out ==
          "jail app does not run; once it does, its maxretry is what its file says\n");
    CHECK(daemon.ctl("start app").out ==
          "jail app is stopped no more, but no file has such a jail\n");
    CHECK(has(daemon.ctl("start app").out, "there is no such jail"));
    write_file(dir / "bandd.yaml", before);
    REQUIRE(daemon.ctl("reload").code == 0);
    CHECK(json("status app")["jails"][0]["maxretry"] == 2);
}

TEST_CASE_METHOD(AppSetup, "a jail that comes back counts nothing twice, and nothing is lost") {
    std::string more =
        "    bantime.increment: {factor: 2}\n"
        "  own: {logpath: other.log, filter: app, maxretry: 3}\n"
        "  recidive: {source: bans, maxretry: 3, findtime: 1d, bantime: 1w}\n";
    configure_app(more);
    REQUIRE(daemon.start());
    denied("203.0.113.9");
    denied("203.0.113.9");
    denied("203.0.113.8");
    denied("203.0.113.7");
    denied("203.0.113.7");
    REQUIRE(bans_become("203.0.113.7 app active\n203.0.113.9 app active\n"));
    CHECK(daemon.ctl("unban 203.0.113.7").code == 0);
    auto away_and_back = [&] {
        for (bool by_reload : {false, true}) {
            if (by_reload) {
                configure_app("    enabled: false\n" + more);
                CHECK(daemon.ctl("reload").code == 0);
                configure_app(more);
                CHECK(daemon.ctl("reload").code == 0);
            } else {
                CHECK(daemon.ctl("stop app").code == 0);
                CHECK(daemon.ctl("start app").code == 0);
            }
        }
    };
    for (int i = 0; i < 2; ++i) away_and_back();
    // Its other line, and the ban of who was not banned: what came before was counted once.
    denied("203.0.113.8");
    REQUIRE(bans_become("203.0.113.8 app active\n"));
    CHECK(has(daemon.ctl("explain 203.0.113.8").out, "ban number 1"));
    // While it is stopped.
    CHECK(daemon.ctl("stop app").code == 0);
    denied("203.0.113.20");
    denied("203.0.113.20");
    CHECK(daemon.ctl("start app").code == 0);
    REQUIRE(bans_become("203.0.113.20 app active\n"));
    CHECK(daemon.ctl("stop app").code == 0);
    daemon.stop(SIGTERM);
    REQUIRE(daemon.start());
    CHECK(daemon.ctl("start app").code == 0);
    denied("203.0.113.21");
    denied("203.0.113.21");
    REQUIRE(bans_become("203.0.113.21 app active\n"));
}

TEST_CASE_METHOD(AppSetup, "bash completes IPv6 addresses and jails, which the daemon knows") {
    configure_app();
    REQUIRE(daemon.start());
    REQUIRE(daemon.ctl("ban 2001:db8::7").code == 0);
    auto completed = [&](const std::string& line) {
        return must("export COMP_LINE='bandctl -c " + dir.path() + " " + line +
                    "'; PATH=" + built("") +
                    ":$PATH bash -c 'source " BANDD_SOURCE
                    "/packaging/completions/bandctl.bash; COMP_POINT=${#COMP_LINE}; _bandctl; "
                    R"(printf "%s|" "${COMPREPLY[@]}"')");
    };
    // Of a word with colons, what comes after the last one.
    CHECK(completed("unban 2001:db8:") == ":/64|");
    CHECK(completed("set manual unbanip 2001:db8:") == ":/64|");
    CHECK(completed("status a") == "app|");
    CHECK(completed("ban 192.0.2.1 --jail=m") == "manual|");
}

TEST_CASE_METHOD(AppSetup, "what bandctl itself refuses is JSON, too") {
    auto error_of = [&](const std::string& arguments) {
        Ran ran = sh(built("bandctl") + " --json " + arguments + " 2>/dev/null");
        Json json = Json::parse(ran.out, nullptr, false);
        INFO(ran.out);
        CHECK(json.is_object());
        return json.is_object() ? json.value("error", Json::object()) : Json::object();
    };
    CHECK(error_of("ban 10.0.0.0/4")["hint"] == "write 0.0.0.0/4 if that is meant");
    CHECK(error_of("unbann")["reason"] == "is no command of bandctl");
    CHECK(error_of("bans --sort size")["what"] == "bandctl bans");
    CHECK(error_of("ban")["hint"] == "see bandctl help ban");
    CHECK(error_of("--socket /none status")["hint"] == "is it running?");
}

TEST_CASE_METHOD(AppSetup,
                 "a second daemon of one network namespace says what is wrong, and ends") {
    configure_app();
    REQUIRE(daemon.start());
    TempDirectory other;
    must("chmod 755 " + other.path());
    auto start_other = [&](const std::string& jails) {
        write_file(
            other / "bandd.yaml",
            "state: run/state.db\nsocket: run/socket\nuser: nobody\ngroup: nogroup\n" + jails);
        return std::make_unique<DaemonProcess>(other.path());
    };
    auto second = start_other("jails: {}\n");
    CHECK_FALSE(second->start());
    INFO(second->log());
    CHECK(has(second->log(),
              "nftables table \"bandd\": another bandd of this network namespace has it (process " +
                  std::to_string(daemon.pid()) + "); stop that one"));
    // Others' sets are no trouble.
    second = start_other("jails: {manual: {action: {ipset: {set: theirs}}}}\n");
    CHECK(second->start());
    // But one that another daemon fills is, also when a reload names it.
    configure("  app:\n    logpath: app.log\n    action: {ipset: {set: theirs}}\n");
    auto refused = daemon.ctl("reload");
    CHECK(refused.code != 0);
    CHECK(has(refused.out,
              "ipset \"theirs\": another bandd of this network namespace has it (process " +
                  std::to_string(second->pid()) + "); stop that one, or name another set"));
    second->stop(SIGKILL);
    CHECK(daemon.ctl("reload").code == 0);
    // One that was killed holds nothing.
    daemon.stop(SIGKILL);
    CHECK(start_other("jails: {}\n")->start());
}

TEST_CASE_METHOD(AppSetup, "a daemon that does not answer is said, by its process") {
    configure_app();
    start();
    REQUIRE(::kill(daemon.pid(), SIGSTOP) == 0);
    Ran ran = daemon.ctl("ping");
    REQUIRE(::kill(daemon.pid(), SIGCONT) == 0);
    CHECK(ran.code == 3);
    CHECK(has(ran.out,
              " (process " + std::to_string(daemon.pid()) +
                  "): has not answered for 10 seconds; bans in the kernel hold all the same, "
                  "and what was ordered may be carried out yet"));
    CHECK(daemon.ctl("ping").code == 0);
}

TEST_CASE_METHOD(AppSetup, "config tells what is in force, not what the files say meanwhile") {
    configure_app("    findtime: 3m\n    ignoreip: [192.0.2.1]\n");
    start();
    auto setting = [&](const std::string& arguments, const std::string& key) {
        std::string all;
        const Json answer = json(arguments);
        for (const Json& one : answer["settings"])
            if (one["key"] == key) all += one.dump() + "\n";
        return all;
    };
    std::string yaml = dir / "bandd.yaml";
    std::string before = setting("config app", "findtime");
    INFO(before);
    CHECK(has(before, "\"file\":\"" + yaml + "\""));
    CHECK(has(before, "\"value\":\"3m\""));
    must("sed -i 's/findtime: 3m/findtime: 4m/' " + yaml);
    CHECK(setting("config app", "findtime") == before);
    CHECK(has(setting("config --files app", "findtime"), "\"value\":\"4m\""));
    REQUIRE(daemon.ctl("set app findtime 9m").code == 0);
    REQUIRE(daemon.ctl("allow 192.0.2.7 --jail app").code == 0);
    std::string changed = setting("config app", "findtime");
    INFO(changed);
    CHECK(has(changed, "\"value\":\"9m\""));
    CHECK(has(changed, "\"set_by\":\"bandctl set\""));
    CHECK(has(changed, "\"configured\":\"3m\""));
    CHECK(has(setting("config app", "ignoreip"),
              "\"set_by\":\"bandctl allow\",\"value\":\"192.0.2.7\""));
    Ran people = daemon.ctl("config app");
    CHECK(has(people.out, "bandctl set; else 3m, " + yaml + ":"));
    CHECK(has(daemon.ctl("config").out, "changed by bandctl"));
    CHECK(daemon.ctl("config ap").code == 1);
    REQUIRE(daemon.ctl("stop app").code == 0);
    CHECK(has(daemon.ctl("config app").out, "jail app: stopped by bandctl"));
    REQUIRE(daemon.ctl("start app").code == 0);
    REQUIRE(daemon.ctl("reload").code == 0);
    CHECK(has(setting("config app", "findtime"), "\"configured\":\"4m\""));
}
