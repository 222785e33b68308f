// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/prefilter/ordinary.h"

#include <algorithm>
#include <string>

#include "core/base/ascii.h"
#include "core/prefilter/ordinary_lines.h"

namespace bandd {
namespace {

// Up to eight bytes in one number.
std::uint64_t packed(std::string_view bytes) {
    std::uint64_t number = 0;
    for (char c : bytes) number = number << 8 | static_cast<unsigned char>(c);
    return number;
}

}  // namespace

const Ordinary& Ordinary::lines() {
    static const Ordinary lines;
    return lines;
}

Ordinary::Ordinary() {
    const std::string text = ascii_lower(ordinary_lines) + std::string(longest, '\0');
    for (std::size_t at = 0; at < ordinary_lines.size(); ++at)
        parts_.push_back(packed(std::string_view(text).substr(at, longest)));
    std::ranges::sort(parts_);
    kilobytes_ = static_cast<double>(ordinary_lines.size()) / 1000;
    lines_ = static_cast<double>(std::ranges::count(ordinary_lines, '\n'));
}

double Ordinary::found(std::string_view text) const {
    std::size_t missing = 8 * (longest - text.size());
    std::uint64_t first = packed(ascii_lower(text)) << missing;
    auto from = std::ranges::lower_bound(parts_, first);
    auto to = std::ranges::lower_bound(parts_, first + (std::uint64_t{1} << missing));
    return static_cast<double>(to - from);
}

double Ordinary::most_in_a_line(std::string_view text) const {
    double least = in_a_line(text.substr(0, longest));
    for (std::size_t at = 1; least > 0 && at + longest <= text.size(); ++at)
        least = std::min(least, in_a_line(text.substr(at, longest)));
    return least;
}

}  // namespace bandd
