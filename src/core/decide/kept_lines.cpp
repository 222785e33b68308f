// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/kept_lines.h"

#include <algorithm>

namespace bandd {

std::uint64_t KeptLines::add(Instant at, std::string_view pattern, std::string_view line,
                             std::uint64_t previous) {
    std::uint64_t number = ++added_;
    if (most_ == 0) return number;
    if (lines_.size() < most_) lines_.emplace_back();
    Line& kept = lines_[place_of(number)];
    kept.match.time = at;
    kept.match.pattern = pattern;
    kept.match.line = line.substr(0, longest_kept_line);
    kept.previous = previous;
    return number;
}

std::vector<Match> KeptLines::up_to(std::uint64_t last, std::uint32_t most) const {
    std::vector<Match> matches;
    std::uint64_t gone = added_ - lines_.size();
    for (std::uint64_t number = last; number > gone && number <= added_ && matches.size() < most;) {
        const Line& line = lines_[place_of(number)];
        matches.push_back(line.match);
        number = line.previous;
    }
    std::ranges::reverse(matches);
    return matches;
}

}  // namespace bandd
