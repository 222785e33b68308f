// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/kept_lines.h"

#include <algorithm>

namespace bandd {

std::uint64_t KeptLines::add(Instant at, std::string_view pattern, std::string_view line,
                             std::uint64_t previous, std::uint32_t weight) {
    std::uint64_t number = ++added_;
    if (most_ == 0) return number;
    if (lines_.size() < most_) lines_.emplace_back();
    Line& kept = lines_[place_of(number)];
    kept.match.time = at;
    kept.match.pattern = pattern;
    kept.match.line = line.substr(0, longest_kept_line);
    kept.previous = previous;
    kept.weight = weight;
    return number;
}

const KeptLines::Line* KeptLines::find(std::uint64_t number) const {
    std::uint64_t gone = added_ - lines_.size();
    return number > gone && number <= added_ ? &lines_[place_of(number)] : nullptr;
}

std::vector<Match> KeptLines::up_to(std::uint64_t last, std::uint32_t most) const {
    std::vector<Match> matches;
    for (const Line* line = find(last); line != nullptr && matches.size() < most;
         line = find(line->previous))
        matches.push_back(line->match);
    std::ranges::reverse(matches);
    return matches;
}

std::optional<std::uint32_t> KeptLines::lines_of(std::uint64_t last, std::uint32_t hits) const {
    std::uint32_t lines = 0;
    std::uint32_t found = 0;
    for (const Line* line = find(last); line != nullptr && found < hits;
         line = find(line->previous)) {
        ++lines;
        found += line->weight;
    }
    return found < hits ? std::nullopt : std::optional(lines);
}

}  // namespace bandd
