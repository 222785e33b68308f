// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/reconcile.h"

#include <algorithm>
#include <unordered_map>

namespace bandd {

Plan reconcile(std::span<const Wanted> wanted, std::span<const Present> present, SetTraits traits,
               Instant now) {
    Plan plan;
    std::unordered_map<Prefix, const Present*, PrefixHash> there;
    there.reserve(present.size());
    for (const Present& element : present) there.emplace(element.prefix, &element);
    for (const Wanted& want : wanted) {
        auto found = there.find(want.prefix);
        if (found == there.end()) {
            plan.add.push_back(want);
            continue;
        }
        const Present& element = *found->second;
        there.erase(found);
        if (!traits.timed) continue;
        Duration left = std::min(want.until - now, traits.longest);
        if (want.until == never && traits.longest == forever) left = forever;
        Duration has = element.remaining.value_or(forever);
        if (left == forever && has == forever) continue;
        bool same =
            left != forever && has != forever && std::chrono::abs(left - has) < end_tolerance;
        if (!same) plan.renew.push_back(want);
    }
    if (traits.ours)
        for (const auto& [prefix, element] : there) plan.remove.push_back(prefix);
    return plan;
}

}  // namespace bandd
