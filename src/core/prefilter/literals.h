// SPDX-License-Identifier: GPL-2.0-or-later
// What must stand in every line that a pattern matches: the texts that whole chunks are searched
// for, so that other lines are never looked at.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/regex/syntax.h"

namespace bandd {

struct Literal {
    std::string text;  // printable ASCII without quote and backslash; lower case, if `any_case`
    bool any_case = false;  // letters of both cases stand for each other
    auto operator<=>(const Literal&) const = default;
};

// A shorter text would stand in every other line.
inline constexpr std::size_t shortest_literal = 3;
// A pattern with more alternatives is matched without them.
inline constexpr std::size_t most_literals = 64;

// One of these must stand in a line.
using LiteralSet = std::vector<Literal>;

// At most two sets, the better one first. Of each at least one text stands in every raw line whose
// text, as a filter sees it, the pattern matches: whatever escapes (#011, Docker's JSON but for \u
// and \/) and cut-out dates have made of it. None: the pattern must see every line.
// `date_cut_out`: so much of a line can be cut out of the middle of such a text (fail2ban's
// dialect); then its halves are searched for.
std::vector<LiteralSet> required_literals(std::string_view regex, syntax::Language language,
                                          bool date_cut_out);

}  // namespace bandd
