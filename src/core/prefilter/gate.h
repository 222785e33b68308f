// SPDX-License-Identifier: GPL-2.0-or-later
// Which texts whole chunks are searched for. Many patterns have many texts to choose from; a search
// is fast for few, and for those that end in what ordinary lines do not hold.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/prefilter/literals.h"

namespace bandd {

struct Gate {
    LiteralSet texts;
    std::vector<std::vector<std::uint32_t>> opens_for;  // of each text: targets, by number
};

// `required` holds the sets of each target, of each of which a text stands in every line that it
// matches. In each such line stands a text of the gate that opens for the target. A target without
// sets is not in it: it must see every line.
Gate choose_gate(std::span<const std::vector<LiteralSet>> required);

// A text of the gate is a part of what a target requires: of this, where it ends behind so many
// bytes. In a line that the target matches it stands within one of these.
struct Within {
    std::uint32_t target = 0;
    std::uint32_t end = 0;
    Literal literal;
};
std::vector<Within> places_of(const Literal& text, std::uint32_t target,
                              const std::vector<LiteralSet>& required);
// True if it stands so in `bytes`, where the gate's text ends at `end`.
bool is_within(std::string_view bytes, std::size_t end, const Within& within);

}  // namespace bandd
