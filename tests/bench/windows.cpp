// SPDX-License-Identifier: GPL-2.0-or-later
// What the table of windows holds for each address, in bytes of this process's own memory, and how
// much of the processor's time a
// hit takes: by maxretry, and by hits of each address (these at random places).
//
//   build/release/bench_windows      (ADDRESSES=1000000 by default)
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>

#include "core/decide/window.h"

using namespace bandd;

namespace {

double kibibytes(const std::string& field) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with(field)) return std::stod(line.substr(field.size()));
    return 0;
}

Prefix address(std::uint32_t number) {
    Address address;
    std::copy(Address::mapped_head.begin(), Address::mapped_head.end(), address.bytes.begin());
    for (int i = 15; i >= 12; --i, number >>= 8)
        address.bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(number);
    return make_prefix(address, 32);
}

void measure(std::uint32_t maxretry, std::uint32_t addresses, std::uint32_t hits, bool distinct) {
    double before = kibibytes("VmRSS:");
    std::clock_t begin = std::clock();
    WindowTable table(maxretry, std::chrono::hours(24), addresses, distinct);
    std::int64_t at = 1'790'000'000'000'000;
    for (std::uint32_t hit = 0; hit < hits; ++hit)
        for (std::uint32_t i = 0; i < addresses; ++i) {
            // An odd factor: each address once a round, in another order each time.
            std::uint32_t who = (i * (2654435761U + 2 * hit)) % addresses;
            if (addresses % 2 != 0 || hit == 0) who = i;
            table.add(address(0x0b000000 + who), {at += 7}, 1, hit + 1);
        }
    double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    auto bytes = [&](const char* field) {
        return (kibibytes(field) - before) * 1024 / static_cast<double>(table.size());
    };
    std::printf("%8u %8u %10zu %9s %8.1f %8.1f %8.0f\n", maxretry, hits, table.size(),
                distinct ? "distinct" : "", bytes("VmRSS:"), bytes("VmHWM:"),
                seconds * 1e9 / addresses / hits);
    std::fflush(stdout);
}

// Each in a process of its own, as memory that was once used stays there.
void in_child(std::uint32_t maxretry, std::uint32_t addresses, std::uint32_t hits, bool distinct) {
    pid_t pid = fork();
    if (pid == 0) {
        measure(maxretry, addresses, hits, distinct);
        _exit(0);
    }
    waitpid(pid, nullptr, 0);
}

}  // namespace

int main() {
    const char* wanted = std::getenv("ADDRESSES");
    std::uint32_t addresses =
        wanted == nullptr ? 1'000'000 : static_cast<std::uint32_t>(std::atoi(wanted));
    std::printf("%8s %8s %10s %9s %8s %8s %8s\n", "maxretry", "hits", "addresses", "", "bytes",
                "at most", "ns a hit");
    std::fflush(stdout);
    for (std::uint32_t maxretry : {5U, 100U, 1000U}) in_child(maxretry, addresses, 1, false);
    for (std::uint32_t hits : {2U, 3U, 4U, 8U, 16U, 32U}) in_child(100, addresses / 4, hits, false);
    for (std::uint32_t hits : {1U, 4U}) in_child(8, addresses, hits, true);
}
