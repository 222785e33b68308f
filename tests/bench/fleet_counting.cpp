// SPDX-License-Identifier: GPL-2.0-or-later
// How many hits a second a counting node's engine takes, on one core, and what it holds for them:
// by how many hits an address has within `findtime`, and how many come later than others that were
// written after them. Time goes on as fast as hits come: what has settled is let go.
//
//   build/release/bench_fleet_counting      (HITS=1000000 by default)
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <random>
#include <string>

#include "core/fleet/shared_jail.h"

using namespace bandd;

namespace {

double kibibytes(const std::string& field) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with(field)) return std::stod(line.substr(field.size()));
    return 0;
}

void measure(std::uint32_t hits, std::uint32_t addresses, int late_percent) {
    JailRules rules;
    rules.maxretry = 5;
    rules.findtime = std::chrono::minutes(10);
    rules.bantime.base = std::chrono::hours(1);
    SharedJail jail(rules);
    std::mt19937 random(1);
    Address address;
    std::copy(Address::mapped_head.begin(), Address::mapped_head.end(), address.bytes.begin());
    double before = kibibytes("VmRSS:");
    std::size_t changes = 0, most_kept = 0;
    std::clock_t begin = std::clock();
    Instant now{1'790'000'000'000'000};
    for (std::uint32_t i = 0; i < hits; ++i) {
        now = now + Duration{5};  // 200,000 a second
        std::uint32_t who = 0x0b000000 + static_cast<std::uint32_t>(random()) % addresses;
        for (std::size_t byte = 16; byte-- > 12; who >>= 8)
            address.bytes[byte] = static_cast<std::uint8_t>(who);
        SharedHit hit;
        hit.time = now;
        if (static_cast<int>(random() % 100) < late_percent)
            hit.time = now - Duration{static_cast<std::int64_t>(random() % 2'000'000)};
        hit.id = {random(), i};
        hit.address = address;
        hit.node = static_cast<NodeIndex>(random() % 3);
        jail.add(hit, now);
        if (i % 1000 == 0) {
            jail.on_time(now);
            changes += jail.take_changes().size();
            most_kept = std::max(most_kept, jail.hits());
        }
    }
    double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    std::printf("%9u %9u %5d %% %10.0f %8.2f %10zu %8.0f\n", hits, addresses, late_percent,
                hits / seconds, seconds * 1e6 / hits, changes,
                (kibibytes("VmRSS:") - before) * 1024 / static_cast<double>(most_kept));
    std::fflush(stdout);
}

}  // namespace

int main() {
    const char* wanted = std::getenv("HITS");
    auto hits = static_cast<std::uint32_t>(std::atoi(wanted != nullptr ? wanted : "1000000"));
    std::puts("     hits addresses   late     hits/s   us/hit    changes  bytes/hit");
    for (std::uint32_t addresses : {hits, hits / 4, hits / 20, hits / 1000})
        for (int late : {0, 10, 50}) measure(hits, std::max(addresses, 1U), late);
}
