// SPDX-License-Identifier: GPL-2.0-or-later
// Of all short parts of the required texts it takes the one that is in those of the most checks at
// the least cost, then the next one, until each check has a text (a greedy set cover).
#include "core/prefilter/gate.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/ascii.h"
#include "core/base/eight_bytes.h"
#include "core/prefilter/ordinary.h"

namespace bandd {
namespace {

// Parts of these lengths are weighed; shorter texts are taken whole. Vectorscan looks at the last
// three bytes first, then at up to eight.
constexpr std::size_t shortest_part = 4;
constexpr std::size_t part_length = Ordinary::longest;
constexpr std::size_t tail_length = 3;
constexpr std::size_t longest_part = 12;  // as far as parts are made longer

// Of searching for a text, in about nanoseconds a line: one more text, what it finds in vain, and
// how often its tail is looked at in vain.
double cost_of(const Ordinary& ordinary, std::string_view part) {
    constexpr double for_one_text = 1.8;
    constexpr double for_a_line_in_vain = 300;
    constexpr double for_a_tail_in_each_kilobyte = 1;
    // What these few lines do not hold may be in others: so much for a part of part_length, and
    // twice as much for each byte less.
    constexpr double for_other_lines = 1;
    constexpr double shorter = 2;
    std::string_view first = part.substr(0, part_length);
    double unknown = for_other_lines;
    for (std::size_t i = first.size(); i < part_length; ++i) unknown *= shorter;
    std::string_view tail = part.substr(part.size() - std::min(part.size(), tail_length));
    return for_one_text + unknown + for_a_line_in_vain * ordinary.in_a_line(first) +
           for_a_tail_in_each_kilobyte * ordinary.in_a_kilobyte(tail);
}

// A text that a check can be known by, or several of which any will do.
struct Need {
    LiteralSet texts;
    std::uint32_t check = 0;
};

// The longest text that is in all of a small set; empty if none is long enough.
std::optional<Literal> common_to(const LiteralSet& set) {
    constexpr std::size_t most_compared = 8;
    const Literal& first = set.front();
    if (set.size() > most_compared) return {};
    for (std::size_t length = first.text.size(); length >= part_length; --length)
        for (std::size_t at = 0; at + length <= first.text.size(); ++at) {
            std::string part = first.text.substr(at, length);
            if (std::ranges::all_of(set, [&](const Literal& one) {
                    return one.any_case == first.any_case &&
                           one.text.find(part) != std::string::npos;
                }))
                return Literal{std::move(part), first.any_case};
        }
    return {};
}

// Calls `visit` for the parts of a text that are weighed.
template <class Visit>
void for_parts(std::string_view text, const Visit& visit) {
    std::size_t longest = std::min(text.size(), part_length);
    for (std::size_t length = std::min(longest, shortest_part); length <= longest; ++length)
        for (std::size_t at = 0; at + length <= text.size(); ++at) visit(text.substr(at, length));
}

double least_cost(const Ordinary& ordinary, std::string_view text) {
    double least = cost_of(ordinary, text);
    for_parts(text,
              [&](std::string_view part) { least = std::min(least, cost_of(ordinary, part)); });
    return least;
}

double cost_of_all(const Ordinary& ordinary, const LiteralSet& set) {
    double sum = 0;
    for (const Literal& literal : set) sum += least_cost(ordinary, literal.text);
    return sum;
}

// A check has one need if one text will do: that of a set with a single text, or one that is in all
// texts of a set and costs no more than they. Of several such sets any will do. Otherwise it has a
// need for each text of its smallest set.
std::vector<Need> needs_of(std::span<const std::vector<LiteralSet>> required,
                           const Ordinary& ordinary) {
    std::vector<Need> needs;
    for (std::uint32_t check = 0; check < required.size(); ++check) {
        const std::vector<LiteralSet>& sets = required[check];
        if (sets.empty()) continue;
        Need any;
        any.check = check;
        for (const LiteralSet& set : sets)
            if (set.size() == 1)
                any.texts.push_back(set.front());
            else if (auto text = common_to(set);
                     text && least_cost(ordinary, text->text) < cost_of_all(ordinary, set))
                any.texts.push_back(std::move(*text));
        if (!any.texts.empty()) {
            needs.push_back(std::move(any));
            continue;
        }
        const LiteralSet& fewest = *std::ranges::min_element(sets, {}, &LiteralSet::size);
        for (const Literal& literal : fewest) needs.push_back({{literal}, check});
    }
    return needs;
}

// A part of a text, as it is searched for.
struct Part {
    std::string_view text;  // into a literal
    bool any_case = false;
    std::vector<std::uint32_t> needs;  // that it speaks for; each once
    double cost = 0;
    std::size_t open = 0;  // of its needs, at the last look
    double value() const { return static_cast<double>(open) / cost; }
};

bool has_letter(std::string_view text) {
    return std::ranges::any_of(
        text, [](char c) { return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z'; });
}

class Parts {
  public:
    Parts(const std::vector<Need>& needs, const Ordinary& ordinary) {
        // What is searched for in both cases finds texts of one case, too; not the other way round.
        for (bool any_case : {true, false})
            for (std::uint32_t i = 0; i < needs.size(); ++i)
                for (const Literal& literal : needs[i].texts) add(literal, i, any_case);
        for (Part& part : parts_) part.cost = cost_of(ordinary, part.text);
    }
    std::vector<Part>& all() { return parts_; }

  private:
    void add(const Literal& literal, std::uint32_t need, bool any_case) {
        for_parts(literal.text, [&](std::string_view part) {
            bool folded = literal.any_case && has_letter(part);
            if (any_case) {
                if (folded) speak(part, true, need);
                return;
            }
            if (folded) return;
            // Another text's folded part, if there is one, will do as well.
            if (auto known = folded_.find(ascii_lower(part)); known != folded_.end())
                speak_for(parts_[known->second], need);
            speak(part, false, need);
        });
    }
    void speak(std::string_view text, bool any_case, std::uint32_t need) {
        auto& known = any_case ? folded_ : exact_;
        auto [place, fresh] = known.try_emplace(std::string(text), parts_.size());
        if (fresh) parts_.push_back({text, any_case, {}, 0, 0});
        speak_for(parts_[place->second], need);
    }
    static void speak_for(Part& part, std::uint32_t need) {
        if (part.needs.empty() || part.needs.back() != need) part.needs.push_back(need);
    }

    std::vector<Part> parts_;
    std::unordered_map<std::string, std::size_t> folded_, exact_;
};

// The part with `more` bytes of what is left of it in one of the need's texts; empty if it is not
// there.
std::optional<std::string> with_more(const Part& part, const Need& need, std::size_t more) {
    for (const Literal& literal : need.texts) {
        if (literal.any_case && !part.any_case && has_letter(part.text)) continue;
        std::string text = part.any_case ? ascii_lower(literal.text) : literal.text;
        std::size_t at = text.find(part.text);
        if (at == std::string::npos || at < more) continue;
        if (literal.any_case && !part.any_case && has_letter(text.substr(at - more, more)))
            continue;
        return text.substr(at - more, more + part.text.size());
    }
    return {};
}

// The part, made longer on the left as far as all needs that it speaks for agree: then fewer lines
// are looked at in vain.
std::string lengthened(const Part& part, const std::vector<Need>& needs,
                       const std::vector<std::uint32_t>& spoken_for) {
    std::string text(part.text);
    for (std::size_t more = 1; part.text.size() + more <= longest_part; ++more) {
        std::optional<std::string> longer;
        for (std::uint32_t need : spoken_for) {
            auto one = with_more(part, needs[need], more);
            if (!one || (longer && *longer != *one)) return text;
            longer = std::move(one);
        }
        if (!longer) return text;
        text = std::move(*longer);
    }
    return text;
}

}  // namespace

Gate choose_gate(std::span<const std::vector<LiteralSet>> required) {
    const Ordinary& ordinary = Ordinary::lines();
    std::vector<Need> needs = needs_of(required, ordinary);
    Parts made(needs, ordinary);
    std::vector<Part>& parts = made.all();
    std::vector<bool> met(needs.size(), false);
    auto less = [&](std::size_t left, std::size_t right) {
        if (parts[left].value() != parts[right].value())
            return parts[left].value() < parts[right].value();
        return left > right;
    };
    std::priority_queue<std::size_t, std::vector<std::size_t>, decltype(less)> best(less);
    for (std::size_t i = 0; i < parts.size(); ++i) {
        parts[i].open = parts[i].needs.size();
        best.push(i);
    }
    Gate gate;
    while (!best.empty()) {
        std::size_t index = best.top();
        best.pop();
        Part& part = parts[index];
        std::vector<std::uint32_t> open;
        for (std::uint32_t need : part.needs)
            if (!met[need]) open.push_back(need);
        if (open.empty()) continue;
        if (open.size() < part.open) {  // others spoke for some since it was weighed
            part.open = open.size();
            best.push(index);
            continue;
        }
        gate.texts.push_back({lengthened(part, needs, open), part.any_case});
        std::vector<std::uint32_t>& checks = gate.opens_for.emplace_back();
        for (std::uint32_t need : open) {
            met[need] = true;
            checks.push_back(needs[need].check);
        }
        std::ranges::sort(checks);
        auto twice = std::ranges::unique(checks);
        checks.erase(twice.begin(), twice.end());
    }
    return gate;
}

namespace {

// Of the side on which the literal has more.
Glance glance_of(const Literal& literal, std::size_t begin, std::size_t end) {
    constexpr std::size_t word = sizeof(std::uint64_t);
    std::size_t behind = std::min(literal.text.size() - end, word);
    std::size_t before = std::min(begin, word);
    bool is_behind = behind >= before;
    std::size_t count = is_behind ? behind : before;
    std::size_t from = is_behind ? end : begin - before;
    std::array<char, word> bytes{}, mask{}, small{};
    for (std::size_t i = 0; i < count; ++i) {
        char c = literal.text[from + i];
        bytes[i] = c;
        mask[i] = static_cast<char>(-1);
        if (literal.any_case && c >= 'a' && c <= 'z') small[i] = 'a' - 'A';
    }
    return {static_cast<std::int32_t>(from) - static_cast<std::int32_t>(end),
            eight_at(bytes.data()), eight_at(mask.data()), eight_at(small.data())};
}

// False if the literal cannot be there.
bool looks_alike(std::string_view bytes, std::size_t end, const Glance& glance) {
    auto at = static_cast<std::ptrdiff_t>(end) + glance.at;
    if (at < 0 || bytes.size() < static_cast<std::size_t>(at) + sizeof(std::uint64_t)) return true;
    return ((eight_at(bytes.data() + at) | glance.small) & glance.mask) == glance.bytes;
}

}  // namespace

std::vector<Within> places_of(const Literal& text, std::uint32_t check,
                              const std::vector<LiteralSet>& required) {
    std::vector<Within> places;
    for (const LiteralSet& set : required)
        for (const Literal& literal : set) {
            std::string in = text.any_case ? ascii_lower(literal.text) : literal.text;
            for (auto at = in.find(text.text); at != std::string::npos;
                 at = in.find(text.text, at + 1)) {
                std::size_t end = at + text.text.size();
                places.push_back(
                    {check, static_cast<std::uint32_t>(end), literal, glance_of(literal, at, end)});
            }
        }
    return places;
}

bool is_within(std::string_view bytes, std::size_t end, const Within& within) {
    if (!looks_alike(bytes, end, within.glance)) return false;
    const std::string& text = within.literal.text;
    if (end < within.end || bytes.size() - (end - within.end) < text.size()) return false;
    const char* at = bytes.data() + (end - within.end);
    if (!within.literal.any_case) return std::memcmp(at, text.data(), text.size()) == 0;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (ascii_lower(at[i]) != text[i]) return false;
    return true;
}

LiteralPlaces::LiteralPlaces(std::size_t length_of_text, std::vector<Within> all)
    : length_(length_of_text), all_(std::move(all)) {
    if (all_.size() < least_for_groups) return;
    groups_.resize((all_.size() + in_group - 1) / in_group);
    for (std::size_t i = 0; i < all_.size(); ++i) {
        const Within& within = all_[i];
        const std::string& text = within.literal.text;
        std::size_t begin = within.end - length_;
        for (std::size_t side = 0; side < bytes_beside; ++side) {
            std::size_t away = side % on_a_side;
            bool before = side < on_a_side;
            std::optional<char> byte;
            if (before && begin > away) byte = text[begin - away - 1];
            if (!before && within.end + away < text.size()) byte = text[within.end + away];
            auto& row = groups_[i / in_group][side];
            std::uint64_t bit = std::uint64_t{1} << i % in_group;
            if (byte)
                row[kind_of(*byte)] |= bit;
            else  // the literal does not say
                for (std::uint64_t& places : row) places |= bit;
        }
    }
}

// Beyond the ends there is no byte of any literal.
std::array<unsigned, LiteralPlaces::bytes_beside> LiteralPlaces::beside_at(std::string_view bytes,
                                                                           std::size_t end) const {
    std::array<unsigned, bytes_beside> beside;
    std::size_t begin = end - std::min(length_, end);
    for (std::size_t away = 0; away < on_a_side; ++away) {
        beside[away] = kind_of(begin > away ? bytes[begin - away - 1] : '\n');
        beside[on_a_side + away] = kind_of(end + away < bytes.size() ? bytes[end + away] : '\n');
    }
    return beside;
}

}  // namespace bandd
