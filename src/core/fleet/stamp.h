// SPDX-License-Identifier: GPL-2.0-or-later
// When a node said something, so that all nodes agree which of two words is the later one, although
// their clocks differ: hybrid logical time (Kulkarni and others, 2014). A stamp is never before one
// that its node has seen.
//
//   gate's clock 10:00:05, it unbans:                          10:00:05.000 0 gate
//   mx1's clock 10:00:01, it hears that and bans again:         10:00:05.000 1 mx1
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <string>

#include "core/base/instant.h"

namespace bandd {

struct Stamp {
    Instant time;  // whole milliseconds
    std::uint32_t counter = 0;
    std::string node;
    auto operator<=>(const Stamp&) const = default;
};

// A stamp that is further ahead of when the stream stored it is cut to that. Else a node whose
// clock is a year ahead would have the last word for a year.
inline constexpr Duration most_ahead = std::chrono::seconds(60);

// Depends on nothing but what the stream keeps, so that each node cuts alike.
inline Stamp cut_to(Stamp stamp, Instant stored) {
    Instant last = stored + most_ahead;
    if (stamp.time > last) stamp.time = {last.us - last.us % 1000};
    return stamp;
}

class StampClock {
  public:
    explicit StampClock(std::string node) : node_(std::move(node)) {}

    Stamp next(Instant now) {
        Instant time{now.us - now.us % 1000};
        counter_ = time > last_ ? 0 : counter_ + 1;
        last_ = std::max(last_, time);
        return {last_, counter_, node_};
    }
    // One that was cut already.
    void saw(const Stamp& stamp) {
        if (stamp.time < last_) return;
        counter_ = stamp.time > last_ ? stamp.counter : std::max(counter_, stamp.counter);
        last_ = stamp.time;
    }

  private:
    std::string node_;
    Instant last_{0};
    std::uint32_t counter_ = 0;
};

}  // namespace bandd
