// SPDX-License-Identifier: GPL-2.0-or-later
// Three machines with bandd, each in a network namespace of its own, and a real nats-server.
#include "fleet/site.h"
#include "fleet/word_text.h"
#include "os/clock.h"
#include "support/catch.h"

namespace bandd {

TEST_CASE("a ban of one machine is in the kernel's sets of all, and so is its end") {
    auto site = Site::make();
    if (!site) return;
    site->start_all();
    site->hit("mx1", "198.51.100.7");
    CHECK(site->all_get("198.51.100.7"));
    // Who said it is in its reason on the others.
    CHECK((*site)["mx1"].bans_become("198.51.100.7 denied\n", {"ip", "reason"}));
    CHECK((*site)["mx2"].bans_become("198.51.100.7 denied (mx1)\n", {"ip", "reason"}));
    CHECK((*site)["mx2"].bans({"jail"}) == "app\n");
    auto ends = [&](const char* name) { return (*site)[name].bans({"until"}); };
    CHECK(ends("mx1") == ends("mx2"));
    CHECK((*site)["mx1"].daemon.ctl("unban 198.51.100.7").code == 0);
    CHECK(site->all_lose("198.51.100.7"));
    CHECK((*site)["gate"].json("bans")["bans"].empty());
    // By hand, and of a network.
    (*site)["mx2"].daemon.ctl("ban 203.0.113.0/24 --for 1h");
    for (const char* name : Site::names)
        CHECK((*site)[name].bans_become("203.0.113.0/24 manual active\n"));
}

TEST_CASE("a machine that was cut off bans as before, and all agree once it is back") {
    auto site = Site::make();
    if (!site) return;
    site->start_all();
    site->hit("gate", "198.51.100.1");
    REQUIRE(site->all_get("198.51.100.1"));
    Site::cut("mx2");
    site->hit("mx2", "198.51.100.2");
    CHECK((*site)["mx2"].gets("198.51.100.2", 2));
    site->hit("mx1", "198.51.100.3");
    CHECK((*site)["gate"].gets("198.51.100.3"));
    CHECK_FALSE((*site)["mx2"].holds("198.51.100.3"));
    Site::heal("mx2");
    CHECK((*site)["mx2"].gets("198.51.100.3", 40));
    CHECK((*site)["gate"].gets("198.51.100.2", 40));
    CHECK((*site)["mx1"].gets("198.51.100.2"));
}

TEST_CASE("kills, a server that is away, and one whose store is lost, lose no ban") {
    auto site = Site::make();
    if (!site) return;
    site->start_all();
    site->hit("mx1", "198.51.100.1");
    REQUIRE(site->all_get("198.51.100.1"));
    site->fleet.server.kill();
    site->hit("mx1", "198.51.100.2");
    CHECK((*site)["mx1"].gets("198.51.100.2", 2));
    // Killed while its word is said to nobody yet.
    sleep(3);
    (*site)["mx1"].daemon.stop(SIGKILL);
    (*site)["mx2"].daemon.stop(SIGKILL);
    must("rm -rf " + (site->fleet.dir / "store"));
    site->fleet.start();
    (*site)["mx1"].start();
    (*site)["mx2"].start();
    CHECK((*site)["mx2"].holds("198.51.100.1"));
    CHECK((*site)["mx2"].gets("198.51.100.2", 60));
    CHECK((*site)["gate"].gets("198.51.100.2"));
    site->hit("mx2", "198.51.100.3");
    CHECK(site->all_get("198.51.100.3"));
}

TEST_CASE("who comes later gets what there is; a jail that it does not have is `fleet` there") {
    auto site = Site::make();
    if (!site) return;
    site->fleet.start();
    for (const char* name : {"gate", "mx1"}) {
        site->configure(name);
        (*site)[name].start();
    }
    for (int i = 1; i <= 200; ++i)
        (*site)["mx1"].daemon.ctl(fmt::format("ban 198.51.100.{} -j app", i));
    REQUIRE((*site)["gate"].gets("198.51.100.200"));
    auto& mx2 = (*site)["mx2"];
    mx2.configure("  other:\n    filter: app\n    logpath: app.log\n",
                  "fleet:\n  join: " + site->fleet.fleet + "/mx2.join\n");
    mx2.start();
    CHECK(wait_for([&] { return mx2.json("bans --limit 1000")["bans"].size() == 200; }, 30));
    CHECK(mx2.json("bans --limit 1")["bans"][0]["jail"] == "fleet");
    // It gets that jail: its bans go there.
    site->configure("mx2");
    CHECK(mx2.daemon.ctl("reload").code == 0);
    CHECK(wait_for([&] { return mx2.json("bans --jail app --limit 1000")["bans"].size() == 200; },
                   30));
    CHECK(mx2.json("bans --jail fleet")["bans"].empty());
}

TEST_CASE("hits on several machines are counted together, however they are killed") {
    auto site = Site::make();
    if (!site) return;
    site->fleet.start();
    for (const char* name : Site::names) {
        site->configure(name, "    maxretry: 4\n    share: hits\n");
        // A second maxretry: the later one counts.
        std::string config = read_file((*site)[name].dir / "bandd.yaml");
        config.erase(config.find("    maxretry: 2\n"), 16);
        write_file((*site)[name].dir / "bandd.yaml", config);
        (*site)[name].start();
    }
    site->hit("mx1", "198.51.100.7", 2);
    site->hit("mx2", "198.51.100.7", 1);
    site->hit("gate", "198.51.100.8", 3);
    sleep(3);
    CHECK((*site)["gate"].json("bans")["bans"].empty());
    // Whoever is killed reads again, and counts nothing twice.
    for (const char* name : Site::names) {
        (*site)[name].daemon.stop(SIGKILL);
        (*site)[name].start();
    }
    sleep(4);
    CHECK((*site)["mx1"].json("bans")["bans"].empty());
    site->hit("mx2", "198.51.100.7", 1);
    CHECK(site->all_get("198.51.100.7"));
    CHECK((*site)["mx1"].bans_become("198.51.100.7 4 hits on mx1, mx2 (gate)\n", {"ip", "reason"}));
    CHECK_FALSE((*site)["mx1"].holds("198.51.100.8"));
    CHECK((*site)["gate"].daemon.log().find("violation") == std::string::npos);
}

TEST_CASE("the operator lifts a ban of all machines, and hits before it count nowhere") {
    auto site = Site::make();
    if (!site) return;
    site->start_all();
    site->hit("mx1", "198.51.100.7");
    site->hit("mx2", "198.51.100.7");
    REQUIRE(site->all_get("198.51.100.7"));
    auto& mx1 = (*site)["mx1"];
    Ran ran = sh(built("bandctl") + " -c " + mx1.dir.path() +
                 " fleet unban 198.51.100.7 --directory " + site->fleet.fleet);
    INFO(ran.out);
    CHECK(ran.code == 0);
    CHECK(site->all_lose("198.51.100.7"));
    site->hit("mx1", "198.51.100.7");
    CHECK(site->all_get("198.51.100.7"));
}

TEST_CASE("fleet status tells how the fleet is, and who is in it") {
    auto site = Site::make();
    if (!site) return;
    site->start_all();
    site->hit("mx1", "198.51.100.7");
    REQUIRE(site->all_get("198.51.100.7"));
    auto& mx2 = (*site)["mx2"];
    CHECK(wait_for([&] { return mx2.json("fleet status")["nodes"].size() == 3; }));
    Json status = mx2.json("fleet status");
    CAPTURE(status.dump());
    CHECK(status["fleet"] == "shop");
    CHECK(status["node"] == "mx2");
    CHECK(status["connected"] == true);
    CHECK(status["known"] == 1);
    CHECK(status["adopted"] == 1);
    CHECK(status["unpublished"] == 0);
    std::string text = mx2.daemon.ctl("fleet status").out;
    CHECK(has(text, "fleet shop, node mx2"));
    CHECK(has(text, "connected to 10.9.0.1:4222"));
    site->fleet.server.kill();
    CHECK(wait_for([&] { return has(mx2.daemon.ctl("fleet status").out, "not connected"); }));
}

TEST_CASE("who loses its state gets all bans again") {
    auto site = Site::make();
    if (!site) return;
    site->start_all();
    for (const char* ip : {"198.51.100.1", "198.51.100.2"}) {
        site->hit("mx1", ip);
        REQUIRE(site->all_get(ip));
    }
    auto& mx2 = (*site)["mx2"];
    mx2.daemon.stop(SIGKILL);
    must("rm -rf " + (mx2.dir / "run") + " && ip netns exec mx2 nft flush ruleset");
    mx2.start();
    CHECK(mx2.gets("198.51.100.1", 60));
    CHECK(mx2.gets("198.51.100.2"));
}

TEST_CASE("nobody has the server's address banned on others") {
    auto site = Site::make();
    if (!site) return;
    site->fleet.start();
    for (const char* name : {"gate", "mx1"}) {
        site->configure(name);
        (*site)[name].start();
    }
    // With the file of mx2, which does not run.
    FleetPeer stolen(site->fleet.membership("mx2").access);
    auto ban = [&](const std::string& prefix) {
        BanWord word;
        word.from = now();
        word.until = word.from + std::chrono::hours(1);
        word.stamp.time = word.from;
        word.makers = {"mx2"};
        REQUIRE(stolen.publish(to_subject(BanSubject{BanClass::hour, "mx2", "app", prefix}),
                               to_text(word)));
    };
    REQUIRE(stolen.until([&] { return stolen.state.connected; }, 30));
    ban("10.9.0.1");
    ban("10.9.0.0/24");
    ban("198.51.100.9");
    CHECK((*site)["gate"].gets("198.51.100.9"));
    CHECK((*site)["mx1"].gets("198.51.100.9"));
    for (const char* name : {"gate", "mx1"}) {
        CHECK((*site)[name].bans({"ip"}) == "198.51.100.9\n");
        CHECK((*site)[name].json("fleet status")["exempt"] >= 2);
    }
}

TEST_CASE("what a machine ignores, and a jail that shares nothing, are not banned there") {
    auto site = Site::make();
    if (!site) return;
    site->fleet.start();
    site->configure("gate");
    site->configure("mx1", "    ignoreip: [198.51.100.7]\n");
    site->configure("mx2", "    share: nothing\n");
    for (const char* name : Site::names) (*site)[name].start();
    site->hit("gate", "198.51.100.8");
    site->hit("gate", "198.51.100.7");
    CHECK((*site)["mx1"].gets("198.51.100.8"));
    site->hit("mx2", "198.51.100.9");
    CHECK((*site)["mx2"].gets("198.51.100.9"));
    // Its own address is nobody's to ban.
    (*site)["gate"].daemon.ctl("ban 10.9.0.3 -j app");
    site->hit("gate", "198.51.100.10");
    REQUIRE((*site)["mx1"].gets("198.51.100.10"));
    CHECK_FALSE((*site)["mx1"].holds("198.51.100.7"));
    CHECK((*site)["mx1"].bans({"ip"}) == "198.51.100.8\n198.51.100.10\n");
    CHECK((*site)["mx2"].bans({"ip"}) == "198.51.100.9\n");
    CHECK_FALSE((*site)["gate"].holds("198.51.100.9"));
}

}  // namespace bandd
