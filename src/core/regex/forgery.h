// SPDX-License-Identifier: GPL-2.0-or-later
// Lines hold text that a client chose: a user name, a HELO. If a pattern can take <HOST> from such
// text, a client writes another's address there, and that address is banned (CVE-2013-2178).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bandd {

// A repeated class of fewer bytes (digits, a few letters) is not text that a client composes.
inline constexpr std::size_t least_free_bytes = 17;

// A class of so many bytes takes whatever it is but for some of them: `.`, `\S`, `[^"]`.
inline constexpr std::size_t least_bytes_of_text = 128;

// Where user names are captured, <F-USER>…</F-USER>, in the pattern's text.
struct Span {
    std::size_t from, to;
    bool holds(std::size_t begin, std::size_t end) const { return from < begin && end <= to; }
};
std::vector<Span> user_fields(std::string_view pattern);

// Why this pattern can take <HOST> from a client's text, in one sentence; empty if it cannot. It
// cannot if the line's begin or its end fixes where <HOST> is:
//  - The pattern begins with ^, and no client writes what is before <HOST>: there are numbers,
//    names of letters and digits, fixed text. Each ends at a character that it cannot hold. Or
//  - it ends with $, and the same is so of what is behind <HOST>.
// `^user "[^"]*" from <HOST>` is not safe: a client who is called `x" from 198.51.100.7` is not
// held by `[^"]*`, but its name begins like a line that is. `^user "[^"]*" from <HOST>$` is: it
// does not match that line.
std::optional<std::string> find_forgery(std::string_view pattern);

}  // namespace bandd
