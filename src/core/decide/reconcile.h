// SPDX-License-Identifier: GPL-2.0-or-later
// The one way to make a kernel set right: at start, after a flush, on reload.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "core/base/address.h"
#include "core/base/instant.h"

namespace bandd {

struct Wanted {
    Prefix prefix;
    Instant until;  // `never` for ever
};
struct Present {
    Prefix prefix;
    std::optional<Duration> remaining;  // nothing: it stays until removed
};
struct Plan {
    std::vector<Wanted> add;
    std::vector<Wanted> renew;  // there, but with another end
    std::vector<Prefix> remove;
};

struct SetTraits {
    bool timed = true;           // elements have timeouts
    bool ours = true;            // false: the user keeps elements of their own in it, which stay
    Duration longest = forever;  // timeout that the set can hold
};

// Ends that differ by less than this are the same: the kernel counts ipset's in seconds.
inline constexpr Duration end_tolerance = std::chrono::seconds(2);

// `wanted` must be in force at `now`. Both may be in any order.
Plan reconcile(std::span<const Wanted> wanted, std::span<const Present> present, SetTraits traits,
               Instant now);

}  // namespace bandd
