// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/instant.h"
#include "core/match/pattern.h"

namespace bandd {

using JailIndex = std::uint16_t;

// A line that a filter calls an attack. `line` is a view into its chunk, `jails` and `pattern`
// point into the ruleset: a hit lives for one turn.
struct Hit {
    std::span<const JailIndex> jails;
    const Pattern* pattern = nullptr;
    Instant time;     // as the line says; arrival, if it has no date
    Instant arrival;  // what "now" was for this line
    Address address;
    Fields fields;
    std::string_view line;  // raw
};

}  // namespace bandd
