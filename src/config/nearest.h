// SPDX-License-Identifier: GPL-2.0-or-later
// Why does a line not match? The pattern that gets furthest in it, and where it stops.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/types.h"

namespace bandd {

// Example: the regex `^login of \S+ from <HOST>$` and the text "login of joe at 192.0.2.1".
struct Nearest {
    std::string id;     // of the pattern
    std::string fits;   // what its beginning takes of the text: "login of joe "
    std::string wants;  // the rest of the pattern, which does not match after that: "from <HOST>$"
};

// "x comes nearest: it takes "…", but then wants …". One that matches it all says that, too: it is
// of a mode that the jail leaves out, or the line's tag is another.
std::string in_words(const Nearest& nearest);

// Empty if no beginning of any pattern matches. Slow: it compiles every beginning of every pattern.
std::optional<Nearest> nearest_pattern(const FilterConfig& filter, std::string_view text);

}  // namespace bandd
