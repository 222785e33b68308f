// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/match/filter.h"

namespace bandd {

bool accepts_tag(const Filter& filter, std::string_view tag) {
    return !filter.tag || RE2::FullMatch(re2::StringPiece(tag.data(), tag.size()), *filter.tag);
}

bool match_pattern(const Filter& filter, const Pattern& pattern, std::string_view message,
                   FilterMatch& found) {
    switch (capture(pattern, message, found.captured)) {
        case CaptureResult::no_match:
            return false;
        case CaptureResult::no_address:
            found.fate = LineFate::no_address;
            found.pattern = &pattern;
            return false;
        case CaptureResult::captured:
            break;
    }
    found.pattern = &pattern;
    found.fate = LineFate::hit;
    for (const Pattern& ignore : filter.ignore) {
        re2::StringPiece text(message.data(), message.size());
        if (!RE2::PartialMatch(text, *ignore.re2)) continue;
        found.fate = LineFate::ignored;
        found.ignore = &ignore;
        break;
    }
    return true;
}

FilterMatch match(const Filter& filter, std::string_view tag, std::string_view message) {
    FilterMatch found;
    if (!accepts_tag(filter, tag)) {
        found.fate = LineFate::wrong_tag;
        return found;
    }
    for (const Pattern& pattern : filter.patterns)
        if (match_pattern(filter, pattern, message, found)) break;
    return found;
}

}  // namespace bandd
