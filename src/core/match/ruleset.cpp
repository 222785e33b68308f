// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/match/ruleset.h"

#include <algorithm>

#include "core/regex/capture_program.h"
#include "core/text/docker.h"

namespace bandd {
namespace {

using View = Prepared::View;

// What a whole filter requires: a text of one of its patterns, and one of its prefix.
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
    if (filter.dialect != Dialect::bandd || !pattern.lazy || filter.json) return false;
    const CaptureProgram* program = pattern.lazy->program();
    return program != nullptr && program->anchored();
}

View& view_of(const Filter& filter, std::vector<View>& views) {
    auto same = [](const auto& one, const auto& other) {
        return one == other || (one && other && *one == *other);
    };
    for (View& view : views)
        if (view.dialect == filter.dialect && view.dates == filter.dates &&
            same(view.json, filter.json))
            return view;
    // bandd's dialect comes first: it needs no second look for a date.
    auto place = filter.dialect == Dialect::bandd ? views.begin() : views.end();
    View view;
    view.dialect = filter.dialect;
    view.dates = filter.dates;
    view.json = filter.json;
    return *views.insert(place, std::move(view));
}

void put_in_view(const Filter& filter, std::uint32_t rule, View& view) {
    if (filter.lines > 1) {
        view.joining.push_back(rule);
        return;
    }
    bool by_re2 = filter.prefix ? filter.prefix->lazy != nullptr
                                : std::ranges::all_of(filter.patterns, [](const Pattern& one) {
                                      return one.lazy != nullptr;
                                  });
    if (!by_re2) {
        view.always.push_back(rule);
        return;
    }
    std::size_t count = filter.prefix ? 1 : filter.patterns.size();
    for (std::uint32_t i = 0; i < count; ++i) view.patterns.emplace_back(rule, i);
}

void prepare_set(const Ruleset& ruleset, View& view, std::int64_t memory) {
    RE2::Options options = pattern_options();
    options.set_dot_nl(view.dialect == Dialect::bandd);
    options.set_max_mem(memory);
    auto set = std::make_unique<RE2::Set>(options, RE2::UNANCHORED);
    bool usable = true;
    for (std::uint32_t i = 0; i < view.patterns.size(); ++i) {
        auto [rule, pattern] = view.patterns[i];
        const Filter& filter = *ruleset.rules[rule].filter;
        const Pattern& one = filter.prefix ? *filter.prefix : filter.patterns[pattern];
        view.quick.push_back(is_quick(filter, one));
        if (view.quick.back()) continue;
        view.in_set.push_back(i);
        usable = usable && set->Add(for_re2(one.regex), nullptr) >= 0;
    }
    if (view.in_set.size() >= least_for_set && usable && set->Compile()) view.set = std::move(set);
}

// Numbers the checks, and notes what each requires and which are costly.
void number_checks(Ruleset& ruleset) {
    Prepared& prepared = ruleset.prepared;
    std::vector<CheckNumber> costly;
    for (View& view : prepared.views) {
        view.first_check = static_cast<CheckNumber>(prepared.required.size());
        for (std::size_t i = 0; i < view.patterns.size(); ++i) {
            const Filter& filter = *ruleset.rules[view.patterns[i].first].filter;
            if (!view.quick[i])
                costly.push_back(static_cast<CheckNumber>(prepared.required.size()));
            prepared.required.push_back(
                filter.prefix ? required_by(filter)
                              : required_literals(filter.patterns[view.patterns[i].second]));
        }
        for (std::uint32_t rule : view.always) {
            costly.push_back(static_cast<CheckNumber>(prepared.required.size()));
            prepared.required.push_back(required_by(*ruleset.rules[rule].filter));
        }
        prepared.looks_at_every_line = prepared.looks_at_every_line || !view.joining.empty();
    }
    prepared.words = (prepared.required.size() + 63) / 64;
    prepared.json.assign(prepared.words, 0);
    for (const View& view : prepared.views)
        for (CheckNumber check = view.first_check; view.json && check < view.end(); ++check)
            set_bit(prepared.json.data(), check);
    prepared.costly.assign(prepared.words, 0);
    for (CheckNumber check : costly) set_bit(prepared.costly.data(), check);
    prepared.every_line.assign(prepared.words, 0);
    for (CheckNumber check = 0; check < prepared.required.size(); ++check) {
        if (!prepared.required[check].empty()) continue;
        set_bit(prepared.every_line.data(), check);
        prepared.looks_at_every_line = true;
    }
}

void prepare_beginnings(Ruleset& ruleset) {
    Prepared& prepared = ruleset.prepared;
    prepared.may_begin.assign((row_of_empty_text + 1) * prepared.words, ~std::uint64_t{0});
    for (std::size_t row = 0; row <= row_of_empty_text; ++row) {
        char first = static_cast<char>(row);
        std::string_view text(&first, row == row_of_empty_text ? 0 : 1);
        for (const View& view : prepared.views)
            for (std::uint32_t i = 0; i < view.patterns.size(); ++i) {
                if (!view.quick[i]) continue;
                auto [rule, pattern] = view.patterns[i];
                const Pattern& one = ruleset.rules[rule].filter->patterns[pattern];
                if (!one.lazy->program()->fails_at_once(text)) continue;
                CheckNumber check = view.first_check + i;
                prepared.may_begin[row * prepared.words + check / 64] &=
                    ~(std::uint64_t{1} << check % 64);
            }
    }
}

// Of each check, the sets that hold a text of the gate which opens for it. If there is one only,
// the line holds a text of it.
std::vector<std::vector<bool>> found_by(const Gate& gate, const Prepared& prepared) {
    std::vector<std::vector<bool>> found;
    for (const auto& sets : prepared.required) found.emplace_back(sets.size(), false);
    for (std::size_t text = 0; text < gate.texts.size(); ++text)
        for (CheckNumber check : gate.opens_for[text])
            for (std::size_t set = 0; set < found[check].size(); ++set)
                if (!places_of(gate.texts[text], check, {prepared.required[check][set]}).empty())
                    found[check][set] = true;
    return found;
}

void prepare_still_required(const Gate& gate, Prepared& prepared) {
    auto found = found_by(gate, prepared);
    for (CheckNumber check = 0; check < prepared.required.size(); ++check) {
        bool is_in_gate = std::ranges::count(found[check], true) > 0;
        if (!is_in_gate || !has_bit(prepared.costly.data(), check)) continue;
        bool one_found = std::ranges::count(found[check], true) == 1;
        for (std::size_t set = 0; set < found[check].size(); ++set) {
            if (found[check][set] && one_found) continue;
            const LiteralSet& texts = prepared.required[check][set];
            prepared.still_required[check].emplace_back(texts.begin(), texts.end());
        }
    }
}

// What is required by checks on JSON lines, or by the others; nothing is of the rest.
std::vector<std::vector<LiteralSet>> required_of(const Prepared& prepared, bool json) {
    auto required = prepared.required;
    for (CheckNumber check = 0; check < required.size(); ++check)
        if (has_bit(prepared.json.data(), check) != json) required[check].clear();
    return required;
}

void add_places(const Gate& gate, Prepared& prepared) {
    for (std::size_t text = 0; text < gate.texts.size(); ++text) {
        std::vector<Within> places;
        for (CheckNumber check : gate.opens_for[text])
            std::ranges::move(places_of(gate.texts[text], check, prepared.required[check]),
                              std::back_inserter(places));
        prepared.opens_within.emplace_back(gate.texts[text].text.size(), std::move(places));
    }
}

void prepare_gates(Prepared& prepared) {
    Gate plain = choose_gate(required_of(prepared, false));
    Gate json = choose_gate(required_of(prepared, true));
    if (plain.texts.empty() && json.texts.empty()) return;
    prepared.still_required.resize(prepared.required.size());
    for (const Gate* gate : {&plain, &json}) prepare_still_required(*gate, prepared);
    add_places(plain, prepared);
    prepared.docker_text = static_cast<std::uint32_t>(prepared.opens_within.size());
    prepared.opens_within.emplace_back();
    prepared.first_json_text = prepared.docker_text + 1;
    add_places(json, prepared);
    prepared.escape_text = static_cast<std::uint32_t>(prepared.opens_within.size());
    // Without the colon, which a JSON line holds again and again behind a quote: the search looks
    // for the last three bytes of a text first.
    plain.texts.push_back({std::string(docker_key), false});
    prepared.gate = LiteralScan::make(plain.texts);
    if (!prepared.gate || json.texts.empty()) return;
    json.texts.push_back({"\\u00", false});
    prepared.json_gate = LiteralScan::make(json.texts);
    if (!prepared.json_gate) prepared.gate.reset();
}

}  // namespace

void prepare(Ruleset& ruleset, const PrepareOptions& options) {
    Prepared& prepared = ruleset.prepared;
    prepared = {};
    prepared.identity = std::make_shared<const char>();
    for (std::uint32_t i = 0; i < ruleset.rules.size(); ++i) {
        const Filter& filter = *ruleset.rules[i].filter;
        put_in_view(filter, i, view_of(filter, prepared.views));
        if (dates_within(filter.json.get()) == DatesWithin::found)
            prepared.dates_within = DatesWithin::found;
    }
    for (View& view : prepared.views) prepare_set(ruleset, view, options.set_memory);
    number_checks(ruleset);
    prepare_beginnings(ruleset);
    if (options.prefilter) prepare_gates(prepared);
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

}  // namespace bandd
