// SPDX-License-Identifier: GPL-2.0-or-later
// Ranges of addresses, as interval sets of the kernel hold them.
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
// The next address; empty after the last one of its family.
std::optional<Address> next_address(const Address& address);
// The same addresses as sorted ranges, of which no two overlap or touch.
std::vector<AddressRange> merge_ranges(std::vector<AddressRange> ranges);
// The addresses of `ranges` that are in none of `without`. Both are as `merge_ranges` gives them.
std::vector<AddressRange> subtract_ranges(const std::vector<AddressRange>& ranges,
                                          const std::vector<AddressRange>& without);

}  // namespace bandd
