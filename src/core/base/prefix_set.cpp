// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/base/prefix_set.h"

#include <algorithm>
#include <utility>

namespace bandd {

PrefixSet::Number::Number(const Address& address) {
    for (std::size_t i = 0; i < 8; ++i) {
        high = high << 8 | address.bytes[i];
        low = low << 8 | address.bytes[8 + i];
    }
}

void PrefixSet::add(std::span<const Prefix> prefixes) {
    std::vector<Range> all = std::exchange(ranges_, {});
    all.reserve(all.size() + prefixes.size());
    for (const Prefix& prefix : prefixes)
        all.push_back({Number(prefix.network), Number(last_address(prefix))});
    std::ranges::sort(all, {}, &Range::first);
    for (const Range& range : all) {
        if (!ranges_.empty() && range.first <= ranges_.back().last)
            ranges_.back().last = std::max(ranges_.back().last, range.last);
        else
            ranges_.push_back(range);
    }
}

bool PrefixSet::overlaps(const Number& first, const Number& last) const {
    // The first range that does not end before us is the only one that can begin before our end.
    auto found = std::ranges::lower_bound(ranges_, first, {}, &Range::last);
    return found != ranges_.end() && found->first <= last;
}

bool PrefixSet::contains(const Address& address) const {
    if (empty()) return false;
    Number number(address);
    return overlaps(number, number);
}

// Asked for every hit of an IPv6 address, so the last address is not made byte by byte.
bool PrefixSet::overlaps(const Prefix& prefix) const {
    if (empty()) return false;
    Number first(prefix.network);
    Number last = first;
    int host_bits = prefix.network.bits() - prefix.length;
    if (host_bits > 64) last.high |= ~std::uint64_t{0} >> (128 - host_bits);
    if (host_bits > 0) last.low |= ~std::uint64_t{0} >> (64 - std::min(host_bits, 64));
    return overlaps(first, last);
}

}  // namespace bandd
