// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/base/address_ranges.h"

#include <algorithm>

namespace bandd {
namespace {

std::optional<Address> previous_address(const Address& address) {
    Address out = address;
    for (std::size_t i = 16; i-- > (address.is_v4() ? 12U : 0U);) {
        if (out.bytes[i]-- != 0) return out;
    }
    return {};
}

}  // namespace

AddressRange range_of(const Prefix& prefix) { return {prefix.network, last_address(prefix)}; }

std::optional<Address> next_address(const Address& address) {
    Address out = address;
    for (std::size_t i = 16; i-- > (address.is_v4() ? 12U : 0U);) {
        if (++out.bytes[i] != 0) return out;
    }
    return {};
}

std::vector<AddressRange> merge_ranges(std::vector<AddressRange> ranges) {
    std::ranges::sort(ranges);
    std::vector<AddressRange> merged;
    for (const AddressRange& range : ranges) {
        if (!merged.empty() && merged.back().first.is_v4() == range.first.is_v4()) {
            AddressRange& before = merged.back();
            auto next = next_address(before.last);
            if (!next || range.first <= *next) {
                before.last = std::max(before.last, range.last);
                continue;
            }
        }
        merged.push_back(range);
    }
    return merged;
}

std::vector<AddressRange> subtract_ranges(const std::vector<AddressRange>& ranges,
                                          const std::vector<AddressRange>& without) {
    std::vector<AddressRange> left;
    auto hole = without.begin();
    for (AddressRange range : ranges) {
        while (hole != without.end() && hole->last < range.first) ++hole;
        bool whole = true;
        for (auto at = hole; at != without.end() && at->first <= range.last; ++at) {
            if (at->first > range.first)
                left.push_back({range.first, *previous_address(at->first)});
            if (at->last >= range.last) {
                whole = false;
                break;
            }
            range.first = *next_address(at->last);
        }
        if (whole) left.push_back(range);
    }
    return left;
}

}  // namespace bandd
