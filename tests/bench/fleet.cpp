// SPDX-License-Identifier: GPL-2.0-or-later
// What a fleet costs: real daemons in network namespaces, a real nats-server.
//
//   sudo tests/support/in-namespace build/release/bench_fleet     (BANS=500, MANY=100000 by
//   default)
//
// From a line on one machine to the element in its own kernel's set and in another machine's; the
// first of these without a fleet, with one, and while its server is away, by turns; and many bans
// to a machine that comes later.
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>

#include "fleet/site.h"
#include "os/netlink.h"

using namespace bandd;
using Clock = std::chrono::steady_clock;

namespace {

int number_of(const char* name, int otherwise) {
    const char* text = std::getenv(name);
    return text != nullptr ? std::atoi(text) : otherwise;
}

// Notices of a machine's sets.
Netlink notices_of(const std::string& node) {
    int here = ::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int there = ::open(("/run/netns/" + node).c_str(), O_RDONLY | O_CLOEXEC);
    REQUIRE(::setns(there, CLONE_NEWNET) == 0);
    auto netlink = Netlink::open(NETLINK_NETFILTER, std::array{static_cast<int>(NFNLGRP_NFTABLES)});
    REQUIRE(::setns(here, CLONE_NEWNET) == 0);
    ::close(here);
    ::close(there);
    REQUIRE(netlink);
    return std::move(*netlink);
}

bool wait_for_element(Netlink& netlink, const std::array<char, 4>& key) {
    for (bool there = false; !there;) {
        pollfd ready{netlink.fd(), POLLIN, 0};
        if (poll(&ready, 1, 10'000) != 1) return false;
        netlink.read_notices([&](const nlmsghdr& message) {
            std::string_view bytes(reinterpret_cast<const char*>(&message), message.nlmsg_len);
            if (NFNL_MSG_TYPE(message.nlmsg_type) == NFT_MSG_NEWSETELEM &&
                bytes.find({key.data(), key.size()}) != std::string_view::npos)
                there = true;
        });
    }
    return true;
}

void print(const char* what, std::vector<double> milliseconds) {
    std::ranges::sort(milliseconds);
    auto at = [&](double share) {
        return milliseconds[static_cast<std::size_t>(share *
                                                     static_cast<double>(milliseconds.size() - 1))];
    };
    std::printf("%s, %zu bans: median %.2f ms, p90 %.2f, p99 %.2f, worst %.1f\n", what,
                milliseconds.size(), at(0.5), at(0.9), at(0.99), at(1));
    std::fflush(stdout);
}

int next_address = 0;

std::vector<double> measure(Site& site, const std::string& watched, int bans) {
    Netlink netlink = notices_of(watched);
    std::mt19937 random(1);
    std::vector<double> took;
    for (int i = 0; i < bans; ++i) {
        int number = ++next_address;
        std::array<char, 4> key{20, static_cast<char>(number / 65536),
                                static_cast<char>(number / 256 % 256),
                                static_cast<char>(number % 256)};
        std::string address =
            fmt::format("20.{}.{}.{}", number / 65536, number / 256 % 256, number % 256);
        std::this_thread::sleep_for(std::chrono::microseconds(1000 + random() % 4000));
        auto begin = Clock::now();
        site["mx1"].denied(address);
        REQUIRE(wait_for_element(netlink, key));
        took.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    }
    return took;
}

}  // namespace

TEST_CASE("a fleet's latency") {
    int bans = number_of("BANS", 500), many = number_of("MANY", 100'000);
    auto site = Site::make();
    REQUIRE(site);
    auto configure = [&](const std::string& name, bool fleet) {
        std::string jail = "  app: {logpath: app.log, maxretry: 1}\n";
        (*site)[name].configure(jail, fleet ? "fleet: {join: " + site->fleet.fleet + "/" + name +
                                                  ".join, rate: 10000000}\n"
                                            : "");
    };
    std::vector<double> alone, with, away;
    site->fleet.start();
    for (const char* name : {"gate", "mx2"}) {
        configure(name, true);
        (*site)[name].start();
    }
    auto& mx1 = (*site)["mx1"];
    auto add = [](std::vector<double>& all, const std::vector<double>& more) {
        all.insert(all.end(), more.begin(), more.end());
    };
    for (int turn = 0; turn < 3; ++turn) {
        configure("mx1", false);
        mx1.start();
        add(alone, measure(*site, "mx1", bans / 3));
        mx1.daemon.stop(SIGTERM);
        configure("mx1", true);
        mx1.start();
        REQUIRE(wait_for([&] { return mx1.json("fleet status")["connected"] == true; }));
        add(with, measure(*site, "mx1", bans / 3));
        site->fleet.server.kill();
        add(away, measure(*site, "mx1", bans / 3));
        site->fleet.start();
        mx1.daemon.stop(SIGTERM);
    }
    print("line to this machine's set, no fleet", alone);
    print("line to this machine's set, in a fleet", with);
    print("line to this machine's set, its server away", away);
    mx1.start();
    REQUIRE(wait_for([&] { return mx1.json("fleet status")["connected"] == true; }, 30));
    REQUIRE(wait_for([&] { return (*site)["mx2"].json("fleet status")["connected"] == true; }, 30));
    print("line to the other machine's set", measure(*site, "mx2", bans));
    if (many == 0) return;

    (*site)["mx2"].daemon.stop(SIGTERM);
    must("rm -rf " + ((*site)["mx2"].dir / "run") + " && ip netns exec mx2 nft flush ruleset");
    std::string list;
    for (int i = 0; i < many; ++i)
        list += fmt::format("30.{}.{}.{} 7d x\n", i / 65536, i / 256 % 256, i % 256);
    write_file(mx1.dir / "many", list);
    auto begin = Clock::now();
    auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
    must(built("bandctl") + " -c " + mx1.dir.path() + " ban - -j app < " + (mx1.dir / "many") +
         " > /dev/null");
    REQUIRE(wait_for([&] { return mx1.json("fleet status")["unpublished"] == 0; }, 600));
    std::printf("%d bans by hand, until the server has all: %.1f s\n", many, seconds());
    begin = Clock::now();
    (*site)["mx2"].start();
    auto count = [&] { return (*site)["mx2"].json("bans --limit 1").value("total", 0); };
    REQUIRE(wait_for([&] { return count() >= many; }, 600));
    std::printf("%d bans to a machine that comes later: %.1f s\n", many, seconds());
    std::printf("%s", sh("for p in $(ls /proc | grep '^[0-9]*$'); do c=$(cat /proc/$p/comm "
                         "2>/dev/null); case $c in bandd|bandd-fleet|nats-server) "
                         "echo $c $(grep ^Pss: /proc/$p/smaps_rollup 2>/dev/null);; esac; done")
                          .out.c_str());
}
