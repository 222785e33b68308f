// SPDX-License-Identifier: GPL-2.0-or-later
// What lines are tried against, by number. A check is one pattern of bandd's dialect, or one whole
// filter of fail2ban's. Sets of checks are rows of bits: check 70 is bit 6 of the second word.
#pragma once

#include <bit>
#include <cstdint>

namespace bandd {

using CheckNumber = std::uint32_t;
using CheckSet = const std::uint64_t*;  // as many words as the ruleset says

inline void set_bit(std::uint64_t* set, CheckNumber check) {
    set[check / 64] |= std::uint64_t{1} << check % 64;
}
inline bool has_bit(CheckSet set, CheckNumber check) {
    return (set[check / 64] >> check % 64 & 1) != 0;
}

// Whether any is among those of `set` that are at least `first` and less than `end`.
inline bool has_any(CheckSet set, CheckNumber first, CheckNumber end) {
    for (CheckNumber word = first / 64; word * 64 < end; ++word) {
        std::uint64_t bits = set[word];
        if (word == first / 64) bits &= ~std::uint64_t{0} << first % 64;
        if (end - word * 64 < 64) bits &= ~(~std::uint64_t{0} << (end - word * 64));
        if (bits != 0) return true;
    }
    return false;
}

// Calls `visit` for those of `set` that are at least `first` and less than `end`, in order.
template <class Visit>
void for_checks(CheckSet set, CheckNumber first, CheckNumber end, const Visit& visit) {
    for (CheckNumber word = first / 64; word * 64 < end; ++word) {
        std::uint64_t bits = set[word];
        if (word == first / 64) bits &= ~std::uint64_t{0} << first % 64;
        if (end - word * 64 < 64) bits &= ~(~std::uint64_t{0} << (end - word * 64));
        for (; bits != 0; bits &= bits - 1)
            visit(word * 64 + static_cast<CheckNumber>(std::countr_zero(bits)));
    }
}

}  // namespace bandd
