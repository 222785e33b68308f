// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/match/scanner.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "core/base/ascii.h"
#include "core/text/docker.h"

namespace bandd {
namespace {

// Of those that see a line alike.
std::uint32_t any_rule_of(const Ruleset::View& view) {
    return !view.at.empty()       ? view.at.front().first
           : !view.always.empty() ? view.always.front()
                                  : view.joining.front();
}

struct Line {
    std::string_view raw;
    std::optional<Instant> time;
    const std::optional<Address>& sender;
};

// A set of targets, as bits.
using Targets = const std::uint64_t*;

void set_bit(std::uint64_t* set, std::uint32_t target) {
    set[target / 64] |= std::uint64_t{1} << target % 64;
}
bool has_bit(Targets set, std::uint32_t target) {
    return (set[target / 64] >> target % 64 & 1) != 0;
}

// Calls `visit` for those of `targets` from `first` on and before `end`, in order.
template <class Visit>
void for_targets(Targets targets, std::uint32_t first, std::uint32_t end, const Visit& visit) {
    for (std::uint32_t word = first / 64; word * 64 < end; ++word) {
        std::uint64_t bits = targets[word];
        if (word == first / 64) bits &= ~std::uint64_t{0} << first % 64;
        if (end - word * 64 < 64) bits &= ~(~std::uint64_t{0} << (end - word * 64));
        for (; bits != 0; bits &= bits - 1)
            visit(word * 64 + static_cast<std::uint32_t>(std::countr_zero(bits)));
    }
}

constexpr std::size_t empty_text = 256;  // its row of `may_begin`

Targets that_may_match(const Ruleset& ruleset, Targets targets, std::string_view text,
                       std::vector<std::uint64_t>& which) {
    std::size_t row = text.empty() ? empty_text : static_cast<unsigned char>(text.front());
    which.resize(ruleset.words);
    for (std::size_t i = 0; i < ruleset.words; ++i)
        which[i] = targets[i] & ruleset.may_begin[row * ruleset.words + i];
    return which.data();
}

// Fewer patterns than this are tried one by one without asking the set first.
constexpr std::size_t least_for_set = 4;

// The field of a hit that tells which machine sent the message.
constexpr const char* sender_field = "log_sender";

bool accepts_sender(const Filter& filter, const Line& line) {
    return filter.senders.empty() || (line.sender && filter.senders.contains(*line.sender));
}

// What of a view's `at` is among the targets, in order, into scratch.matched; if many of these are
// not quick, only those that the set finds to match.
void find_matching(const Ruleset::View& view, Targets targets, std::string_view message,
                   Scratch& scratch) {
    std::vector<std::uint32_t>& matched = scratch.matched;
    matched.clear();
    std::size_t slow = 0;
    auto end = static_cast<std::uint32_t>(view.first_target + view.at.size());
    for_targets(targets, view.first_target, end, [&](std::uint32_t target) {
        matched.push_back(target - view.first_target);
        slow += view.quick[matched.back()] ? 0 : 1;
    });
    if (slow < least_for_set || !view.set) return;
    RE2::Set::ErrorInfo error{};
    scratch.set_matched.clear();
    if (!view.set->Match(re2::StringPiece(message.data(), message.size()), &scratch.set_matched,
                         &error) &&
        error.kind != RE2::Set::kNoError) {
        // Its DFA ran out of memory. An attacker who causes that must not get through.
        ++scratch.counts.set_failures;
        return;
    }
    std::erase_if(matched, [&](std::uint32_t index) {
        return !view.quick[index] && std::ranges::none_of(scratch.set_matched, [&](int found) {
            return view.in_set[static_cast<std::size_t>(found)] == index;
        });
    });
}

// A hit of which only the line is known yet.
Hit& new_hit(const Rule& rule, const Line& line, Hits& hits) {
    Hit& hit = hits.add();
    hit.rule = &rule;
    hit.pattern = nullptr;
    hit.time = line.time.value_or(Instant{});
    hit.line = line.raw;
    hit.address.reset();
    hit.dated = line.time.has_value();
    hit.fields.clear();
    clear_kept(hit.text);
    return hit;
}

void add_hit(const Rule& rule, const Line& line, Scratch& scratch, Hits& hits) {
    FilterMatch& found = scratch.found;
    if (found.fate == LineFate::ignored) {
        ++scratch.counts.ignored;
        return;
    }
    ++scratch.counts.hits;
    if (!line.time) ++scratch.counts.undated;
    if (line.sender) found.captured.fields.add(sender_field, to_string(*line.sender));
    Hit& hit = new_hit(rule, line, hits);
    hit.pattern = found.pattern;
    hit.address = found.captured.address;
    if (!found.captured.name.empty()) hit.text.swap(found.captured.name);
    // Exchanged, so that memory stays with both; but not for nothing.
    if (!found.captured.fields.empty()) std::swap(hit.fields, found.captured.fields);
}

void scan_messages(const Ruleset& ruleset, const Ruleset::View& view, const Envelope& envelope,
                   const Line& line, Targets targets, Scratch& scratch, Hits& hits) {
    std::string_view message = message_of(envelope, ruleset.escapes, scratch.message);
    find_matching(view, that_may_match(ruleset, targets, message, scratch.beginning), message,
                  scratch);
    TagMemo::Row tags = scratch.tags.row(envelope.tag);
    std::size_t done_rule = SIZE_MAX;  // a rule gives at most one hit a line
    std::size_t tag_rule = SIZE_MAX;
    bool tag_fits = false;
    for (std::uint32_t index : scratch.matched) {
        auto [rule_index, pattern_index] = view.at[index];
        if (rule_index == done_rule) continue;
        const Rule& rule = ruleset.rules[rule_index];
        const Pattern& pattern = rule.filter->patterns[pattern_index];
        if (tag_rule != rule_index) {
            tag_rule = rule_index;
            tag_fits = tags.accepts(rule_index, *rule.filter) && accepts_sender(*rule.filter, line);
        }
        if (!tag_fits) continue;
        scratch.found.fate = LineFate::no_match;
        if (!match_pattern(*rule.filter, pattern, message, scratch.found)) {
            if (scratch.found.fate == LineFate::no_address) ++scratch.counts.no_address;
            continue;
        }
        done_rule = rule_index;
        add_hit(rule, line, scratch, hits);
    }
}

void scan_undated(const Ruleset& ruleset, const Ruleset::View& view, const Seen& seen,
                  const Line& line, Targets targets, Scratch& scratch, Hits& hits) {
    for (std::uint32_t rule_index : view.joining) {
        const Rule& rule = ruleset.rules[rule_index];
        if (!accepts_sender(*rule.filter, line)) continue;
        Hit& hit = new_hit(rule, line, hits);
        if (line.sender) hit.fields.add(sender_field, to_string(*line.sender));
        hit.text = seen.text;
    }
    find_matching(view, targets, seen.text, scratch);
    std::vector<std::uint32_t>& rules = scratch.rules;
    rules.clear();
    auto behind = static_cast<std::uint32_t>(view.first_target + view.at.size());
    for_targets(targets, behind, behind + static_cast<std::uint32_t>(view.always.size()),
                [&](std::uint32_t target) { rules.push_back(view.always[target - behind]); });
    for (std::uint32_t index : scratch.matched) rules.push_back(view.at[index].first);
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
    bool any = !view.joining.empty();
    for_targets(targets, view.first_target, end, [&](std::uint32_t) { any = true; });
    return any;
}

void scan_line(const Ruleset& ruleset, std::string_view raw, const std::optional<Address>& sender,
               Targets targets, Instant now, Scratch& scratch, Hits& hits) {
    ++scratch.counts.candidates;
    Envelope envelope = open_line(raw, ruleset.zone, now, scratch.contained, &scratch.last_head);
    if (envelope.tag == own_tag) return;
    for (const Ruleset::View& view : ruleset.views) {
        if (!wants(view, targets)) continue;
        if (view.dialect == Dialect::bandd) {
            scan_messages(ruleset, view, envelope, {raw, envelope.time, sender}, targets, scratch,
                          hits);
            continue;
        }
        const Rule& any = ruleset.rules[any_rule_of(view)];
        Seen seen = see(*any.filter, raw, ruleset.zone, now, ruleset.escapes, scratch.message);
        scan_undated(ruleset, view, seen, {raw, seen.time, sender}, targets, scratch, hits);
    }
}

bool stands_in(std::string_view line, const Literal& literal) {
    if (!literal.any_case)
        return ::memmem(line.data(), line.size(), literal.text.data(), literal.text.size()) !=
               nullptr;
    auto same = [](char a, char b) { return ascii_lower(a) == b; };
    return !std::ranges::search(line, literal.text, same).empty();
}

// A text of each set stands in the line. Of a single set one does: the gate opens for no other
// line.
bool holds_required(std::string_view line, const std::vector<LiteralSet>& sets) {
    return sets.size() == 1 || std::ranges::all_of(sets, [&](const LiteralSet& set) {
               return std::ranges::any_of(
                   set, [&](const Literal& literal) { return stands_in(line, literal); });
           });
}

// Within what a container said, some escapes may hide any text.
bool may_hide_texts(std::string_view line) {
    return line.starts_with(docker_head) && (line.find("\\u00") != std::string_view::npos ||
                                             line.find("\\/") != std::string_view::npos);
}

// The lines of a chunk that hold what a target asks for, with these targets.
bool find_candidate_lines(const Ruleset& ruleset, std::string_view bytes, Scratch& scratch) {
    scratch.literal_hits.clear();
    scratch.candidates.clear();
    scratch.targets.clear();
    if (!ruleset.gate->find(bytes, scratch.literals, scratch.literal_hits)) return false;
    if (!std::ranges::is_sorted(scratch.literal_hits, {}, &LiteralHit::end))
        std::ranges::sort(scratch.literal_hits, {}, &LiteralHit::end);
    std::vector<std::uint64_t>& opened = scratch.opened;
    std::size_t begin = 0;
    std::size_t end = 0;  // of the line looked at; a literal holds no line end
    bool any = false;
    bool hidden = false;
    auto end_line = [&] {
        if (!any) return;
        any = false;
        std::uint64_t wanted = 0;
        std::string_view line = bytes.substr(begin, end - begin).substr(0, ruleset.line_limit);
        for (std::size_t i = 0; i < ruleset.words; ++i) {
            for (std::uint64_t ask = hidden ? 0 : opened[i] & ruleset.costly[i]; ask != 0;
                 ask &= ask - 1)
                if (auto bit = static_cast<std::size_t>(std::countr_zero(ask));
                    !holds_required(line, ruleset.required[i * 64 + bit]))
                    opened[i] &= ~(std::uint64_t{1} << bit);
            wanted |= opened[i];
        }
        if (wanted == 0) return;
        scratch.candidates.push_back(
            {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)});
        scratch.targets.insert(scratch.targets.end(), opened.begin(), opened.end());
    };
    for (const LiteralHit& hit : scratch.literal_hits) {
        if (hit.end > end) {
            end_line();
            const void* before = ::memrchr(bytes.data() + end, '\n', hit.end - end);
            if (before != nullptr)
                begin =
                    static_cast<std::size_t>(static_cast<const char*>(before) - bytes.data()) + 1;
            end = std::min(bytes.find('\n', hit.end), bytes.size());
            opened = ruleset.every_line;
            hidden = false;
            any = true;
        }
        if (hidden || hit.end - begin > ruleset.line_limit) continue;
        if (hit.literal == ruleset.docker_text) {
            hidden = may_hide_texts(bytes.substr(begin, end - begin));
            if (hidden) std::ranges::fill(opened, ~std::uint64_t{0});
            continue;
        }
        for (std::size_t i = 0; i < ruleset.words; ++i)
            opened[i] |= ruleset.opens_for[hit.literal * ruleset.words + i];
        for (const Within& within : ruleset.opens_within[hit.literal])
            if (!has_bit(opened.data(), within.target) && stands_within(bytes, hit.end, within))
                set_bit(opened.data(), within.target);
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

bool is_quick(const Filter& filter, const Pattern& pattern) {
    if (filter.dialect != Dialect::bandd || !pattern.lazy) return false;
    const CaptureProgram* program = pattern.lazy->program();
    return program != nullptr && program->anchored();
}

void prepare_beginnings(Ruleset& ruleset) {
    ruleset.may_begin.assign((empty_text + 1) * ruleset.words, ~std::uint64_t{0});
    for (std::size_t row = 0; row <= empty_text; ++row) {
        char first = static_cast<char>(row);
        std::string_view text(&first, row == empty_text ? 0 : 1);
        for (const Ruleset::View& view : ruleset.views)
            for (std::uint32_t i = 0; i < view.at.size(); ++i) {
                if (!view.quick[i]) continue;
                auto [rule, pattern] = view.at[i];
                const Pattern& one = ruleset.rules[rule].filter->patterns[pattern];
                if (!one.lazy->program()->fails_at_once(text)) continue;
                std::uint32_t target = view.first_target + i;
                ruleset.may_begin[row * ruleset.words + target / 64] &=
                    ~(std::uint64_t{1} << target % 64);
            }
    }
}

void prepare_gate(Ruleset& ruleset, const PrepareOptions& options) {
    ruleset.gate.reset();
    ruleset.looks_at_every_line = false;
    std::vector<std::vector<LiteralSet>>& required = ruleset.required;
    required.clear();
    std::vector<std::uint32_t> costly;
    for (Ruleset::View& view : ruleset.views) {
        view.first_target = static_cast<std::uint32_t>(required.size());
        for (std::size_t i = 0; i < view.at.size(); ++i) {
            const Filter& filter = *ruleset.rules[view.at[i].first].filter;
            if (!view.quick[i]) costly.push_back(static_cast<std::uint32_t>(required.size()));
            required.push_back(filter.prefix
                                   ? required_by(filter)
                                   : required_literals(filter.patterns[view.at[i].second]));
        }
        for (std::uint32_t rule : view.always) {
            costly.push_back(static_cast<std::uint32_t>(required.size()));
            required.push_back(required_by(*ruleset.rules[rule].filter));
        }
        ruleset.looks_at_every_line = ruleset.looks_at_every_line || !view.joining.empty();
    }
    ruleset.words = (required.size() + 63) / 64;
    prepare_beginnings(ruleset);
    ruleset.costly.assign(ruleset.words, 0);
    for (std::uint32_t target : costly) set_bit(ruleset.costly.data(), target);
    ruleset.every_line.assign(ruleset.words, 0);
    for (std::uint32_t target = 0; target < required.size(); ++target) {
        if (!required[target].empty()) continue;
        set_bit(ruleset.every_line.data(), target);
        ruleset.looks_at_every_line = true;
    }
    Gate gate = choose_gate(required);
    if (gate.texts.empty() || !options.prefilter) return;
    ruleset.opens_for.assign(gate.texts.size() * ruleset.words, 0);
    ruleset.opens_within.assign(gate.texts.size(), {});
    for (std::size_t text = 0; text < gate.texts.size(); ++text)
        for (std::uint32_t target : gate.opens_for[text])
            if (has_bit(ruleset.costly.data(), target))
                std::ranges::move(places_of(gate.texts[text], target, required[target]),
                                  std::back_inserter(ruleset.opens_within[text]));
            else
                set_bit(ruleset.opens_for.data() + text * ruleset.words, target);
    ruleset.docker_text = static_cast<std::uint32_t>(gate.texts.size());
    gate.texts.push_back({std::string(docker_head), false});
    ruleset.gate = make_literal_scan(gate.texts, options.engine);
}

}  // namespace

void prepare(Ruleset& ruleset, const PrepareOptions& options) {
    static std::uint64_t prepared = 0;  // by the loop's thread only, as all rulesets are
    ruleset.number = ++prepared;
    ruleset.views.clear();
    auto view_of = [&](const Filter& filter) -> Ruleset::View& {
        for (Ruleset::View& view : ruleset.views)
            if (view.dialect == filter.dialect && view.dates == filter.dates) return view;
        // bandd's dialect comes first: it needs no second look for a date.
        auto place = filter.dialect == Dialect::bandd ? ruleset.views.begin() : ruleset.views.end();
        return *ruleset.views.insert(
            place, Ruleset::View{filter.dialect, filter.dates, {}, {}, {}, {}, {}, {}, 0});
    };
    for (std::uint32_t i = 0; i < ruleset.rules.size(); ++i) {
        const Filter& filter = *ruleset.rules[i].filter;
        Ruleset::View& view = view_of(filter);
        if (filter.lines > 1) {
            view.joining.push_back(i);
        } else if (filter.prefix) {
            if (filter.prefix->lazy)
                view.at.emplace_back(i, 0);
            else
                view.always.push_back(i);
        } else {
            bool all = std::ranges::all_of(filter.patterns,
                                           [](const Pattern& p) { return p.lazy != nullptr; });
            for (std::uint32_t j = 0; all && j < filter.patterns.size(); ++j)
                view.at.emplace_back(i, j);
            if (!all) view.always.push_back(i);
        }
    }
    for (Ruleset::View& view : ruleset.views) {
        RE2::Options re2_options = pattern_options();
        re2_options.set_dot_nl(view.dialect == Dialect::bandd);
        re2_options.set_max_mem(options.set_memory);
        auto set = std::make_unique<RE2::Set>(re2_options, RE2::UNANCHORED);
        bool usable = true;
        for (std::uint32_t i = 0; i < view.at.size(); ++i) {
            auto [rule, pattern] = view.at[i];
            const Filter& filter = *ruleset.rules[rule].filter;
            const Pattern& one = filter.prefix ? *filter.prefix : filter.patterns[pattern];
            view.quick.push_back(is_quick(filter, one));
            if (view.quick.back()) continue;
            view.in_set.push_back(i);
            usable = usable && set->Add(for_re2(one.regex), nullptr) >= 0;
        }
        if (view.in_set.size() >= least_for_set && usable && set->Compile())
            view.set = std::move(set);
    }
    prepare_gate(ruleset, options);
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

void scan(const Ruleset& ruleset, const Chunk& chunk, Instant now, Scratch& scratch, Hits& hits) {
    std::string_view bytes = chunk.bytes;
    scratch.last_head = {};
    scratch.tags.begin(ruleset.number, ruleset.rules.size());
    count_lines(bytes, ruleset.line_limit, scratch.counts);
    scratch.all_targets.assign(ruleset.words, ~std::uint64_t{0});
    bool searched = ruleset.gate && find_candidate_lines(ruleset, bytes, scratch);
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
