// SPDX-License-Identifier: GPL-2.0-or-later
// From a line appended to a log to its address in the kernel's set, 1,000 times, one after the
// other: the real daemon, inotify, nftables. The end is the kernel's own notification that the
// element is in.
//
//   sudo tests/support/in-namespace build/release/bench_ban_latency      (BANS=1000 by default)
//
// And while many others are added at once: by a log that is full of them, and when all are put back
// after a flush (OTHERS=100000 by default): until bandd's log says that the kernel has it.
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <fstream>
#include <random>
#include <thread>
#include <utility>

#include "os/netlink.h"
#include "support/common.h"
#include "support/machine.h"

using namespace bandd;
using Clock = std::chrono::steady_clock;

TEST_CASE("ban latency") {
    const char* wanted = std::getenv("BANS");
    int bans = wanted != nullptr ? std::atoi(wanted) : 1000;
    clean_namespace();
    TempDirectory dir;
    std::string log = dir / "app.log";
    write_file(log, "");
    write_file(dir / "filters/app.yaml",
               "description: test\nfailregex:\n  - {id: denied, regex: '^denied <HOST>$'}\n");
    write_file(dir / "bandd.yaml",
               "state: run/state.db\nsocket: run/socket\nuser: nobody\ngroup: nogroup\n"
               "jails:\n  app: {logpath: app.log, maxretry: 1}\n");
    DaemonProcess daemon(dir.path());
    bool started = daemon.start();
    INFO(daemon.log());
    REQUIRE(started);
    auto netlink = Netlink::open(NETLINK_NETFILTER, std::array{static_cast<int>(NFNLGRP_NFTABLES)});
    REQUIRE(netlink);
    int fd = ::open(log.c_str(), O_WRONLY | O_APPEND);
    std::mt19937 random(1);
    std::vector<double> microseconds;
    for (int i = 0; i < bans; ++i) {
        std::string line = "denied 10." + std::to_string(i / 65536) + "." +
                           std::to_string(i / 256 % 256) + "." + std::to_string(i % 256) + "\n";
        std::this_thread::sleep_for(std::chrono::microseconds(500 + random() % 3000));
        // The element's key as it stands in the notification.
        const std::array<char, 4> key{10, static_cast<char>(i / 65536),
                                      static_cast<char>(i / 256 % 256), static_cast<char>(i % 256)};
        auto begin = Clock::now();
        REQUIRE(::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size()));
        bool there = false;
        while (!there) {
            pollfd ready{netlink->fd(), POLLIN, 0};
            REQUIRE(poll(&ready, 1, 5000) == 1);
            netlink->read_notices([&](const nlmsghdr& message) {
                std::string_view bytes(reinterpret_cast<const char*>(&message), message.nlmsg_len);
                if (NFNL_MSG_TYPE(message.nlmsg_type) == NFT_MSG_NEWSETELEM &&
                    bytes.find({key.data(), key.size()}) != std::string_view::npos)
                    there = true;
            });
        }
        microseconds.push_back(
            std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
    }
    ::close(fd);
    // And back again after a flush of everything, from the end of `nft flush` to what `nft list`
    // shows.
    std::vector<double> repair;
    for (int i = 0; i < std::min(bans, 50); ++i) {
        must("nft flush ruleset");
        auto begin = Clock::now();
        while (sh("nft list set inet bandd app-ipv4 | grep -q elements").code != 0)
            REQUIRE(Clock::now() - begin < std::chrono::seconds(10));
        repair.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    }
    std::ranges::sort(repair);
    std::printf(
        "nft flush ruleset with %d bans: `nft list` shows them again after %.0f ms (median), %.0f "
        "ms (worst)\n",
        bans, repair[repair.size() / 2], repair.back());
    std::ranges::sort(microseconds);
    auto at = [&](double share) {
        return microseconds[static_cast<std::size_t>(share *
                                                     static_cast<double>(microseconds.size() - 1))];
    };
    std::printf(
        "ban latency, line appended to element in the kernel set, %d bans:\n"
        "  median %.0f us, p90 %.0f us, p99 %.0f us, worst %.0f us\n",
        bans, at(0.5), at(0.9), at(0.99), at(1));
    CHECK(daemon.stop(SIGTERM) == 0);
}

TEST_CASE("ban latency beside many others") {
    const char* wanted = std::getenv("OTHERS");
    int others = wanted != nullptr ? std::atoi(wanted) : 100'000;
    clean_namespace();
    TempDirectory dir;
    write_file(dir / "app.log", "");
    write_file(dir / "many.log", "");
    write_file(dir / "filters/app.yaml",
               "description: test\nfailregex:\n  - {id: denied, regex: '^denied <HOST>$'}\n");
    write_file(dir / "bandd.yaml",
               "state: run/state.db\nsocket: run/socket\nuser: nobody\ngroup: nogroup\n"
               "jails:\n  app: {logpath: app.log, maxretry: 1}\n"
               "  many: {logpath: many.log, filter: app, maxretry: 1}\n");
    DaemonProcess daemon(dir.path());
    REQUIRE(daemon.start());
    std::string many;
    auto host = [](int i) {
        return std::to_string(i / 65536) + "." + std::to_string(i / 256 % 256) + "." +
               std::to_string(i % 256);
    };
    for (int i = 0; i < others; ++i) many += "denied 10." + host(i) + "\n";
    // What the daemon's log says from here on.
    std::ifstream log(dir / "daemon.log");
    std::string line;  // as far as it is written
    auto wait_until_said = [&](const std::string& text) {
        for (auto begin = Clock::now();;) {
            std::string piece;
            std::getline(log, piece);
            line += piece;
            if (!log.eof()) {
                if (std::exchange(line, {}).contains(text)) return true;
                continue;
            }
            log.clear();
            if (Clock::now() - begin > std::chrono::seconds(60)) return false;
            std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
    };
    int bans = 0;
    auto measure = [&](const char* what, Clock::duration time, auto&& begin_others) {
        std::vector<double> took;
        begin_others();
        for (auto end = Clock::now() + time; Clock::now() < end;) {
            std::string address = "11." + host(bans++);
            auto begin = Clock::now();
            append_file(dir / "app.log", "denied " + address + "\n");
            bool said = wait_until_said("ban " + address + " ");
            if (!said) UNSCOPED_INFO(daemon.ctl("explain " + address).out);
            REQUIRE(said);
            took.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
            std::this_thread::sleep_for(std::chrono::milliseconds(3));
        }
        std::ranges::sort(took);
        std::printf(
            "%d others %s: %zu bans beside them, median %.1f ms, p99 %.1f ms, worst %.1f ms\n",
            others, what, took.size(), took[took.size() / 2], took[took.size() * 99 / 100],
            took.back());
    };
    measure("by a log", std::chrono::seconds(3), [&] { append_file(dir / "many.log", many); });
    REQUIRE(
        wait_for([&] { return daemon.log().contains("ban 10." + host(others - 1) + " "); }, 60));
    for (int i = 0; i < 3; ++i)
        measure("put back after a flush", std::chrono::seconds(2),
                [] { must("nft flush ruleset"); });
    CHECK(daemon.stop(SIGTERM) == 0);
}
