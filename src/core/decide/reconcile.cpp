// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/reconcile.h"

#include <algorithm>

namespace bandd {

Repair judge(std::optional<Instant> wanted_until, const Present& present, SetTraits traits,
             Instant now) {
    if (!wanted_until || *wanted_until <= now) return traits.ours ? Repair::remove : Repair::keep;
    if (!traits.timed) return Repair::keep;
    Duration has = present.remaining.value_or(forever);
    Duration left = *wanted_until == never && traits.longest == forever
                        ? forever
                        : std::min(*wanted_until - now, traits.longest);
    if (left == forever || has == forever) return left == has ? Repair::keep : Repair::renew;
    return std::chrono::abs(left - has) < end_tolerance ? Repair::keep : Repair::renew;
}

}  // namespace bandd
