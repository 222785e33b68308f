// SPDX-License-Identifier: GPL-2.0-or-later
// The running daemon and its bandd-kernel: which of them has which right, and that neither the
// death nor the sleep of the one costs the other's bans.
#include <csignal>
#include <sstream>

#include "support/setup.h"

using namespace bandd;

namespace {

constexpr std::uint64_t net_admin = 1ULL << 12;
constexpr std::uint64_t dac_read_search = 1ULL << 2;

// Capabilities that a process may have from now on.
std::uint64_t rights_of(pid_t pid) {
    std::uint64_t rights = 0;
    std::istringstream lines(read_file("/proc/" + std::to_string(pid) + "/status"));
    for (std::string line; std::getline(lines, line);)
        for (const char* name : {"CapPrm:", "CapEff:", "CapInh:", "CapAmb:", "CapBnd:"})
            if (line.starts_with(name)) rights |= std::stoull(line.substr(7), nullptr, 16);
    return rights;
}

std::size_t count_of(const std::string& text, const std::string& part) {
    std::size_t count = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++count;
    return count;
}

}  // namespace

TEST_CASE_METHOD(AppSetup,
                 "the daemon may not change the firewall, and bandd-kernel nothing else") {
    configure_app();
    start();
    CHECK(rights_of(daemon.pid()) == dac_read_search);
    CHECK(rights_of(daemon.role("bandd-kernel")) == net_admin);
}

TEST_CASE_METHOD(AppSetup,
                 "bandd-kernel is killed: it is said once, and all bans are right again") {
    configure(
        "  app: {logpath: app.log, maxretry: 1, action: [nftables, syslog]}\n"
        "  other: {logpath: other.log, filter: app, maxretry: 1, action: [ipset]}\n");
    write_file(dir / "other.log", "");
    start();
    for (int i = 1; i <= 9; ++i) denied("203.0.113." + std::to_string(i));
    denied("198.51.100.1", dir / "other.log");
    REQUIRE(wait_for([&] { return count_of(bans(), " active") == 10; }));
    must("pkill -KILL -r S -x bandd-kernel -P " + std::to_string(daemon.role("bandd-root")));
    must("nft flush ruleset; ipset flush bandd-other-4");
    denied("203.0.113.10");
    denied("198.51.100.2", dir / "other.log");
    CHECK(wait_for([&] { return count_of(bans(), " active") == 12; }));
    CHECK(count_of(must("nft list set inet bandd app-ipv4"), "expires") == 10);
    CHECK(count_of(must("ipset save bandd-other-4"), "add ") == 2);
    CHECK(daemon.said("jail=other action=ipset works again"));
    CHECK(count_of(daemon.log(), "bandd-kernel: has ended") ==
          4);  // of two kinds, and that it is over
    CHECK(count_of(daemon.log(), "ban 203.0.113.10 ") == 1);
    CHECK(count_of(daemon.log(), "ban 203.0.113.1 ") == 1);
    CHECK(json("status")["kernel_losses"] == 2);
}

TEST_CASE_METHOD(AppSetup, "bandd-kernel sleeps: the daemon reads and answers, and bans follow") {
    configure("  app: {logpath: app.log, maxretry: 1}\n");
    start();
    pid_t pid = daemon.role("bandd-kernel");
    REQUIRE(kill(pid, SIGSTOP) == 0);
    REQUIRE(
        wait_for([&] { return has(read_file("/proc/" + std::to_string(pid) + "/stat"), ") T "); }));
    denied("203.0.113.1");
    CHECK(bans_become("203.0.113.1 app pending\n"));
    auto begin = std::chrono::steady_clock::now();
    Ran by_hand = daemon.ctl("ban 203.0.113.2 --jail app");
    INFO(by_hand.out);
    denied("203.0.113.3");
    CHECK(
        bans_become("203.0.113.1 app pending\n203.0.113.2 app pending\n203.0.113.3 app pending\n"));
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
    SECTION("it goes on") { REQUIRE(kill(pid, SIGCONT) == 0); }
    SECTION("it does not: another one takes its place") {
        CHECK(daemon.said("bandd-kernel: has not answered for 10s", 20));
    }
    CHECK(wait_for([&] { return count_of(bans(), " active") == 3; }));
    CHECK(count_of(must("nft list set inet bandd app-ipv4"), "expires") == 3);
    kill(pid, SIGCONT);
    CHECK(daemon.stop(SIGTERM) == 0);
}
