// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/bantime.h"

#include <algorithm>
#include <cmath>

namespace bandd {

Duration bantime_of(const BantimePolicy& policy, const Prefix& prefix, Instant from,
                    std::uint32_t offence) {
    if (policy.base == forever || !policy.increment) return policy.base;
    double seconds = std::chrono::duration<double>(policy.base).count();
    double most =
        policy.maximum == forever ? 1e12 : std::chrono::duration<double>(policy.maximum).count();
    seconds = std::min(seconds * std::pow(policy.factor, std::min(offence - 1, 64U)), most);
    // Random enough that many hosts are not let in at one moment, and the same in every replay.
    std::uint64_t hash =
        hash_of(prefix) ^ static_cast<std::uint64_t>(from.us) * 0x9e3779b97f4a7c15U;
    double share = static_cast<double>((hash ^ hash >> 32) & 0xffff) / 65536.0;
    seconds += share * std::chrono::duration<double>(policy.jitter).count();
    return std::chrono::seconds(std::llround(seconds));
}

}  // namespace bandd
