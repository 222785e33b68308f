// SPDX-License-Identifier: GPL-2.0-or-later
// A set of address blocks, asked "does it hold this address" for every hit: sorted, merged ranges
// and a binary search, so that a list of 100,000 entries costs some 17 comparisons.
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/address.h"

namespace bandd {

class PrefixSet {
  public:
    PrefixSet() = default;
    explicit PrefixSet(std::span<const Prefix> prefixes) { add(prefixes); }

    void add(std::span<const Prefix> prefixes);

    bool contains(const Address& address) const;
    bool overlaps(const Prefix& prefix) const;
    bool empty() const { return ranges_.empty(); }
    bool operator==(const PrefixSet&) const = default;

  private:
    // An address as a number.
    struct Number {
        std::uint64_t high = 0, low = 0;
        explicit Number(const Address& address);
        auto operator<=>(const Number&) const = default;
    };
    struct Range {
        Number first, last;
        bool operator==(const Range&) const = default;
    };
    bool overlaps(const Number& first, const Number& last) const;

    std::vector<Range> ranges_;  // sorted, disjoint
};

}  // namespace bandd
