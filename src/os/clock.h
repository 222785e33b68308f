// SPDX-License-Identifier: GPL-2.0-or-later
// The only clock.
#pragma once

#include <chrono>

#include "core/base/instant.h"

namespace bandd {

inline Instant now() {
    return {
        std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch())
            .count()};
}

// Seconds, to measure how long something takes; begins anywhere.
inline double stopwatch() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

}  // namespace bandd
