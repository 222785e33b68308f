// SPDX-License-Identifier: GPL-2.0-or-later
// A hit that the machines of a fleet count together, and what makes it the same hit however often
// and from wherever it arrives.
#pragma once

#include <compare>
#include <cstdint>
#include <tuple>

#include "core/base/address.h"
#include "core/base/instant.h"

namespace bandd {

// A machine, by its place in the fleet's list of nodes.
using NodeIndex = std::uint16_t;

// A hash of where the hit's line stands, and of the line: what is read again after a kill has the
// same, and two lines have two, even if they are alike.
struct HitId {
    std::uint64_t high = 0, low = 0;
    auto operator<=>(const HitId&) const = default;
};

// What a node tells of a hit that its jail counts: after the filter, `where:` and the ignore list.
struct SharedHit {
    Instant time;  // of the line
    HitId id;
    Address address;
    std::uint64_t value = 0;   // of what `count: distinct` tells apart: a keyed hash
    std::uint32_t weight = 1;  // failures that it stands for, at most maxretry
    NodeIndex node = 0;        // who read it

    // The order in which hits are counted, wherever they are.
    auto order() const { return std::tie(time, id); }
    bool operator<(const SharedHit& other) const { return order() < other.order(); }
};

}  // namespace bandd
