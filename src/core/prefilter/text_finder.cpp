// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/prefilter/text_finder.h"

#include <algorithm>
#include <cstring>

#include "core/base/ascii.h"
#include "core/prefilter/ordinary.h"

namespace bandd {

TextFinder::TextFinder(const Literal& literal) : literal_(literal) {
    auto often = [&](std::size_t at) {
        return Ordinary::lines().in_a_kilobyte(std::string_view(literal_.text).substr(at, 1));
    };
    for (std::size_t at = 1; at < literal_.text.size(); ++at)
        if (often(at) < often(rarest_)) rarest_ = at;
}

bool TextFinder::is_in(std::string_view line) const {
    char rarest = literal_.text[rarest_];
    if (is_in(line, rarest)) return true;
    bool is_small = rarest >= 'a' && rarest <= 'z';
    return literal_.any_case && is_small && is_in(line, static_cast<char>(rarest - 'a' + 'A'));
}

bool TextFinder::is_in(std::string_view line, char rarest) const {
    const std::string& text = literal_.text;
    auto lower = [](char c) { return ascii_lower(c); };
    if (line.size() < text.size()) return false;
    // Where the rarest byte may be, so that the whole text is in the line.
    const char* at = line.data() + rarest_;
    const char* end = line.data() + (line.size() - text.size() + rarest_ + 1);
    while (at < end) {
        at = static_cast<const char*>(std::memchr(at, rarest, static_cast<std::size_t>(end - at)));
        if (at == nullptr) return false;
        std::string_view there(at - rarest_, text.size());
        if (there == text) return true;
        if (literal_.any_case && std::ranges::equal(there, text, {}, lower)) return true;
        ++at;
    }
    return false;
}

}  // namespace bandd
