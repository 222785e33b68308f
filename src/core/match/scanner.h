// SPDX-License-Identifier: GPL-2.0-or-later
// The first half of a line's way: chunk to hits. Stateless and const, so that any thread may run
// it.
#pragma once

#include <re2/set.h>

#include <memory>
#include <vector>

#include "core/match/filter.h"
#include "core/match/hit.h"
#include "core/text/chunk.h"

namespace bandd {

struct Rule {
    std::shared_ptr<const Filter> filter;
    std::vector<JailIndex> jails;  // that want this filter's hits
};

// Everything that the lines of one source are held against.
struct Ruleset {
    std::vector<Rule> rules;
    Zone zone;  // of dates that name none
    Escapes escapes = Escapes::automatic;
    std::size_t line_limit = 65536;  // the rest of a longer line is not looked at

    // Filled by `prepare`. Rules that see a line alike share one set.
    struct View {
        Dialect dialect = Dialect::bandd;
        std::shared_ptr<const DatePatterns> dates;
        std::unique_ptr<RE2::Set> set;
        // Set index -> rule, pattern. In fail2ban's dialect a rule is tried whole once one of its
        // patterns (or its prefix, if it has one) matches.
        std::vector<std::pair<std::uint32_t, std::uint32_t>> at;
        std::vector<std::uint32_t> always;   // rules that no set can speak for: PCRE2
        std::vector<std::uint32_t> joining;  // rules that look at several lines at once
    };
    std::vector<View> views;
};

// For the set's program and its DFA. What does not fit is matched one by one, so this bounds
// memory, not results.
inline constexpr std::int64_t default_set_memory = 16 << 20;

// Builds the set. Call once, after the rules are in. A set too large for RE2 is left out, and its
// patterns are tried one by one.
void prepare(Ruleset& ruleset, std::int64_t set_memory = default_set_memory);

// How `arrival` of a line is found: live lines arrive now; a backlog is read in log time, so that
// the outcome is that of having read it when it was written.
enum class Arrival { live, log_time };

struct ScanCounts {
    std::uint64_t lines = 0, candidates = 0, hits = 0, ignored = 0, no_address = 0, undated = 0;
    std::uint64_t cut = 0;           // lines over the limit
    std::uint64_t set_failures = 0;  // RE2::Set gave up, patterns were tried one by one
    std::uint64_t gave_up = 0;       // PCRE2 reached its limits: counted as no match
};

// Reused between calls, one for each thread.
struct Scratch {
    std::string message;
    std::string contained;  // of a line that Docker wrote
    std::vector<int> matched;
    std::vector<std::uint32_t> rules;
    FilterMatch found;
    ScanCounts counts;
    Instant latest{INT64_MIN};  // log time so far, for Arrival::log_time
};

// Our own syslog lines are never an attack: a log that bandd writes to must not feed it.
inline constexpr std::string_view own_tag = "bandd";

void scan(const Ruleset& ruleset, const Chunk& chunk, Arrival mode, Instant now, Scratch& scratch,
          std::vector<Hit>& hits);

}  // namespace bandd
