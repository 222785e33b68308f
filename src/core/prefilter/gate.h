// SPDX-License-Identifier: GPL-2.0-or-later
// Which texts whole chunks are searched for. Patterns require many texts, but a search is fast only
// for a few, and only if ordinary lines do not hold them. So the gate takes short parts that speak
// for several patterns at once. An example, of three checks and what they require:
//
//   0  "535 Authentication failed"
//   1  ": SASL LOGIN Authentication failed"
//   2  "Disconnected from user", and also "(preauth attack)"
//
//   gate.texts      a part of " Authentication failed", a part of "(preauth attack)"
//   gate.opens_for  {0, 1},                             {2}
//
// A line with neither part is not looked at. A line with the first is tried against 0 and 1 only.
// "Disconnected from user" is not searched for: ordinary lines hold it, and one text of a check is
// enough.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/prefilter/literals.h"

namespace bandd {

// A check is what lines are tried against: a pattern, or a whole filter. It has a number.
struct Gate {
    LiteralSet texts;
    std::vector<std::vector<std::uint32_t>> opens_for;  // of each text, the checks
};

// `required[i]` holds the sets of check i: every line that it matches holds a text of each set (see
// required_literals). So every such line holds a text of the gate that opens for the check. A check
// without sets is not in the gate: it must see every line.
Gate choose_gate(std::span<const std::vector<LiteralSet>> required);

// Up to eight bytes of a literal beside the gate's text in it: one comparison tells apart most
// places where a text is found.
struct Glance {
    std::int32_t at = 0;  // from the end of the gate's text
    std::uint64_t bytes = 0, mask = 0;
    std::uint64_t small = 0;  // makes letters small, if either case will do
};

// Where a text of the gate is within a text that a check requires: "ion fai" ends after 17 bytes of
// "authentication failed" (`end`). Compared at once, where the gate's text was found, this leaves
// few lines to be looked at.
struct Within {
    std::uint32_t check = 0;
    std::uint32_t end = 0;
    Literal literal;
    Glance glance;
};
// All such places. A line that the check matches holds the text at one of them.
std::vector<Within> places_of(const Literal& text, std::uint32_t check,
                              const std::vector<LiteralSet>& required);
// Whether `bytes` holds the whole literal around the gate's text, which ends there at `end`.
bool is_within(std::string_view bytes, std::size_t end, const Within& within);

// All places of one text of the gate. A common one ("failed") has some eighty, so they are not
// compared one by one: the bytes beside the text tell at once which few can be there.
class LiteralPlaces {
  public:
    LiteralPlaces() = default;
    LiteralPlaces(std::size_t length_of_text, std::vector<Within> all);

    // Calls `visit` for those that may be there, in order; ask `is_within` about each.
    template <class Visit>
    void for_likely(std::string_view bytes, std::size_t end, const Visit& visit) const {
        if (groups_.empty()) {
            for (const Within& within : all_) visit(within);
            return;
        }
        std::array<unsigned, bytes_beside> beside = beside_at(bytes, end);
        for (std::size_t group = 0; group < groups_.size(); ++group) {
            std::uint64_t likely = ~std::uint64_t{0};
            for (std::size_t i = 0; i < bytes_beside; ++i) likely &= groups_[group][i][beside[i]];
            for (; likely != 0; likely &= likely - 1)
                visit(all_[group * in_group + static_cast<std::size_t>(std::countr_zero(likely))]);
        }
    }
    std::size_t size() const { return all_.size(); }

  private:
    static constexpr std::size_t in_group = 64;  // a bit each
    static constexpr std::size_t on_a_side = 4, bytes_beside = 2 * on_a_side;
    // Fewer are compared one by one.
    static constexpr std::size_t least_for_groups = 4;
    // Letters of both cases have the same.
    static constexpr std::size_t kinds = 32;
    static constexpr unsigned kind_of(char c) { return static_cast<unsigned char>(c) % kinds; }
    // Of each byte beside a text, by its kind, which places it does not rule out.
    using Group = std::array<std::array<std::uint64_t, kinds>, bytes_beside>;

    std::array<unsigned, bytes_beside> beside_at(std::string_view bytes, std::size_t end) const;

    std::size_t length_ = 0;  // of the text
    std::vector<Within> all_;
    std::vector<Group> groups_;
};

}  // namespace bandd
