// SPDX-License-Identifier: GPL-2.0-or-later
// A set of address blocks, asked "does it hold this address" for every hit: sorted, merged ranges
// and a binary search, so that a list of 100,000 entries costs some 17 comparisons.
#pragma once

#include <span>
#include <vector>

#include "core/base/address.h"

namespace bandd {

class PrefixSet {
  public:
    PrefixSet() = default;
    explicit PrefixSet(std::span<const Prefix> prefixes);

    bool contains(const Address& address) const;
    bool overlaps(const Prefix& prefix) const;
    bool empty() const { return ranges_.empty(); }
    bool operator==(const PrefixSet&) const = default;

  private:
    struct Range {
        Address first, last;
        bool operator==(const Range&) const = default;
    };
    bool overlaps(const Address& first, const Address& last) const;

    std::vector<Range> ranges_;  // sorted, disjoint
};

}  // namespace bandd
