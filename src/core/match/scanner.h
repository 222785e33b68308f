// SPDX-License-Identifier: GPL-2.0-or-later
// The first half of a line's way: chunk to hits. Stateless and const, so that any thread may run
// it.
#pragma once

#include <re2/set.h>

#include <memory>
#include <vector>

#include "core/match/filter.h"
#include "core/match/hit.h"
#include "core/match/tag_memo.h"
#include "core/prefilter/gate.h"
#include "core/prefilter/literal_scan.h"
#include "core/text/chunk.h"

namespace bandd {

// Everything that the lines of one source are held against.
struct Ruleset {
    std::vector<Rule> rules;
    Zone zone;  // of dates that name none
    Escapes escapes = Escapes::automatic;
    std::size_t line_limit = 65536;  // the rest of a longer line is not looked at

    // Filled by `prepare`, each time with a number of its own.
    std::uint64_t number = 0;

    // Rules that see a line alike share one view.
    struct View {
        Dialect dialect = Dialect::bandd;
        std::shared_ptr<const DatePatterns> dates;
        // Rule, pattern. In fail2ban's dialect a rule is tried whole once one of its patterns (or
        // its prefix, if it has one) matches.
        std::vector<std::pair<std::uint32_t, std::uint32_t>> at;
        // Of each: a text that it does not match is told at once, by its own program.
        std::vector<bool> quick;
        std::unique_ptr<RE2::Set> set;       // of the others
        std::vector<std::uint32_t> in_set;   // set index -> index in `at`
        std::vector<std::uint32_t> always;   // rules that no set can speak for: PCRE2
        std::vector<std::uint32_t> joining;  // rules that look at several lines at once
        // Targets are what a line is held against, numbered through all views: a view's `at`, then
        // its `always`.
        std::uint32_t first_target = 0;
    };
    std::vector<View> views;

    // The prefilter: chunks are searched for the gate's texts, and only lines with one are looked
    // at, and only by the targets that it opens for.
    std::unique_ptr<LiteralScan> gate;     // none: every line is looked at by all
    std::size_t words = 0;                 // of a set of targets
    std::vector<std::uint64_t> opens_for;  // of each text, a set of targets
    // The same of costly targets (below): only where it stands within what they require.
    std::vector<std::vector<Within>> opens_within;
    std::uint32_t docker_text = 0;          // behind the others: how a line of Docker's begins
    std::vector<std::uint64_t> every_line;  // set of targets that have no literal
    bool looks_at_every_line = false;       // for these, or for rules that join lines
    // For each byte that a text may begin with, and for an empty one: the targets that it does not
    // rule out.
    std::vector<std::uint64_t> may_begin;
    // Targets that cost much to try. What they require besides is asked for before that.
    std::vector<std::uint64_t> costly;
    std::vector<std::vector<LiteralSet>> required;
};

// For the set's program and its DFA. What does not fit is matched one by one, so this bounds
// memory, not results.
inline constexpr std::int64_t default_set_memory = 16 << 20;

struct PrepareOptions {
    std::int64_t set_memory = default_set_memory;
    bool prefilter = true;
    LiteralEngine engine = LiteralEngine::best;
};

// Builds the sets and the prefilter. Call after the rules are in. A set too large for RE2 is
// left out, and its patterns are tried one by one.
void prepare(Ruleset& ruleset, const PrepareOptions& options = {});

// The patterns of a filter for which every line must be looked at, as no literal stands in all that
// they match; or all, if it looks at several lines at once.
std::vector<std::string> patterns_without_literal(const Filter& filter);

struct ScanCounts {
    std::uint64_t lines = 0;       // line ends
    std::uint64_t candidates = 0;  // lines that were looked at, having a literal
    std::uint64_t hits = 0, ignored = 0, no_address = 0, undated = 0;
    std::uint64_t cut = 0;           // lines over the limit
    std::uint64_t set_failures = 0;  // RE2::Set gave up, patterns were tried one by one
    std::uint64_t gave_up = 0;       // PCRE2 reached its limits: counted as no match
};

// Reused between calls, one for each thread.
struct Scratch {
    struct Candidate {
        std::uint32_t begin = 0, end = 0;
    };
    std::string message;
    std::string contained;  // of a line that Docker wrote
    LastHead last_head;     // of this chunk
    TagMemo tags;
    std::vector<std::uint32_t> matched;  // indexes of a view's `at`
    std::vector<int> set_matched;
    std::vector<std::uint32_t> rules;
    LiteralScratch literals;
    std::vector<LiteralHit> literal_hits;
    std::vector<Candidate> candidates;
    std::vector<std::uint64_t> targets;    // of the candidates, `words` each
    std::vector<std::uint64_t> opened;     // of one line
    std::vector<std::uint64_t> beginning;  // of one text, those that it does not rule out
    std::vector<std::uint64_t> all_targets;
    FilterMatch found;
    ScanCounts counts;
};

// Our own syslog lines are never an attack: a log that bandd writes to must not feed it.
inline constexpr std::string_view own_tag = "bandd";

// `now` is what dates without a year are read by.
void scan(const Ruleset& ruleset, const Chunk& chunk, Instant now, Scratch& scratch, Hits& hits);

// The time of the last line of a chunk that has one: how far reading has come.
std::optional<Instant> last_time(const Ruleset& ruleset, std::string_view bytes, Instant now);

}  // namespace bandd
