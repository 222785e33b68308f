// SPDX-License-Identifier: GPL-2.0-or-later
// Ten million distinct addresses with one hit each, and an attacker who had all but one of his hits
// before them: memory, time, and whether he is still banned at his last one.
//
//   sudo tests/support/in-namespace build/release/bench_flood      (ADDRESSES=10000000 by default)
#include <unistd.h>
#include <chrono>

#include <csignal>

#include "os/clock.h"
#include "support/common.h"
#include "support/machine.h"

using namespace bandd;
using Clock = std::chrono::steady_clock;

namespace {

double mebibytes(pid_t pid, const std::string& field) {
    std::string status = read_file("/proc/" + std::to_string(pid) + "/status");
    return std::stod(status.substr(status.find(field) + field.size())) / 1024;
}

}  // namespace

TEST_CASE("flood") {
    const char* wanted = std::getenv("ADDRESSES");
    int addresses = wanted != nullptr ? std::atoi(wanted) : 10'000'000;
    clean_namespace();
    TempDirectory dir;
    std::string log = dir / "app.log";
    write_file(log, "");
    write_file(dir / "filters/app.yaml",
               "description: test\nfailregex:\n  - {id: denied, regex: '^denied <HOST>$'}\n");
    write_file(
        dir / "bandd.yaml",
        "state: run/state.db\nsocket: run/socket\nuser: root\ngroup: root\nlog: {level: warning}\n"
        "jails:\n  app: {logpath: app.log, maxretry: 5, findtime: 1d, track_limit: 1000000}\n");
    DaemonProcess daemon(dir.path());
    std::ofstream out(log, std::ios::app);
    auto hit = [&](const std::string& who) { out << "denied " << who << "\n"; };
    pid_t pid = fork();
    if (pid == 0) {
        execl(built("bandd").c_str(), "bandd", "--config", dir.path().c_str(), nullptr);
        _exit(127);
    }
    REQUIRE(wait_for([&] { return daemon.ctl("version").code == 0; }));
    for (int i = 0; i < 4; ++i) hit("203.0.113.9");
    out.flush();
    auto begin = Clock::now();
    std::string lines;
    for (int i = 0; i < addresses; ++i) {
        lines += "denied " + std::to_string(11 + (i >> 24)) + "." +
                 std::to_string((i >> 16) & 255) + "." + std::to_string((i >> 8) & 255) + "." +
                 std::to_string(i & 255) + "\n";
        if (lines.size() < 1 << 20 && i + 1 < addresses) continue;
        out << lines << std::flush;
        lines.clear();
    }
    hit("203.0.113.9");
    out.flush();
    bool banned = wait_for(
        [&] { return daemon.ctl("bans").out.find("203.0.113.9") != std::string::npos; }, 200);
    std::printf(
        "flood of %d addresses: %.1f s, %.0f MiB resident, %.0f MiB at most; the attacker is %s\n",
        addresses, std::chrono::duration<double>(Clock::now() - begin).count(),
        mebibytes(pid, "VmRSS:"), mebibytes(pid, "VmHWM:"), banned ? "banned" : "not banned");
    std::printf("  %s", sh(built("bandctl") + " --config " + dir.path() +
                           " status --json | grep -o '\"evicted\":[0-9]*' | head -1")
                            .out.c_str());
    CHECK(banned);
    kill(pid, SIGTERM);
    sh("sleep 0.5");
}
