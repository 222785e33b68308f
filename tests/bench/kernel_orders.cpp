// SPDX-License-Identifier: GPL-2.0-or-later
// From an order to its acknowledgement: nftables in this process, and in bandd-kernel, by turns.
//
//   sudo tests/support/in-namespace build/release/bench_kernel_orders     (BANS=1000 by default)
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "action/direct_carrier.h"
#include "action/dispatch.h"
#include "kernel/nftables.h"
#include "support/common.h"
#include "support/kernel_process.h"

using namespace bandd;
using Clock = std::chrono::steady_clock;

namespace {

Prefix host(int number) {
    Address address = ip("10.0.0.0");
    address.bytes[13] = static_cast<std::uint8_t>(number >> 16);
    address.bytes[14] = static_cast<std::uint8_t>(number >> 8);
    address.bytes[15] = static_cast<std::uint8_t>(number);
    return make_prefix(address, 32);
}

// Microseconds until all are acknowledged, in requests as dispatch makes them.
double acknowledge(Carrier& carrier, std::span<const Order> orders) {
    static RequestId request = 0;
    std::size_t acknowledged = 0;
    auto begin = Clock::now();
    for (std::size_t at = 0; at < orders.size(); at += Dispatch::most_in_a_request) {
        auto part = orders.subspan(at, std::min(orders.size() - at, Dispatch::most_in_a_request));
        carrier.apply(++request, part);
        carrier.wait(std::chrono::seconds(30));
        for (Notice& notice : carrier.take_notices())
            if (auto* applied = std::get_if<Applied>(&notice); applied != nullptr)
                if (applied->request == request && applied->failed.empty())
                    acknowledged += part.size();
    }
    double took = std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
    REQUIRE(acknowledged == orders.size());
    return took;
}

void print(const char* what, std::vector<double> times) {
    std::ranges::sort(times);
    std::printf("  %-28s median %8.1f us, p99 %8.1f us, worst %8.1f us\n", what,
                times[times.size() / 2], times[times.size() * 99 / 100], times.back());
}

void print_rate(std::size_t orders, std::vector<double> times) {
    std::ranges::sort(times);
    std::printf("  %6zu bans at once:           %8.0f orders a second\n", orders,
                static_cast<double>(orders) / times[times.size() / 2] * 1e6);
}

}  // namespace

TEST_CASE("from an order to its acknowledgement") {
    const char* wanted = std::getenv("BANS");
    int bans = wanted != nullptr ? std::atoi(wanted) : 1000;
    clean_namespace();
    std::array<std::unique_ptr<Carrier>, 2> carriers;
    std::array<std::vector<double>, 2> single, paused, thousand, many;
    const std::array<const char*, 2> names{"in this process", "bandd-kernel"};
    int next = 0;
    for (int round = 0; round < 6; ++round) {
        std::size_t which = static_cast<std::size_t>(round % 2);
        must("nft flush ruleset");
        std::unique_ptr<Carrier> carrier;
        if (which == 0)
            carrier = std::make_unique<DirectCarrier>(std::move(*NftablesBackend::create()));
        else
            carrier =
                std::move(*KernelCarrier::start(kernel::Served::nftables, start_kernel_process));
        carrier->set_targets({{0, 0, "sshd", NftablesAction{}}});
        carrier->look(0, 0, Look::prepare);
        carrier->wait(std::chrono::seconds(10));
        auto ban = [&] {
            return std::vector<Order>{
                {Order::Kind::renew, 0, host(next++), std::chrono::hours(1), {}}};
        };
        for (int i = 0; i < bans; ++i) single[which].push_back(acknowledge(*carrier, ban()));
        for (int i = 0; i < bans / 2; ++i) {
            std::this_thread::sleep_for(std::chrono::microseconds(500 + i * 7919 % 3000));
            paused[which].push_back(acknowledge(*carrier, ban()));
        }
        auto rate = [&](std::size_t count) {
            std::vector<Order> orders;
            while (orders.size() < count)
                orders.push_back({Order::Kind::renew, 0, host(next++), std::chrono::hours(1), {}});
            return acknowledge(*carrier, orders);
        };
        for (int i = 0; i < 5; ++i) thousand[which].push_back(rate(1000));
        many[which].push_back(rate(static_cast<std::size_t>(bans) * 100));
    }
    for (std::size_t which : {0U, 1U}) {
        std::printf("%s\n", names[which]);
        print("one after the other", single[which]);
        print("with pauses between", paused[which]);
        print_rate(1000, thousand[which]);
        print_rate(static_cast<std::size_t>(bans) * 100, many[which]);
    }
}
