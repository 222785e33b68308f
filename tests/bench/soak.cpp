// SPDX-License-Identifier: GPL-2.0-or-later
// Ten minutes at 50,000 lines a second, the log rotated every 30 seconds: is a line lost, does
// memory or the number of descriptors grow?
//
//   sudo tests/support/in-namespace build/release/bench_soak      (SECONDS_TO_SOAK=600 by default)
#include <unistd.h>
#include <chrono>

#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "os/clock.h"
#include "support/common.h"
#include "support/machine.h"

using namespace bandd;
using Clock = std::chrono::steady_clock;
namespace fs = std::filesystem;

TEST_CASE("soak") {
    const char* wanted = std::getenv("SECONDS_TO_SOAK");
    int seconds = wanted != nullptr ? std::atoi(wanted) : 600;
    constexpr int lines_a_second = 50'000;
    constexpr int rotate_every = 30;
    clean_namespace();
    TempDirectory dir;
    std::string log = dir / "app.log";
    write_file(log, "");
    write_file(dir / "filters/app.yaml",
               "description: test\nfailregex:\n  - {id: denied, regex: '^denied <HOST>$'}\n");
    write_file(
        dir / "bandd.yaml",
        "state: run/state.db\nsocket: run/socket\nuser: root\ngroup: root\nlog: {level: warning}\n"
        "jails:\n  app: {logpath: app.log, maxretry: 5, bantime: 20s}\n");
    pid_t pid = fork();
    if (pid == 0) {
        execl(built("bandd").c_str(), "bandd", "--config", dir.path().c_str(), nullptr);
        _exit(127);
    }
    DaemonProcess daemon(dir.path());
    REQUIRE(wait_for([&] { return daemon.ctl("version").code == 0; }));
    auto report = [&](int second) {
        std::string status = read_file("/proc/" + std::to_string(pid) + "/status");
        int descriptors = 0;
        for ([[maybe_unused]] const auto& entry :
             fs::directory_iterator("/proc/" + std::to_string(pid) + "/fd"))
            ++descriptors;
        std::printf("soak: %4d s: %.1f MiB resident, %d descriptors\n", second,
                    std::stod(status.substr(status.find("VmRSS:") + 6)) / 1024, descriptors);
    };
    std::ofstream out(log, std::ios::app);
    std::uint64_t written = 0;
    auto begin = Clock::now();
    for (int second = 0; second < seconds; ++second) {
        for (int part = 0; part < 100; ++part) {
            std::string lines;
            for (int i = 0; i < lines_a_second / 100; ++i) {
                ++written;
                if (written % 10 == 0)
                    lines += "denied 10.0." + std::to_string(written / 10 % 256) + "." +
                             std::to_string(written / 2560 % 256) + "\n";
                else
                    lines += "welcome to everybody who is here to stay, number " +
                             std::to_string(written) + "\n";
            }
            out << lines << std::flush;
            std::this_thread::sleep_until(
                begin + std::chrono::milliseconds(second * 1000 + part * 10 + 10));
        }
        if (second % rotate_every == rotate_every - 1) {
            fs::rename(log, log + ".1");
            out.close();
            out.open(log, std::ios::app);
        }
        if (second % 60 == 10 || second + 1 == seconds) report(second + 1);
    }
    std::uint64_t read = 0;
    bool all = wait_for([&] {
        auto status = nlohmann::json::parse(daemon.ctl("status --json").out, nullptr, false);
        if (status.contains("lines")) read = status["lines"].get<std::uint64_t>();
        return read == written;
    });
    std::printf("soak: %llu lines written, %llu read\n", static_cast<unsigned long long>(written),
                static_cast<unsigned long long>(read));
    CHECK(all);
    kill(pid, SIGTERM);
    sh("sleep 0.5");
}
