// SPDX-License-Identifier: GPL-2.0-or-later
// The first half of a line's way: from a chunk to hits. Without state and const, so that any thread
// may run it.
#pragma once

#include <optional>
#include <vector>

#include "core/match/candidates.h"
#include "core/match/hit.h"
#include "core/match/ruleset.h"
#include "core/match/tag_memo.h"
#include "core/text/chunk.h"

namespace bandd {

struct ScanCounts {
    std::uint64_t lines = 0;       // line ends
    std::uint64_t candidates = 0;  // lines that were looked at, as they hold a literal
    std::uint64_t hits = 0, ignored = 0, no_address = 0, undated = 0;
    std::uint64_t cut = 0;           // lines over the limit
    std::uint64_t cut_matches = 0;   // no hits, as the end of their line is missing
    std::uint64_t set_failures = 0;  // RE2::Set gave up, and patterns were tried one by one
    std::uint64_t broken_json = 0;   // cut, or no JSON, though they begin so
    std::uint64_t gave_up = 0;       // PCRE2 reached its limits: counted as no match

    ScanCounts& operator+=(const ScanCounts& more);
};

// Memory that scanning needs, kept from chunk to chunk; one for each thread.
struct Scratch {
    MatchScratch match;
    LastHead last_head;  // of this chunk
    TagMemo tags;
    std::vector<std::uint32_t> matched;  // indexes of a view's `patterns`
    std::vector<int> set_matched;
    std::vector<std::uint32_t> rules;
    Candidates candidates;
    std::vector<std::uint64_t> beginning;   // checks that a text's first byte does not rule out
    std::vector<std::uint64_t> all_checks;  // for lines of a chunk that was not searched
    FilterMatch found;
    ScanCounts counts;
};

// Our own syslog lines are never an attack: a log that bandd writes to must not feed it.
inline constexpr std::string_view own_tag = "bandd";

// Appends to `hits` what the rules find in the chunk, in the order of its lines. `now` is what
// dates without a year are read by.
void scan(const Ruleset& ruleset, const Chunk& chunk, Instant now, Scratch& scratch, Hits& hits);

// The time of a chunk's last line; empty if it has none. It tells how far reading has come.
std::optional<Instant> last_time(const Ruleset& ruleset, std::string_view bytes, Instant now);
// Whether that date names its zone: then it cannot be read in a wrong one. Reads it twice.
bool last_time_names_zone(const Ruleset& ruleset, std::string_view bytes, Instant now);

}  // namespace bandd
