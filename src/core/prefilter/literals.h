// SPDX-License-Identifier: GPL-2.0-or-later
// What every line that a pattern matches must hold: the texts that whole chunks are searched for,
// so that other lines are never looked at. Examples:
//
//   ^(?:bad|wrong) password for \S+ from <HOST>$   "bad password for " or "wrong password for "
//   ^(?i)Denied <HOST>                             "denied ", in either case
//   ^"SMTPD"\t\d+\t"<HOST>"                        "SMTPD": quotes may be escaped in a log
//   ^x? ?<HOST>$                                   none: every line must be looked at
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/regex/syntax.h"

namespace bandd {

struct Literal {
    std::string text;  // printable ASCII without quote and backslash; lower case, if `any_case`
    bool any_case = false;  // letters match in both cases
    auto operator<=>(const Literal&) const = default;
};

// In bytes: a shorter text would be in every other line.
inline constexpr std::size_t shortest_literal = 3;
// A pattern with more alternatives is matched without them.
inline constexpr std::size_t most_literals = 64;

// A line holds at least one of these.
using LiteralSet = std::vector<Literal>;

// What is made of a line before it is matched.
enum class LineForm : std::uint8_t {
    plain,         // escapes are undone: #011; Docker's JSON but for \u and \/
    date_cut_out,  // a date, out of its middle (fail2ban's dialect)
    json,          // it is a JSON object, and what is matched are values of it
};

// Whether texts of JSON lines may hold this character. Writers escape others as they please (`/`,
// `<`, `&`), these hardly ever; a line that does (`\u0041`) is looked at whatever it holds.
bool is_plain_in_json(unsigned char c);

// What a regex requires: at most two sets, the better one first. Every raw line that the regex
// matches holds a text of each set, whatever was made of the line before it was matched. If a date
// is cut out, it may be within a text, so the halves of the texts are given. Empty if nothing is
// known: every line must be looked at.
std::vector<LiteralSet> required_literals(std::string_view regex, syntax::Language language,
                                          LineForm form);

// The same of a text that a JSON line has as a key or a value.
std::optional<Literal> required_literal(std::string_view text);

}  // namespace bandd
