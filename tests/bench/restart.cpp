// SPDX-License-Identifier: GPL-2.0-or-later
// A start with a million bans in the state: once with the kernel's sets empty (after a reboot),
// once with them as they were (an upgrade, a crash); and after a flush of the whole rule set.
//
//   sudo tests/support/in-namespace build/release/bench_restart      (BANS=1000000 by default)
#include <chrono>
#include <csignal>

#include "os/clock.h"
#include "store/store.h"
#include "support/common.h"
#include "support/machine.h"

using namespace bandd;
using Clock = std::chrono::steady_clock;

namespace {

std::string memory_of(pid_t pid) {
    std::string status = read_file("/proc/" + std::to_string(pid) + "/status");
    auto field = [&](const std::string& name) {
        auto at = status.find(name);
        return std::stod(status.substr(at + name.size())) / 1024;
    };
    char text[100];
    std::snprintf(text, sizeof text, "%.0f MiB resident, %.0f MiB at most", field("VmRSS:"),
                  field("VmHWM:"));
    return text;
}

}  // namespace

TEST_CASE("restart") {
    const char* wanted = std::getenv("BANS");
    int bans = wanted != nullptr ? std::atoi(wanted) : 1'000'000;
    clean_namespace();
    TempDirectory dir;
    std::filesystem::create_directory(dir / "run");
    write_file(dir / "bandd.yaml",
               "state: run/state.db\nsocket: run/socket\nuser: root\ngroup: root\n"
               "jails:\n  sshd: {logpath: app.log, maxretry: 1}\n");
    {
        std::string warning;
        auto store = Store::open(dir / "run/state.db", warning);
        REQUIRE(store);
        Checkpoint checkpoint;
        checkpoint.jails = {"sshd"};
        Instant start = now();
        for (int i = 0; i < bans; ++i) {
            Ban ban;
            Address address = ip("10.0.0.0");
            address.bytes[13] = static_cast<std::uint8_t>(i >> 16);
            address.bytes[14] = static_cast<std::uint8_t>(i >> 8);
            address.bytes[15] = static_cast<std::uint8_t>(i);
            ban.key = {0, make_prefix(address, 32)};
            ban.from = start;
            ban.until = start + std::chrono::hours(24) + std::chrono::milliseconds(i);
            ban.hits = 5;
            auto story = std::make_shared<Story>();
            story->reason = "failed-password";
            story->matches = {{start, "failed-password",
                               "Failed password for root from 10.0.0.0 port 4711 ssh2"}};
            ban.story = story;
            checkpoint.changes.bans.push_back(std::move(ban));
        }
        store->write(std::move(checkpoint));
        store->wait();
        REQUIRE_FALSE(store->take_result());
    }
    DaemonProcess daemon(dir.path());
    auto complete = [&] {
        return daemon.ctl("status sshd --json")
                   .out.find("\"bans\":" + std::to_string(bans) + ",") != std::string::npos;
    };
    auto seconds_since = [](Clock::time_point begin) {
        return std::chrono::duration<double>(Clock::now() - begin).count();
    };
    for (const char* what : {"the kernel's sets empty", "the kernel's sets as they were"}) {
        auto begin = Clock::now();
        bool started = daemon.start();
        INFO(daemon.log());
        REQUIRE(started);
        double running = seconds_since(begin);
        REQUIRE(wait_for(complete, 60));
        std::printf("start with %d bans, %s: running after %.2f s, complete after %.2f s; %s\n",
                    bans, what, running, seconds_since(begin), memory_of(daemon.pid()).c_str());
        if (std::string(what) == "the kernel's sets empty") daemon.stop(SIGKILL);
    }
    auto begin = Clock::now();
    must("nft flush ruleset");
    begin = Clock::now();
    REQUIRE(wait_for([&] { return daemon.said("were put back", 0.01); }, 60));
    std::printf("nft flush ruleset with %d bans: all back after %.2f s\n", bans,
                seconds_since(begin));
    begin = Clock::now();
    CHECK(daemon.stop(SIGTERM) == 0);
    std::printf("stop: %.2f s\n", seconds_since(begin));
}
