// SPDX-License-Identifier: GPL-2.0-or-later
// Lines hold text that a client chose: a user name, a HELO. If a pattern can take <HOST> from such
// text, a client writes another's address there, and that address is banned (CVE-2013-2178).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bandd {

// Why this pattern can take <HOST> from a client's text, in one sentence; empty if it cannot. It
// cannot if the line's begin or its end fixes where <HOST> is:
//  - The pattern begins with ^, and each free text before <HOST> ends at a character that it cannot
//    hold: "^user \"[^\"]*\" from <HOST>", but not "^user .* from <HOST>". Or
//  - it ends with $, and the same is so of the text behind <HOST>.
std::optional<std::string> find_forgery(std::string_view pattern);

}  // namespace bandd
