// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/instant.h"
#include "core/match/filter.h"

namespace bandd {

using JailIndex = std::uint16_t;

// A line that a filter calls an attack. `line` is a view into its chunk, `jails` and `pattern`
// point into the ruleset: a hit lives for one turn.
struct Hit {
    std::span<const JailIndex> jails;
    const Filter* filter = nullptr;
    const Pattern* pattern = nullptr;  // none: a line of a filter that looks at several at once
    Instant time;                      // as the line says; arrival, if it has no date
    Instant arrival;                   // what "now" was for this line
    std::optional<Address> address;    // can come from another line, if the filter converses
    std::string name;                  // a host name in its place
    Fields fields;
    std::string_view line;  // raw
    std::string text;       // as the filter sees it; only without a pattern
    bool dated = true;      // the line told its time
};

}  // namespace bandd
