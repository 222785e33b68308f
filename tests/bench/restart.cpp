// SPDX-License-Identifier: GPL-2.0-or-later
// A start with a million bans in the state: once with the kernel's sets empty (after a reboot),
// once with them as they were (an upgrade, a crash); and after a flush of the whole rule set.
// Beside it, how long the first new ban takes: its line is written while bandd starts.
//
//   sudo tests/support/in-namespace build/release/bench_restart      (BANS=1000000 by default)
//
// PROGRAMS=DIRECTORY: bandd of another build. ACTION=ipset: into an ipset.
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

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

// Seconds of processor time, of all threads.
double processor_time(pid_t pid) {
    std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
    std::istringstream fields(stat.substr(stat.rfind(')') + 2));
    std::string field;
    double ticks = 0;
    for (int number = 3; number <= 15 && fields >> field; ++number)
        if (number >= 14) ticks += std::stod(field);
    return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

TEST_CASE("restart") {
    const char* wanted = std::getenv("BANS");
    int bans = wanted != nullptr ? std::atoi(wanted) : 1'000'000;
    const char* action = std::getenv("ACTION");
    bool ipset = action != nullptr && std::string(action) == "ipset";
    clean_namespace();
    TempDirectory dir;
    std::filesystem::create_directory(dir / "run");
    write_file(dir / "bandd.yaml",
               "state: run/state.db\nsocket: run/socket\nuser: root\ngroup: root\n"
               "jails:\n  app: {logpath: app.log, maxretry: 1, filter: app, action: " +
                   std::string(ipset ? "[{ipset: {set: many, create: true, maxelem: 4000000}}]"
                                     : "nftables") +
                   "}\n");
    write_file(dir / "filters/app.yaml",
               "description: test\nfailregex:\n  - {id: denied, regex: '^denied <HOST>$'}\n");
    write_file(dir / "app.log", "");
    DaemonProcess daemon(dir.path());
    if (const char* programs = std::getenv("PROGRAMS"))
        daemon.set_program(std::string(programs) + "/bandd");
    // So that where reading goes on is known.
    REQUIRE(daemon.start());
    REQUIRE(daemon.stop(SIGTERM) == 0);
    {
        std::string warning;
        auto store = Store::open(dir / "run/state.db", warning);
        REQUIRE(store);
        Checkpoint checkpoint;
        checkpoint.jails = {"app"};
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
            for (JailIndex jail : {any_jail, JailIndex{0}})
                checkpoint.changes.offences.push_back({{jail, ban.key.prefix}, {1, ban.until}});
            checkpoint.changes.bans.push_back(std::move(ban));
        }
        store->write(std::move(checkpoint));
        store->wait();
        REQUIRE_FALSE(store->take_result());
    }
    int attackers = 0;
    auto complete = [&] {
        return daemon.ctl("status app --json")
                   .out.find("\"bans\":" + std::to_string(bans + attackers) + ",") !=
               std::string::npos;
    };
    auto seconds_since = [](Clock::time_point begin) {
        return std::chrono::duration<double>(Clock::now() - begin).count();
    };
    for (const char* what : {"the kernel's sets empty", "the kernel's sets as they were"}) {
        auto begin = Clock::now();
        std::string attacker = "192.0.2." + std::to_string(++attackers);
        double first_ban = 0;
        std::thread attack([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            std::ofstream(dir / "app.log", std::ios::app) << "denied " + attacker + "\n";
            if (daemon.said("ban " + attacker + " ", 60)) first_ban = seconds_since(begin);
        });
        bool started = daemon.start();
        double running = seconds_since(begin);
        attack.join();
        INFO(daemon.log());
        REQUIRE(started);
        REQUIRE(wait_for(complete, 60));
        double completed = seconds_since(begin);
        std::printf(
            "start with %d bans, %s: first new ban after %.2f s, running after %.2f s, complete "
            "after %.2f s; processor time: bandd %.2f s, bandd-kernel %.2f s; %s\n",
            bans, what, first_ban, running, completed, processor_time(daemon.pid()),
            processor_time(daemon.role("bandd-kernel")), memory_of(daemon.pid()).c_str());
        if (std::string(what) == "the kernel's sets empty") daemon.stop(SIGKILL);
    }
    if (!ipset) {
        auto begin = Clock::now();
        must("nft flush ruleset");
        REQUIRE(wait_for([&] { return daemon.said("were put back", 0.01); }, 60));
        std::printf("nft flush ruleset with %d bans: all back after %.2f s\n", bans,
                    seconds_since(begin));
    }
    auto begin = Clock::now();
    CHECK(daemon.stop(SIGTERM) == 0);
    std::printf("stop: %.2f s\n", seconds_since(begin));
}
