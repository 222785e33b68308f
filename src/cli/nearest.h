// SPDX-License-Identifier: GPL-2.0-or-later
// Why does a line not match? The pattern that gets furthest in it, and where it stops.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/types.h"

namespace bandd {

struct Nearest {
    std::string id;
    std::string fits;   // the part of the text that the pattern's beginning takes
    std::string wants;  // the rest of the pattern, which does not fit behind it
};

// Nothing if no pattern gets anywhere. Slow: it compiles every beginning of every pattern.
std::optional<Nearest> nearest_pattern(const FilterConfig& filter, std::string_view text);

}  // namespace bandd
