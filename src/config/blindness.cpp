// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/blindness.h"

#include <fmt/format.h>

#include "config/nearest.h"
#include "core/base/printable.h"

namespace bandd {
namespace {

std::string nearest_in_words(const FilterConfig& config, const Filter& filter,
                             const std::string& line) {
    MatchScratch scratch;
    Seen seen = see(filter, line, Zone{}, Instant{}, Escapes::automatic, scratch);
    auto nearest = nearest_pattern(config, seen.text);
    if (!nearest) return "";
    return "; " + in_words(*nearest);
}

}  // namespace

std::string tell(const Blindness& blindness, const FilterConfig& config, const Filter& filter) {
    std::string since = blindness.since ? "since " + format_rfc3339(*blindness.since) + " " : "";
    if (blindness.kind == Blindness::Kind::tag)
        return fmt::format("filter \"{}\": {}no line came with its tag, {}", config.name, since,
                           config.tag);
    bool is_pattern =
        blindness.kind == Blindness::Kind::pattern && blindness.pattern < filter.patterns.size();
    std::string what = is_pattern ? fmt::format("pattern \"{}\" of filter \"{}\"",
                                                filter.patterns[blindness.pattern].id, config.name)
                                  : fmt::format("filter \"{}\"", config.name);
    return printable(fmt::format(
        "{} is blind: {}{} lines look like failures, and nothing matches them{}; the last one: {}",
        what, since, blindness.lines, nearest_in_words(config, filter, blindness.example),
        blindness.example));
}

}  // namespace bandd
