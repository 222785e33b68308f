// SPDX-License-Identifier: GPL-2.0-or-later
// Everything that the lines of one source are tried against, and what is made of it beforehand so
// that most lines are never looked at.
#pragma once

#include <re2/set.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/match/checks.h"
#include "core/match/filter.h"
#include "core/match/hit.h"
#include "core/prefilter/gate.h"
#include "core/prefilter/literal_scan.h"
#include "core/prefilter/text_finder.h"

namespace bandd {

// Made by `prepare` out of the rules; nobody else writes to it.
struct Prepared {
    // No two that are alive have the same. What is remembered of a ruleset from line to line
    // (TagMemo) holds it, too, so that no later one can be taken for this one.
    std::shared_ptr<const void> identity;

    // Rules that see a line alike (its head taken off, or its date cut out) share one view. Its
    // checks are numbered from `first_check` on: those of `patterns`, then those of `always`.
    struct View {
        Dialect dialect = Dialect::bandd;
        std::shared_ptr<const DatePatterns> dates;
        std::shared_ptr<const JsonLayout> json;  // null: no filters of JSON logs
        // A rule and one of its patterns, both as indexes. A rule of fail2ban's dialect is tried
        // whole once one of its patterns (or its prefix, if it has one) matches.
        std::vector<std::pair<std::uint32_t, std::uint32_t>> patterns;
        // One for each of `patterns`: its own program sees at the first byte that most texts do
        // not match.
        std::vector<bool> quick;
        // The patterns that are not quick, in one automaton. Empty if they are few or too large.
        std::unique_ptr<RE2::Set> set;
        std::vector<std::uint32_t> in_set;   // of each in the set, its index in `patterns`
        std::vector<std::uint32_t> always;   // rules that the set cannot speak for: PCRE2
        std::vector<std::uint32_t> joining;  // rules that look at several lines at once (maxlines)
        CheckNumber first_check = 0;
        CheckNumber end_of_patterns() const {
            return first_check + static_cast<CheckNumber>(patterns.size());
        }
        CheckNumber end() const {
            return end_of_patterns() + static_cast<CheckNumber>(always.size());
        }
    };
    std::vector<View> views;
    DatesWithin dates_within = DatesWithin::left;  // what any view needs of a line's head
    std::size_t words = 0;                         // of a set of checks

    // The prefilter. A chunk is searched for the gate's texts. Only lines that hold one are looked
    // at, and only by the checks that this text opens for. Empty if every line is tried against
    // all: without Vectorscan, or if no check has a text.
    std::unique_ptr<const LiteralScan> gate;
    // The same of checks on JSON lines, whose texts ("404", "http") are in most lines of web logs:
    // only what holds a brace is searched for them. Empty if there are no such checks.
    std::unique_ptr<const LiteralScan> json_gate;
    // Of each text, where it must be within a longer one, and the check that this opens for. Those
    // of the JSON gate come behind those of the other one, with one that is its own between them:
    // how a line of Docker's begins. The last one is how JSON escapes a character.
    std::vector<LiteralPlaces> opens_within;
    std::uint32_t docker_text = 0, first_json_text = 0, escape_text = 0;
    std::vector<std::uint64_t> json;        // the checks that such an escape could hide a line from
    std::vector<std::uint64_t> every_line;  // the checks that no text is known for
    bool looks_at_every_line = false;       // for these, or for rules that join lines

    // For each byte that a text may begin with, and last for an empty text: the set of checks that
    // this does not rule out.
    std::vector<std::uint64_t> may_begin;
    // What checks require, by number.
    std::vector<std::vector<LiteralSet>> required;
    // Checks that cost much to try: those that are not quick. First all that they require is asked
    // for, but for a set that holds whatever the gate opens for: a text of each that is left.
    std::vector<std::uint64_t> costly;
    std::vector<std::vector<std::vector<TextFinder>>> still_required;
};

// The caller gives the first four, then calls `prepare`. Hits point into `rules`.
struct Ruleset {
    std::vector<Rule> rules;
    Zone zone;  // of dates that name none
    Escapes escapes = Escapes::automatic;
    std::size_t line_limit = 65536;  // bytes; the rest of a longer line is not looked at

    Prepared prepared;
};

// For the set's program and its DFA, in bytes. What does not fit is matched one by one, so this
// bounds memory, not results.
inline constexpr std::int64_t default_set_memory = 16 << 20;

struct PrepareOptions {
    std::int64_t set_memory = default_set_memory;
    bool prefilter = true;  // false: every line is tried against all; the hits are the same
};

// To be called once the rules are in, and again when they change. A set too large for RE2 is left
// out, and its patterns are tried one by one.
void prepare(Ruleset& ruleset, const PrepareOptions& options = {});

// The patterns of a filter for which every line must be looked at, as no text is in all that they
// match; or all, if the filter looks at several lines at once.
std::vector<std::string> patterns_without_literal(const Filter& filter);

// The row of Prepared::may_begin for an empty text.
inline constexpr std::size_t row_of_empty_text = 256;
// Fewer patterns than this are tried one by one without asking the set first.
inline constexpr std::size_t least_for_set = 4;

}  // namespace bandd
