// SPDX-License-Identifier: GPL-2.0-or-later
// The only clock.
#pragma once

#include <chrono>
#include <ctime>

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

// Seconds for which a processor has worked for this thread.
inline double thread_seconds() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace bandd
