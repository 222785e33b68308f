// SPDX-License-Identifier: GPL-2.0-or-later
// A filter: what lines of one program are an attack. It remembers nothing.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/match/pattern.h"
#include "core/text/envelope.h"

namespace bandd {

struct Filter {
    std::string name;
    std::unique_ptr<RE2> tag;  // what the syslog tag must match in full; none: any line
    std::vector<Pattern> patterns;
    std::vector<Pattern> ignore;  // ignoreregex: a line that one of these matches is no hit
};

enum class LineFate {
    no_match,
    wrong_tag,
    ignored,     // a pattern matched, and an ignoreregex too
    no_address,  // a pattern matched, but with no address at <HOST>
    hit,
};

struct FilterMatch {
    LineFate fate = LineFate::no_match;
    const Pattern* pattern = nullptr;  // that matched
    const Pattern* ignore = nullptr;   // that took it back
    Captured captured;
};

bool accepts_tag(const Filter& filter, std::string_view tag);

// Plain and slow: every pattern, one by one, the first that matches wins. `scan` must agree with
// it.
FilterMatch match(const Filter& filter, std::string_view tag, std::string_view message);

// The second half of a match, with the pattern already chosen. False: try the next pattern.
bool match_pattern(const Filter& filter, const Pattern& pattern, std::string_view message,
                   FilterMatch& found);

}  // namespace bandd
