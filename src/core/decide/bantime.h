// SPDX-License-Identifier: GPL-2.0-or-later
// How long a ban lasts. It ends at the time of its deciding line + this.
#pragma once

#include <cstdint>

#include "core/base/address.h"
#include "core/base/instant.h"

namespace bandd {

struct BantimePolicy {
    Duration base = std::chrono::hours(1);
    // With `increment` the n-th ban of an address lasts base * factor^(n-1), at most `maximum`,
    // plus a share of `jitter` that follows from address and time (so that a replay gives the
    // same).
    bool increment = false;
    double factor = 2.0;
    Duration maximum = std::chrono::weeks(5);
    Duration jitter{0};
    bool all_jails = false;  // count the address's bans of every jail
    bool extend = false;     // a hit during a ban restarts its time
    bool operator==(const BantimePolicy&) const = default;
};

// `offence`: which ban of `prefix` it is, from 1; `from`: when it begins. May be `forever`.
//
//   base 1h, increment, factor 2, maximum 3h:  offence 1 → 1h, 2 → 2h, 3 → 3h, 4 → 3h
Duration bantime_of(const BantimePolicy& policy, const Prefix& prefix, Instant from,
                    std::uint32_t offence);

}  // namespace bandd
