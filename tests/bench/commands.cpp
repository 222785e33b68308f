// SPDX-License-Identifier: GPL-2.0-or-later
// How long an administrator's commands hold up bans: with many bans in force, one address after the
// other is banned by a line of a log while a command runs again and again beside it. The time of a
// ban is from its line until the kernel says that the element is in.
//
//   sudo OTHERS=1000000 tests/support/in-namespace build/release/bench_commands
//
// (100,000 by default.) COMMAND=TEXT: only commands that hold this text. PROGRAMS=DIRECTORY: bandd
// of another build.
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>
#include <thread>

#include "os/netlink.h"
#include "support/common.h"
#include "support/machine.h"

using namespace bandd;
using Clock = std::chrono::steady_clock;

namespace {

double ms_since(Clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

std::string host(int i) {
    return std::to_string(i / 65536) + "." + std::to_string(i / 256 % 256) + "." +
           std::to_string(i % 256);
}

struct Row {
    const char* name;
    std::string command;    // bandctl's
    std::string otherwise;  // what makes it possible again; not measured
};

// Bans one address after the other, and hears of each from the kernel.
class Prober {
  public:
    explicit Prober(std::string log) : log_(std::move(log)) {
        auto netlink =
            Netlink::open(NETLINK_NETFILTER, std::array{static_cast<int>(NFNLGRP_NFTABLES)});
        REQUIRE(netlink);
        netlink_.emplace(std::move(*netlink));
        const int room = 1 << 29;  // for what commands do to a million elements
        REQUIRE(setsockopt(netlink_->fd(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) == 0);
    }
    // Until `done`; each ban's milliseconds, in order of size.
    std::vector<double> run(const std::atomic<bool>& done) {
        std::vector<double> took;
        while (!done || took.size() < 20) {
            const int i = bans_++;
            auto begin = Clock::now();
            append_file(log_, "denied 11." + host(i) + "\n");
            wait_for_element({11, static_cast<char>(i / 65536), static_cast<char>(i / 256 % 256),
                              static_cast<char>(i % 256)});
            took.push_back(ms_since(begin));
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        std::ranges::sort(took);
        return took;
    }

  private:
    void wait_for_element(const std::array<char, 4>& key) {
        for (bool there = false; !there;) {
            pollfd ready{netlink_->fd(), POLLIN, 0};
            REQUIRE(poll(&ready, 1, 60'000) == 1);
            bool lost = netlink_->read_notices([&](const nlmsghdr& message) {
                std::string_view bytes(reinterpret_cast<const char*>(&message), message.nlmsg_len);
                if (NFNL_MSG_TYPE(message.nlmsg_type) == NFT_MSG_NEWSETELEM &&
                    bytes.find({key.data(), key.size()}) != std::string_view::npos)
                    there = true;
            });
            REQUIRE_FALSE(lost);
        }
    }
    std::string log_;
    std::optional<Netlink> netlink_;
    int bans_ = 0;
};

}  // namespace

TEST_CASE("bans beside commands") {
    const char* wanted = std::getenv("OTHERS");
    int others = wanted != nullptr ? std::atoi(wanted) : 100'000;
    const char* only = std::getenv("COMMAND");
    clean_namespace();
    TempDirectory dir;
    for (const char* name : {"app.log", "many.log"}) write_file(dir / name, "");
    write_file(dir / "filters/app.yaml",
               "description: test\nfailregex:\n  - {id: denied, regex: '^denied <HOST>$'}\n");
    write_file(dir / "bandd.yaml",
               "state: run/state.db\nsocket: run/socket\nuser: nobody\ngroup: nogroup\n"
               "jails:\n  app: {logpath: app.log, maxretry: 1}\n"
               "  many: {logpath: many.log, filter: app, maxretry: 1, bantime: 1d}\n");
    std::string many;
    for (int i = 0; i < others; ++i) many += "10." + host(i) + "\n";
    write_file(dir / "addresses", many);
    DaemonProcess daemon(dir.path());
    if (const char* programs = std::getenv("PROGRAMS"))
        daemon.set_program(std::string(programs) + "/bandd");
    REQUIRE(daemon.start());
    const std::string fill = "ban --jail many - < " + dir / "addresses";
    auto ctl = [&](const std::string& command) {
        return sh(built("bandctl") + " -c " + dir.path() + "/bandd.yaml " + command +
                  " > /dev/null")
            .code;
    };
    auto begin = Clock::now();
    REQUIRE(ctl(fill) == 0);
    std::printf("%d bans by hand: %.1f s\n", others, ms_since(begin) / 1000);
    const std::vector<Row> rows{
        {"(nothing)", "", ""},
        {"status", "status", ""},
        {"bans", "bans", ""},
        {"bans --sort ip, the last of them",
         "bans --sort ip --limit 100 --skip " + std::to_string(std::max(0, others - 200)), ""},
        {"bans --json, all", "bans --json", ""},
        {"bans --within 10.0.0.0/16", "bans --within 10.0.0.0/16", ""},
        {"explain ADDRESS", "explain 10.0.0.9", ""},
        {"explain BLOCK", "explain 10.0.0.0/8", ""},
        {"history", "history", ""},
        {"reload", "reload", ""},
        {"allow a /24", "allow 10.0.1.0/24", "allow remove 10.0.1.0/24"},
        {"stop JAIL", "stop many", "start many && true"},
        {"ban -", fill, ""},
        {"unban --all --jail", "unban --all --jail many", fill},
        {"unban BLOCK", "unban --jail many 10.0.0.0/8", fill},
        {"unban -", "unban - < " + dir / "addresses", fill},
        {"(all bans end at once)",
         "ban --for 8s --jail many - < " + dir / "addresses > /dev/null && sleep 9", fill},
        {"flush", "flush", fill},
    };
    Prober prober(dir / "app.log");
    std::printf("%-34s %8s %8s %8s %8s %8s %6s\n", "command beside, ms", "it takes", "median",
                "p99", "p99.9", "worst", "bans");
    for (const Row& row : rows) {
        if (only != nullptr && std::string(row.name).find(only) == std::string::npos) continue;
        std::atomic<bool> done = false;
        std::vector<double> command;
        std::thread administrator([&] {
            auto from = Clock::now();
            // What changes much is done once: it cannot be done again at once.
            do {
                auto one = Clock::now();
                if (row.command.empty())
                    std::this_thread::sleep_for(std::chrono::milliseconds(100));
                else
                    ctl(row.command);
                command.push_back(ms_since(one));
            } while (row.otherwise.empty() && ms_since(from) < 2000);
            // What it began goes on in the kernel.
            std::this_thread::sleep_for(std::chrono::milliseconds(500));
            done = true;
        });
        std::vector<double> took = prober.run(done);
        administrator.join();
        auto at = [&](double share) {
            return took[static_cast<std::size_t>(share * static_cast<double>(took.size() - 1))];
        };
        std::ranges::sort(command);
        std::printf("%-34s %8.1f %8.2f %8.2f %8.2f %8.2f %6zu\n", row.name,
                    command[command.size() / 2], at(0.5), at(0.99), at(0.999), took.back(),
                    took.size());
        std::fflush(stdout);
        if (!row.otherwise.empty()) {
            ctl(row.otherwise);
            if (std::string(row.name) == "stop JAIL") ctl(fill);
        }
    }
    CHECK(daemon.stop(SIGTERM) == 0);
}
