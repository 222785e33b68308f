// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/match/scanner.h"

#include <algorithm>
#include <array>

#include "core/text/docker.h"

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

// Of those that see a line alike.
std::uint32_t any_rule_of(const Ruleset::View& view) {
    return !view.at.empty()       ? view.at.front().first
           : !view.always.empty() ? view.always.front()
                                  : view.joining.front();
}

struct Line {
    std::string_view raw;
    Instant now;
    std::optional<Instant> time;
    const std::optional<Address>& sender;
};

// A set of targets, as bits.
using Targets = const std::uint64_t*;
bool has(Targets targets, std::uint32_t target) {
    return (targets[target / 64] >> target % 64 & 1) != 0;
}

// Fewer patterns than this are tried one by one without asking the set first.
constexpr std::size_t least_for_set = 4;

// The field of a hit that tells which machine sent the message.
constexpr const char* sender_field = "log_sender";

bool accepts_sender(const Filter& filter, const Line& line) {
    return filter.senders.empty() || (line.sender && filter.senders.contains(*line.sender));
}

// Set indexes of a view that are among the targets, in order, into scratch.matched.
void find_wanted(const Ruleset::View& view, Targets targets, Scratch& scratch) {
    scratch.matched.clear();
    for (std::uint32_t i = 0; i < view.at.size(); ++i)
        if (has(targets, view.first_target + i)) scratch.matched.push_back(static_cast<int>(i));
}

// The same, but if they are many, only those that the set finds to match.
void find_matching(const Ruleset::View& view, Targets targets, std::string_view message,
                   Scratch& scratch) {
    find_wanted(view, targets, scratch);
    if (scratch.matched.size() < least_for_set) return;
    find_candidates(view, message, scratch);
    std::erase_if(scratch.matched, [&](int index) {
        return !has(targets, view.first_target + static_cast<std::uint32_t>(index));
    });
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
                    line.time.value_or(line.now),
                    line.now,
                    found.captured.address,
                    std::move(found.captured.name),
                    std::move(found.captured.fields),
                    line.raw,
                    {},
                    line.time.has_value()});
}

void scan_messages(const Ruleset& ruleset, const Ruleset::View& view, const Envelope& envelope,
                   const Line& line, Targets targets, Scratch& scratch, std::vector<Hit>& hits) {
    std::string_view message = message_of(envelope, ruleset.escapes, scratch.message);
    find_matching(view, targets, message, scratch);
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
                  const Line& line, Targets targets, Scratch& scratch, std::vector<Hit>& hits) {
    for (std::uint32_t rule_index : view.joining) {
        const Rule& rule = ruleset.rules[rule_index];
        if (!accepts_sender(*rule.filter, line)) continue;
        Fields fields;
        if (line.sender) fields.emplace_back(sender_field, to_string(*line.sender));
        hits.push_back({rule.jails,
                        rule.filter.get(),
                        nullptr,
                        line.time.value_or(line.now),
                        line.now,
                        {},
                        {},
                        std::move(fields),
                        line.raw,
                        std::string(seen.text),
                        line.time.has_value()});
    }
    find_matching(view, targets, seen.text, scratch);
    std::vector<std::uint32_t>& rules = scratch.rules;
    rules.clear();
    auto behind = static_cast<std::uint32_t>(view.first_target + view.at.size());
    for (std::uint32_t i = 0; i < view.always.size(); ++i)
        if (has(targets, behind + i)) rules.push_back(view.always[i]);
    for (int index : scratch.matched)
        rules.push_back(view.at[static_cast<std::size_t>(index)].first);
    if (rules.empty()) return;
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

bool wants(const Ruleset::View& view, Targets targets) {
    auto end = static_cast<std::uint32_t>(view.first_target + view.at.size() + view.always.size());
    for (std::uint32_t target = view.first_target; target < end; ++target)
        if (has(targets, target)) return true;
    return !view.joining.empty();
}

void scan_line(const Ruleset& ruleset, std::string_view raw, const std::optional<Address>& sender,
               Targets targets, Instant now, Scratch& scratch, std::vector<Hit>& hits) {
    ++scratch.counts.candidates;
    Envelope envelope = open_line(raw, ruleset.zone, now, scratch.contained);
    if (envelope.tag == own_tag) return;
    for (const Ruleset::View& view : ruleset.views) {
        if (!wants(view, targets)) continue;
        if (view.dialect == Dialect::bandd) {
            scan_messages(ruleset, view, envelope, {raw, now, envelope.time, sender}, targets,
                          scratch, hits);
            continue;
        }
        const Rule& any = ruleset.rules[any_rule_of(view)];
        Seen seen = see(*any.filter, raw, ruleset.zone, now, ruleset.escapes, scratch.message);
        scan_undated(ruleset, view, seen, {raw, now, seen.time, sender}, targets, scratch, hits);
    }
}

// The lines of a chunk that hold what a target asks for, with these targets.
bool find_candidate_lines(const Ruleset& ruleset, std::string_view bytes, Scratch& scratch) {
    scratch.literal_hits.clear();
    scratch.candidates.clear();
    scratch.targets.clear();
    if (!ruleset.literals->find(bytes, scratch.literals, scratch.literal_hits)) return false;
    if (!std::ranges::is_sorted(scratch.literal_hits, {}, &LiteralHit::end))
        std::ranges::sort(scratch.literal_hits, {}, &LiteralHit::end);
    std::vector<std::uint64_t>& seen = scratch.seen;
    std::size_t begin = 0;
    std::size_t end = 0;  // of the line looked at; a literal holds no line end
    bool any = false;
    auto end_line = [&] {
        if (!any) return;
        any = false;
        std::uint64_t wanted = 0;
        for (std::size_t i = 0; i < ruleset.words; ++i) wanted |= seen[i] & seen[ruleset.words + i];
        if (wanted == 0) return;
        scratch.candidates.push_back(
            {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)});
        for (std::size_t i = 0; i < ruleset.words; ++i)
            scratch.targets.push_back(seen[i] & seen[ruleset.words + i]);
    };
    for (const LiteralHit& hit : scratch.literal_hits) {
        if (hit.end > end) {
            end_line();
            auto before = bytes.rfind('\n', hit.end - 1);
            begin = before == std::string_view::npos ? 0 : before + 1;
            end = std::min(bytes.find('\n', hit.end), bytes.size());
            seen = ruleset.unasked;
            any = true;
        }
        if (hit.end - begin > ruleset.line_limit) continue;
        if (hit.literal == ruleset.docker_literal) {
            // Within what a container said, these escapes may hide any literal.
            std::string_view line = bytes.substr(begin, end - begin);
            if (line.starts_with(docker_head) && (line.find("\\u00") != std::string_view::npos ||
                                                  line.find("\\/") != std::string_view::npos))
                std::ranges::fill(seen, ~std::uint64_t{0});
            continue;
        }
        for (std::uint32_t one : ruleset.speaks_for[hit.literal]) {
            std::size_t target = one / 2;
            seen[(one % 2) * ruleset.words + target / 64] |= std::uint64_t{1} << target % 64;
        }
    }
    end_line();
    return true;
}

// 64 sums side by side, which the compiler keeps in vector registers; each fits a byte for 255
// rounds.
std::uint64_t count_line_ends(std::string_view bytes) {
    constexpr std::size_t lanes = 64;
    constexpr std::size_t most_rounds = 255;
    std::uint64_t count = 0;
    while (bytes.size() >= lanes) {
        std::size_t rounds = std::min(bytes.size() / lanes, most_rounds);
        std::array<std::uint8_t, lanes> sums{};
        for (std::size_t round = 0; round < rounds; ++round)
            for (std::size_t lane = 0; lane < lanes; ++lane)
                sums[lane] = static_cast<std::uint8_t>(
                    sums[lane] + (bytes[round * lanes + lane] == '\n' ? 1 : 0));
        for (std::uint8_t sum : sums) count += sum;
        bytes.remove_prefix(rounds * lanes);
    }
    return count + static_cast<std::uint64_t>(std::ranges::count(bytes, '\n'));
}

// Line ends, and lines that are longer than the limit.
void count_lines(std::string_view bytes, std::size_t limit, ScanCounts& counts) {
    counts.lines += count_line_ends(bytes);
    if (!bytes.empty() && bytes.back() != '\n') ++counts.lines;
    while (bytes.size() > limit) {
        auto last = bytes.rfind('\n', limit);
        if (last != std::string_view::npos) {
            bytes.remove_prefix(last + 1);
            continue;
        }
        ++counts.cut;
        auto end = bytes.find('\n');
        bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
    }
}

// What a whole filter requires: one of its patterns, and its prefix.
std::vector<LiteralSet> required_by(const Filter& filter) {
    std::vector<LiteralSet> sets;
    LiteralSet all;
    for (const Pattern& pattern : filter.patterns) {
        auto some = required_literals(pattern);
        if (some.empty() || all.size() + some[0].size() > 4 * most_literals) {
            all.clear();
            break;
        }
        all.insert(all.end(), some[0].begin(), some[0].end());
    }
    if (!all.empty()) sets.push_back(std::move(all));
    if (filter.prefix) {
        auto some = required_literals(*filter.prefix);
        if (!some.empty()) sets.push_back(std::move(some[0]));
    }
    return sets;
}

void prepare_literals(Ruleset& ruleset, const PrepareOptions& options) {
    std::uint32_t targets = 0;
    ruleset.literals.reset();
    ruleset.speaks_for.clear();
    ruleset.looks_at_every_line = false;
    for (Ruleset::View& view : ruleset.views) {
        view.first_target = targets;
        targets += static_cast<std::uint32_t>(view.at.size() + view.always.size());
        ruleset.looks_at_every_line = ruleset.looks_at_every_line || !view.joining.empty();
    }
    ruleset.words = (targets + 63) / 64;
    ruleset.unasked.assign(2 * ruleset.words, 0);
    ruleset.every_line.assign(ruleset.words, 0);
    LiteralSet literals;
    auto add = [&](std::uint32_t target, const std::vector<LiteralSet>& sets) {
        std::uint64_t bit = std::uint64_t{1} << target % 64;
        for (std::uint32_t set = 0; set < 2; ++set) {
            if (set >= sets.size()) {
                ruleset.unasked[set * ruleset.words + target / 64] |= bit;
                continue;
            }
            for (const Literal& literal : sets[set]) {
                auto known = std::ranges::find(literals, literal);
                auto index = static_cast<std::size_t>(known - literals.begin());
                if (known == literals.end()) {
                    literals.push_back(literal);
                    ruleset.speaks_for.emplace_back();
                }
                ruleset.speaks_for[index].push_back(target * 2 + set);
            }
        }
        if (!sets.empty()) return;
        ruleset.every_line[target / 64] |= bit;
        ruleset.looks_at_every_line = true;
    };
    for (const Ruleset::View& view : ruleset.views) {
        std::uint32_t target = view.first_target;
        for (auto [rule, pattern] : view.at) {
            const Filter& filter = *ruleset.rules[rule].filter;
            add(target++,
                filter.prefix ? required_by(filter) : required_literals(filter.patterns[pattern]));
        }
        for (std::uint32_t rule : view.always)
            add(target++, required_by(*ruleset.rules[rule].filter));
    }
    if (literals.empty() || !options.prefilter) return;
    ruleset.docker_literal = static_cast<std::uint32_t>(literals.size());
    literals.push_back({std::string(docker_head), false});
    ruleset.literals = make_literal_scan(literals, options.engine);
}

}  // namespace

void prepare(Ruleset& ruleset, const PrepareOptions& options) {
    ruleset.views.clear();
    auto view_of = [&](const Filter& filter) -> Ruleset::View& {
        for (Ruleset::View& view : ruleset.views)
            if (view.dialect == filter.dialect && view.dates == filter.dates) return view;
        // bandd's dialect comes first: it needs no second look for a date.
        auto place = filter.dialect == Dialect::bandd ? ruleset.views.begin() : ruleset.views.end();
        return *ruleset.views.insert(
            place, Ruleset::View{filter.dialect, filter.dates, {}, {}, {}, {}, 0});
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
        RE2::Options re2_options = pattern_options();
        re2_options.set_dot_nl(view.dialect == Dialect::bandd);
        re2_options.set_max_mem(options.set_memory);
        view.set = std::make_unique<RE2::Set>(re2_options, RE2::UNANCHORED);
        bool usable = !view.at.empty();
        for (auto [rule, pattern] : view.at) {
            const Filter& filter = *ruleset.rules[rule].filter;
            const Pattern& one = filter.prefix ? *filter.prefix : filter.patterns[pattern];
            usable = view.set->Add(one.regex, nullptr) >= 0 && usable;
        }
        if (!usable || !view.set->Compile()) view.set.reset();
    }
    prepare_literals(ruleset, options);
}

std::vector<std::string> patterns_without_literal(const Filter& filter) {
    std::vector<std::string> without;
    bool covered =
        filter.dialect == Dialect::fail2ban && filter.lines == 1 && !required_by(filter).empty();
    if (covered) return without;
    for (const Pattern& pattern : filter.patterns)
        if (filter.lines > 1 || required_literals(pattern).empty()) without.push_back(pattern.id);
    return without;
}

void scan(const Ruleset& ruleset, const Chunk& chunk, Instant now, Scratch& scratch,
          std::vector<Hit>& hits) {
    std::string_view bytes = chunk.bytes;
    count_lines(bytes, ruleset.line_limit, scratch.counts);
    scratch.all_targets.assign(ruleset.words, ~std::uint64_t{0});
    bool searched = ruleset.literals && find_candidate_lines(ruleset, bytes, scratch);
    auto look_at = [&](std::size_t begin, std::size_t end, Targets targets) {
        std::string_view line = bytes.substr(begin, end - begin).substr(0, ruleset.line_limit);
        if (!line.empty()) scan_line(ruleset, line, chunk.sender, targets, now, scratch, hits);
    };
    if (searched && !ruleset.looks_at_every_line) {
        for (std::size_t i = 0; i < scratch.candidates.size(); ++i)
            look_at(scratch.candidates[i].begin, scratch.candidates[i].end,
                    scratch.targets.data() + i * ruleset.words);
        return;
    }
    std::size_t next = 0;
    for (std::size_t begin = 0; begin < bytes.size();) {
        std::size_t end = std::min(bytes.find('\n', begin), bytes.size());
        Targets targets = searched ? ruleset.every_line.data() : scratch.all_targets.data();
        if (searched && next < scratch.candidates.size() && scratch.candidates[next].begin == begin)
            targets = scratch.targets.data() + next++ * ruleset.words;
        look_at(begin, end, targets);
        begin = end + 1;
    }
}

void arrive_in_log_time(std::span<Hit> hits, Instant now, Instant& latest) {
    for (Hit& hit : hits) {
        if (hit.dated) latest = std::min(std::max(latest, hit.time), now);
        if (latest.us != INT64_MIN) hit.arrival = latest;
        if (!hit.dated) hit.time = hit.arrival;
    }
}

std::optional<Instant> last_time(const Ruleset& ruleset, std::string_view bytes, Instant now) {
    while (bytes.ends_with('\n')) bytes.remove_suffix(1);
    auto before = bytes.rfind('\n');
    std::string_view line = before == std::string_view::npos ? bytes : bytes.substr(before + 1);
    std::string buffer;
    if (auto time = open_line(line, ruleset.zone, now, buffer).time) return time;
    for (const Ruleset::View& view : ruleset.views) {
        if (view.dialect != Dialect::fail2ban) continue;
        const Rule& any = ruleset.rules[any_rule_of(view)];
        if (auto time = see(*any.filter, line, ruleset.zone, now, ruleset.escapes, buffer).time)
            return time;
    }
    return {};
}

}  // namespace bandd
