// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/base/prefix_set.h"

#include <algorithm>

namespace bandd {

PrefixSet::PrefixSet(std::span<const Prefix> prefixes) {
    std::vector<Range> all;
    all.reserve(prefixes.size());
    for (const Prefix& prefix : prefixes) all.push_back({prefix.network, last_address(prefix)});
    std::ranges::sort(all, {}, &Range::first);
    for (const Range& range : all) {
        if (!ranges_.empty() && range.first <= ranges_.back().last)
            ranges_.back().last = std::max(ranges_.back().last, range.last);
        else
            ranges_.push_back(range);
    }
}

bool PrefixSet::overlaps(const Address& first, const Address& last) const {
    // The first range that does not end before us is the only one that can begin before our end.
    auto found = std::ranges::lower_bound(ranges_, first, {}, &Range::last);
    return found != ranges_.end() && found->first <= last;
}

bool PrefixSet::contains(const Address& address) const { return overlaps(address, address); }

bool PrefixSet::overlaps(const Prefix& prefix) const {
    return overlaps(prefix.network, last_address(prefix));
}

}  // namespace bandd
