// SPDX-License-Identifier: GPL-2.0-or-later
// Runs of addresses, as interval sets of the kernel hold them.
#pragma once

#include <optional>
#include <vector>

#include "core/base/address.h"

namespace bandd {

// Both ends included, of one family.
struct AddressRange {
    Address first, last;
    auto operator<=>(const AddressRange&) const = default;
};

AddressRange range_of(const Prefix& prefix);
// The next address; nothing behind the last one of its family.
std::optional<Address> next_address(const Address& address);
// Sorted, disjoint, and no two that touch.
std::vector<AddressRange> merge_ranges(std::vector<AddressRange> ranges);
// What of `ranges` is in none of `without`; both as `merge_ranges` gives them.
std::vector<AddressRange> subtract_ranges(const std::vector<AddressRange>& ranges,
                                          const std::vector<AddressRange>& without);

}  // namespace bandd
