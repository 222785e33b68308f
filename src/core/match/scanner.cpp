// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/match/scanner.h"

#include <algorithm>

#include "core/text/unescape.h"

namespace bandd {
namespace {

// Set indexes that match, in order. Everything, if the set is missing or its DFA ran out of memory:
// `Match` then returns false, and an attacker who causes that must not get through.
void find_candidates(const Ruleset& ruleset, std::string_view message, Scratch& scratch) {
    scratch.matched.clear();
    if (ruleset.set) {
        RE2::Set::ErrorInfo error{};
        if (ruleset.set->Match(re2::StringPiece(message.data(), message.size()), &scratch.matched,
                               &error)) {
            std::ranges::sort(scratch.matched);
            return;
        }
        if (error.kind == RE2::Set::kNoError) return;
        ++scratch.counts.set_failures;
        scratch.matched.clear();
    }
    for (std::size_t i = 0; i < ruleset.at.size(); ++i)
        scratch.matched.push_back(static_cast<int>(i));
}

void scan_line(const Ruleset& ruleset, std::string_view line, Arrival mode, Instant now,
               Scratch& scratch, std::vector<Hit>& hits) {
    ++scratch.counts.lines;
    Envelope envelope = open_envelope(line, ruleset.zone, now);
    if (envelope.tag == own_tag) return;
    Instant arrival = now;
    if (mode == Arrival::log_time && envelope.time) {
        scratch.latest = std::min(std::max(scratch.latest, *envelope.time), now);
        arrival = scratch.latest;
    } else if (mode == Arrival::log_time && scratch.latest.us != INT64_MIN) {
        arrival = scratch.latest;
    }
    std::string_view message = envelope.message;
    bool escaped = ruleset.escapes == Escapes::undo ||
                   (ruleset.escapes == Escapes::automatic && envelope.syslog);
    if (escaped && has_escape(message)) {
        scratch.message.clear();
        unescape(message, scratch.message);
        message = scratch.message;
    }
    if (message.ends_with('\r')) message.remove_suffix(1);

    find_candidates(ruleset, message, scratch);
    if (scratch.matched.empty()) return;
    ++scratch.counts.candidates;
    std::size_t done_rule = SIZE_MAX;  // a rule gives at most one hit a line
    std::size_t tag_rule = SIZE_MAX;
    bool tag_fits = false;
    for (int index : scratch.matched) {
        auto [rule_index, pattern_index] = ruleset.at[static_cast<std::size_t>(index)];
        if (rule_index == done_rule) continue;
        const Rule& rule = ruleset.rules[rule_index];
        if (tag_rule != rule_index) {
            tag_rule = rule_index;
            tag_fits = accepts_tag(*rule.filter, envelope.tag);
        }
        if (!tag_fits) continue;
        scratch.found = {};
        const Pattern& pattern = rule.filter->patterns[pattern_index];
        if (!match_pattern(*rule.filter, pattern, message, scratch.found)) {
            if (scratch.found.fate == LineFate::no_address) ++scratch.counts.no_address;
            continue;
        }
        done_rule = rule_index;
        if (scratch.found.fate == LineFate::ignored) {
            ++scratch.counts.ignored;
            continue;
        }
        ++scratch.counts.hits;
        if (!envelope.time) ++scratch.counts.undated;
        hits.push_back({rule.jails, &pattern, envelope.time.value_or(arrival), arrival,
                        scratch.found.captured.address, std::move(scratch.found.captured.fields),
                        line});
    }
}

}  // namespace

void prepare(Ruleset& ruleset, std::int64_t set_memory) {
    RE2::Options options = pattern_options();
    options.set_max_mem(set_memory);
    ruleset.set = std::make_unique<RE2::Set>(options, RE2::UNANCHORED);
    ruleset.at.clear();
    bool usable = true;
    for (std::uint32_t i = 0; i < ruleset.rules.size(); ++i) {
        const auto& patterns = ruleset.rules[i].filter->patterns;
        for (std::uint32_t j = 0; j < patterns.size(); ++j) {
            usable = ruleset.set->Add(patterns[j].regex, nullptr) >= 0 && usable;
            ruleset.at.emplace_back(i, j);
        }
    }
    if (!usable || ruleset.at.empty() || !ruleset.set->Compile()) ruleset.set.reset();
}

void scan(const Ruleset& ruleset, const Chunk& chunk, Arrival mode, Instant now, Scratch& scratch,
          std::vector<Hit>& hits) {
    std::string_view rest = chunk.bytes;
    while (!rest.empty()) {
        auto end = rest.find('\n');
        std::string_view line = rest.substr(0, end);
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
        if (line.size() > ruleset.line_limit) {
            line = line.substr(0, ruleset.line_limit);
            ++scratch.counts.cut;
        }
        if (!line.empty()) scan_line(ruleset, line, mode, now, scratch, hits);
    }
}

}  // namespace bandd
