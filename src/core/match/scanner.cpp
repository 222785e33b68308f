// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/match/scanner.h"

#include <algorithm>

namespace bandd {
namespace {

// Set indexes that match, in order. Everything, if the set is missing or its DFA ran out of memory:
// `Match` then returns false, and an attacker who causes that must not get through.
void find_candidates(const Ruleset::View& view, std::string_view message, Scratch& scratch) {
    scratch.matched.clear();
    if (view.set) {
        RE2::Set::ErrorInfo error{};
        if (view.set->Match(re2::StringPiece(message.data(), message.size()), &scratch.matched,
                            &error)) {
            std::ranges::sort(scratch.matched);
            return;
        }
        if (error.kind == RE2::Set::kNoError) return;
        ++scratch.counts.set_failures;
        scratch.matched.clear();
    }
    for (std::size_t i = 0; i < view.at.size(); ++i) scratch.matched.push_back(static_cast<int>(i));
}

struct Line {
    std::string_view raw;
    Instant arrival;
    std::optional<Instant> time;
    const std::optional<Address>& sender;
};

// The field of a hit that tells which machine sent the message.
constexpr const char* sender_field = "log_sender";

bool accepts_sender(const Filter& filter, const Line& line) {
    return filter.senders.empty() || (line.sender && filter.senders.contains(*line.sender));
}

void add_hit(const Rule& rule, const Line& line, Scratch& scratch, std::vector<Hit>& hits) {
    FilterMatch& found = scratch.found;
    if (found.fate == LineFate::ignored) {
        ++scratch.counts.ignored;
        return;
    }
    ++scratch.counts.hits;
    if (!line.time) ++scratch.counts.undated;
    if (line.sender) found.captured.fields.emplace_back(sender_field, to_string(*line.sender));
    hits.push_back({rule.jails,
                    rule.filter.get(),
                    found.pattern,
                    line.time.value_or(line.arrival),
                    line.arrival,
                    found.captured.address,
                    std::move(found.captured.name),
                    std::move(found.captured.fields),
                    line.raw,
                    {},
                    line.time.has_value()});
}

void scan_messages(const Ruleset& ruleset, const Ruleset::View& view, const Envelope& envelope,
                   const Line& line, Scratch& scratch, std::vector<Hit>& hits) {
    std::string_view message = message_of(envelope, ruleset.escapes, scratch.message);
    find_candidates(view, message, scratch);
    if (scratch.matched.empty()) return;
    ++scratch.counts.candidates;
    std::size_t done_rule = SIZE_MAX;  // a rule gives at most one hit a line
    std::size_t tag_rule = SIZE_MAX;
    bool tag_fits = false;
    for (int index : scratch.matched) {
        auto [rule_index, pattern_index] = view.at[static_cast<std::size_t>(index)];
        if (rule_index == done_rule) continue;
        const Rule& rule = ruleset.rules[rule_index];
        if (tag_rule != rule_index) {
            tag_rule = rule_index;
            tag_fits =
                accepts_tag(*rule.filter, envelope.tag) && accepts_sender(*rule.filter, line);
        }
        if (!tag_fits) continue;
        scratch.found = {};
        const Pattern& pattern = rule.filter->patterns[pattern_index];
        if (!match_pattern(*rule.filter, pattern, message, scratch.found)) {
            if (scratch.found.fate == LineFate::no_address) ++scratch.counts.no_address;
            continue;
        }
        done_rule = rule_index;
        add_hit(rule, line, scratch, hits);
    }
}

void scan_undated(const Ruleset& ruleset, const Ruleset::View& view, const Seen& seen,
                  const Line& line, Scratch& scratch, std::vector<Hit>& hits) {
    for (std::uint32_t rule_index : view.joining) {
        const Rule& rule = ruleset.rules[rule_index];
        if (!accepts_sender(*rule.filter, line)) continue;
        Fields fields;
        if (line.sender) fields.emplace_back(sender_field, to_string(*line.sender));
        hits.push_back({rule.jails,
                        rule.filter.get(),
                        nullptr,
                        line.time.value_or(line.arrival),
                        line.arrival,
                        {},
                        {},
                        std::move(fields),
                        line.raw,
                        std::string(seen.text),
                        line.time.has_value()});
    }
    find_candidates(view, seen.text, scratch);
    std::vector<std::uint32_t>& rules = scratch.rules;
    rules = view.always;
    for (int index : scratch.matched)
        rules.push_back(view.at[static_cast<std::size_t>(index)].first);
    if (rules.empty()) return;
    ++scratch.counts.candidates;
    std::ranges::sort(rules);
    auto last = std::unique(rules.begin(), rules.end());
    for (auto it = rules.begin(); it != last; ++it) {
        const Rule& rule = ruleset.rules[*it];
        if (!accepts_sender(*rule.filter, line)) continue;
        scratch.found = match(*rule.filter, {}, seen.text);
        switch (scratch.found.fate) {
            case LineFate::no_address:
                ++scratch.counts.no_address;
                break;
            case LineFate::gave_up:
                ++scratch.counts.gave_up;
                break;
            case LineFate::hit:
            case LineFate::ignored:
                add_hit(rule, line, scratch, hits);
                break;
            case LineFate::no_match:
            case LineFate::wrong_tag:
                break;
        }
    }
}

void scan_line(const Ruleset& ruleset, std::string_view raw, const std::optional<Address>& sender,
               Arrival mode, Instant now, Scratch& scratch, std::vector<Hit>& hits) {
    ++scratch.counts.lines;
    Envelope envelope = open_line(raw, ruleset.zone, now, scratch.contained);
    if (envelope.tag == own_tag) return;
    // fail2ban's dates are looked for at most once for each set of patterns.
    std::optional<Seen> seen;
    auto look = [&](const Ruleset::View& view) {
        const Rule& any = ruleset.rules[!view.at.empty()       ? view.at.front().first
                                        : !view.always.empty() ? view.always.front()
                                                               : view.joining.front()];
        seen = see(*any.filter, raw, ruleset.zone, now, ruleset.escapes, scratch.message);
    };
    std::optional<Instant> time = envelope.time;
    if (!time && !ruleset.views.empty() && ruleset.views.back().dialect == Dialect::fail2ban) {
        look(ruleset.views.back());
        time = seen->time;
    }
    Instant arrival = now;
    if (mode == Arrival::log_time && time) {
        scratch.latest = std::min(std::max(scratch.latest, *time), now);
        arrival = scratch.latest;
    } else if (mode == Arrival::log_time && scratch.latest.us != INT64_MIN) {
        arrival = scratch.latest;
    }
    for (const Ruleset::View& view : ruleset.views) {
        if (view.dialect == Dialect::bandd) {
            scan_messages(ruleset, view, envelope, {raw, arrival, envelope.time, sender}, scratch,
                          hits);
        } else {
            look(view);
            scan_undated(ruleset, view, *seen, {raw, arrival, seen->time, sender}, scratch, hits);
        }
    }
}

}  // namespace

void prepare(Ruleset& ruleset, std::int64_t set_memory) {
    ruleset.views.clear();
    auto view_of = [&](const Filter& filter) -> Ruleset::View& {
        for (Ruleset::View& view : ruleset.views)
            if (view.dialect == filter.dialect && view.dates == filter.dates) return view;
        // bandd's dialect comes first: it needs no second look for a date.
        auto place = filter.dialect == Dialect::bandd ? ruleset.views.begin() : ruleset.views.end();
        return *ruleset.views.insert(place,
                                     Ruleset::View{filter.dialect, filter.dates, {}, {}, {}, {}});
    };
    for (std::uint32_t i = 0; i < ruleset.rules.size(); ++i) {
        const Filter& filter = *ruleset.rules[i].filter;
        Ruleset::View& view = view_of(filter);
        if (filter.lines > 1) {
            view.joining.push_back(i);
        } else if (filter.prefix) {
            if (filter.prefix->re2)
                view.at.emplace_back(i, 0);
            else
                view.always.push_back(i);
        } else {
            bool all = std::ranges::all_of(filter.patterns,
                                           [](const Pattern& p) { return p.re2 != nullptr; });
            for (std::uint32_t j = 0; all && j < filter.patterns.size(); ++j)
                view.at.emplace_back(i, j);
            if (!all) view.always.push_back(i);
        }
    }
    for (Ruleset::View& view : ruleset.views) {
        RE2::Options options = pattern_options();
        options.set_dot_nl(view.dialect == Dialect::bandd);
        options.set_max_mem(set_memory);
        view.set = std::make_unique<RE2::Set>(options, RE2::UNANCHORED);
        bool usable = !view.at.empty();
        for (auto [rule, pattern] : view.at) {
            const Filter& filter = *ruleset.rules[rule].filter;
            const Pattern& one = filter.prefix ? *filter.prefix : filter.patterns[pattern];
            usable = view.set->Add(one.regex, nullptr) >= 0 && usable;
        }
        if (!usable || !view.set->Compile()) view.set.reset();
    }
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
        if (!line.empty()) scan_line(ruleset, line, chunk.sender, mode, now, scratch, hits);
    }
}

}  // namespace bandd
