// SPDX-License-Identifier: GPL-2.0-or-later
// The one way to make a kernel set right: at start, after a flush, on reload. Elements that are
// there are judged one by one as they are read; what is wanted and was not among them is added.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/address.h"
#include "core/base/instant.h"

namespace bandd {

// An element of a kernel set.
struct Present {
    Prefix prefix;
    std::optional<Duration> remaining;  // nothing: it stays until removed
};

struct SetTraits {
    bool timed = true;           // elements have timeouts
    bool ours = true;            // false: the user keeps elements of their own in it, which stay
    Duration longest = forever;  // timeout that the set can hold
    std::uint64_t most4 = UINT64_MAX, most6 = UINT64_MAX;  // elements that fit in, by family
};

// Ends that differ by less than this are the same: the kernel counts ipset's in seconds.
inline constexpr Duration end_tolerance = std::chrono::seconds(2);

enum class Repair { keep, renew, remove };

// `wanted_until`: `never` for a ban for ever; nothing, or a time that is over, if no ban wants it.
Repair judge(std::optional<Instant> wanted_until, const Present& present, SetTraits traits,
             Instant now);

}  // namespace bandd
