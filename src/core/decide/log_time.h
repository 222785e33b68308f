// SPDX-License-Identifier: GPL-2.0-or-later
// A backlog is read in log time, so that the outcome is that of having read it when it was written.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/match/hit.h"

namespace bandd {

// When hits arrive: now, or when their log says.
enum class Arrival { live, log_time };

// How far the hits of one log have brought its time. Only hits do, so that it does not depend on
// which other lines were looked at.
//
// A log was read to its end at 10:00, then bandd slept until 11:00. `since` is 10:00 then: a line
// of 10:20 arrives at 10:20, and one that says 9:00 at 10:00, as it was not there before.
struct LogTime {
    Instant since{INT64_MIN};
    Instant latest{INT64_MIN};

    // When a hit or a line arrives; to be asked of each, in the order of their lines.
    Instant arrival_of(const Hit& hit, Instant now) { return arrival_of(hit.dated, hit.time, now); }
    Instant arrival_of(const LineToJoin& line, Instant now) {
        return arrival_of(line.dated, line.time, now);
    }

  private:
    Instant arrival_of(bool dated, Instant time, Instant now) {
        if (dated) latest = std::min(std::max({latest, time, since}), now);
        return latest.us == INT64_MIN ? now : latest;
    }
};

}  // namespace bandd
