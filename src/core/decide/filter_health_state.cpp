// SPDX-License-Identifier: GPL-2.0-or-later
// What was learned of filters, as the state keeps it.
#include <algorithm>
#include <charconv>

#include "core/decide/filter_health.h"

namespace bandd {
namespace {

constexpr std::size_t most_restored = 1000;

// FIELD TAB FIELD …; what is left after the last tab is the rest.
std::string_view take_field(std::string_view& rest) {
    auto end = rest.find('\t');
    std::string_view field = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return field;
}
template <class Number>
bool take_number(std::string_view text, Number& number) {
    auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
    return fault == std::errc{} && end == text.data() + text.size();
}
// Items with spaces between; false if `use` does not take one.
template <class Use>
bool each_item(std::string_view text, Use use) {
    while (!text.empty()) {
        auto end = text.find(' ');
        if (!use(text.substr(0, end))) return false;
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return true;
}

}  // namespace

// position learning tag_seen TAB tags TAB hash first of each shape TAB the filter's group and that
// of each pattern, then, if it is blind: TAB kind pattern lines since TAB example.
std::string FilterHealth::save_state(const State& state) {
    std::string text;
    auto add_numbers = [&](std::initializer_list<std::uint64_t> numbers) {
        for (std::uint64_t number : numbers) text += std::to_string(number) + " ";
    };
    add_numbers({state.position, state.learning, std::uint64_t{state.tag_seen ? 1U : 0U}});
    text.back() = '\t';
    for (const std::string& tag : state.tags) text += "=" + tag + " ";
    text += '\t';
    for (const Shape& shape : state.shapes) add_numbers({shape.hash, shape.first});
    text += '\t';
    auto add_group = [&](const Group& group) {
        add_numbers({group.hits, group.spread_bytes, group.spread_hits, group.last_hit,
                     group.longest_quiet, group.alike.longest, group.missed.longest});
    };
    add_group(state.all);
    std::ranges::for_each(state.patterns, add_group);
    if (!state.blindness) return text;
    const Blindness& blindness = *state.blindness;
    text += '\t';
    add_numbers({static_cast<std::uint64_t>(blindness.kind), blindness.pattern, blindness.lines,
                 static_cast<std::uint64_t>(blindness.since.value_or(Instant{}).us)});
    text.back() = '\t';
    return text + blindness.example;
}

namespace {

bool take_numbers(std::string_view field, std::vector<std::uint64_t>& all) {
    return each_item(field,
                     [&](std::string_view item) { return take_number(item, all.emplace_back()); });
}

// The rest of what was saved; nothing: it is none.
std::optional<Blindness> read_blindness(std::string_view text) {
    std::vector<std::uint64_t> numbers;
    if (!take_numbers(take_field(text), numbers) || numbers.size() != 4) return {};
    if (numbers[0] > static_cast<std::uint64_t>(Blindness::Kind::tag)) return {};
    Blindness blindness;
    blindness.kind = static_cast<Blindness::Kind>(numbers[0]);
    blindness.pattern = numbers[1];
    blindness.lines = numbers[2];
    if (numbers[3] != 0) blindness.since = Instant{static_cast<std::int64_t>(numbers[3])};
    blindness.example = text.substr(0, FilterHealth::longest_example);
    return blindness;
}
constexpr std::size_t fields_before_blindness = 4;

}  // namespace

bool FilterHealth::restore_state(State& state, std::string_view text) {
    std::vector<std::uint64_t> main, shapes, groups;
    if (!take_numbers(take_field(text), main) || main.size() != 3) return false;
    bool good = each_item(take_field(text), [&](std::string_view tag) {
        if (tag.empty() || state.tags.size() == most_tags) return false;
        state.tags.emplace_back(tag.substr(1));
        return true;
    });
    if (!good || !take_numbers(take_field(text), shapes)) return false;
    if (shapes.size() % 2 != 0 || shapes.size() > 2 * most_shapes) return false;
    constexpr std::size_t numbers_of_group = 7;
    if (!take_numbers(take_field(text), groups)) return false;
    if (groups.size() != (state.patterns.size() + 1) * numbers_of_group) return false;
    state.position = main[0];
    state.learning = std::min(main[1], learning_bytes);
    state.tag_seen = state.tag_seen || main[2] != 0;
    for (std::size_t i = 0; i < shapes.size(); i += 2)
        state.shapes.push_back({static_cast<Hash>(shapes[i]), shapes[i + 1]});
    const std::uint64_t* next = groups.data();
    auto take_group = [&](Group& group) {
        group.hits = next[0];
        group.spread_bytes = next[1];
        group.spread_hits = next[2];
        group.last_hit = next[3];
        group.longest_quiet = next[4];
        group.alike.longest = static_cast<std::uint32_t>(next[5]);
        group.missed.longest = static_cast<std::uint32_t>(next[6]);
        next += numbers_of_group;
    };
    take_group(state.all);
    std::ranges::for_each(state.patterns, take_group);
    state.blindness = read_blindness(text);
    if (state.blindness)
        state.blindness->pattern = std::min(state.blindness->pattern, state.patterns.size() - 1);
    return true;
}

// A line each: the filter, a tab, what is known of it.
std::string FilterHealth::save() const {
    std::string text;
    for (const auto& [filter, state] : states_) text += filter + "\t" + save_state(state) + "\n";
    for (const auto& [filter, saved] : saved_) text += filter + "\t" + saved.text + "\n";
    return text;
}

void FilterHealth::restore(std::string_view saved) {
    while (!saved.empty() && saved_.size() < most_restored) {
        std::string_view line = saved.substr(0, saved.find('\n'));
        saved.remove_prefix(std::min(saved.size(), line.size() + 1));
        std::string_view filter = take_field(line), rest = line;
        if (states_.contains(filter)) continue;
        for (std::size_t i = 0; i < fields_before_blindness; ++i) take_field(rest);
        saved_.emplace(filter, Saved{std::string(line), read_blindness(rest)});
    }
}

}  // namespace bandd
