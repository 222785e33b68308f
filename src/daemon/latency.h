// SPDX-License-Identifier: GPL-2.0-or-later
// How long things take, for Prometheus.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace bandd {

// How many times were at most as long as each bound.
struct LatencyHistogram {
    static constexpr std::array<double, 8> bounds{0.00001, 0.00003, 0.0001, 0.0003,
                                                  0.001,   0.003,   0.01,   0.1};  // seconds
    std::array<std::uint64_t, bounds.size()> up_to{};
    std::uint64_t count = 0;
    double sum = 0;  // seconds

    void add(double seconds) {
        for (std::size_t i = 0; i < bounds.size(); ++i)
            if (seconds <= bounds[i]) ++up_to[i];
        ++count;
        sum += seconds;
    }
};

}  // namespace bandd
