// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/counting.h"

#include <algorithm>
#include <charconv>
#include <functional>

namespace bandd {
namespace {

using Of = DistinctCount::Of;

void forget(std::vector<NeededName>& needed, std::string_view key) {
    std::erase_if(needed, [&](const NeededName& one) { return one.key == key; });
}

std::vector<std::string_view> split_at_spaces(std::string_view text) {
    std::vector<std::string_view> words;
    while (!text.empty()) {
        auto end = std::min(text.find(' '), text.size());
        if (end > 0) words.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return words;
}

Of what_is_distinct(std::string_view word) {
    if (word == "ip") return Of::ip;
    if (word == "country") return Of::country;
    if (word == "asn") return Of::asn;
    return Of::field;
}

// The lengths of "net/24" or "net/24,56": up to 32 it is IPv4's. False: one of them is none.
bool read_lengths(std::string_view lengths, JailRules& rules) {
    constexpr int shortest = 8;
    while (!lengths.empty()) {
        auto end = std::min(lengths.find(','), lengths.size());
        int length = 0;
        auto [rest, fault] = std::from_chars(lengths.data(), lengths.data() + end, length);
        if (fault != std::errc{} || rest != lengths.data() + end) return false;
        if (length < shortest || length > 128) return false;
        (length <= 32 ? rules.v4_length : rules.v6_length) = length;
        lengths.remove_prefix(std::min(end + 1, lengths.size()));
    }
    return true;
}

}  // namespace

void read_findtime(const Field& field, JailRules& rules) {
    rules.today.reset();
    if (field.value().kind == Value::Kind::scalar && field.value().text == "today") {
        constexpr Duration longest_day = std::chrono::hours(25);  // when summer time ends
        rules.findtime = longest_day;
        rules.today.emplace();  // the zone is known later
    } else if (auto duration = field.duration(MayBeForever::no)) {
        rules.findtime = *duration;
    }
}

void read_broadband_words(const Field& field, JailConfig& jail) {
    for (const Value* word : field.words()) jail.broadband_words.push_back(word->text);
    // The condition of the defaults, with this jail's words.
    if (jail.rules.where)
        jail.rules.where = Condition::parse(jail.rules.where->text(), jail.broadband_words).value();
}

void drop_looked_up_fields(JailConfig& jail) {
    if (jail.rules.reverse_lookup)
        std::erase_if(jail.needed_fields, [](const NeededName& needed) {
            return needed.key == "where" && needed.name == "hostname";
        });
}

void read_condition(const Field& field, JailConfig& jail) {
    auto text = field.text();
    if (!text) return;
    jail.rules.where.reset();
    forget(jail.needed_fields, "where");
    jail.condition_where = field.value().where;
    auto condition = Condition::parse(*text, jail.broadband_words);
    if (!condition) {
        const ConditionFault& fault = condition.error();
        field.reading().errors.push_back(
            {"\"where\"", fault.what, fault.hint, place_within(field.value(), fault.offset)});
        return;
    }
    for (const Condition::Need& need : condition->needs())
        jail.needed_fields.push_back(
            {"where", need.field, place_within(field.value(), need.offset)});
    jail.rules.where = std::move(*condition);
}

// "hits", or "distinct WHAT by ip", "… by net/24", "… by net/24,56", "… by user".
void read_count(const Field& field, JailConfig& jail) {
    auto text = field.text();
    if (!text) return;
    jail.rules.distinct.reset();
    forget(jail.needed_fields, "count");
    if (*text == "hits") return;
    auto words = split_at_spaces(*text);
    if (words.size() != 4 || words[0] != "distinct" || words[2] != "by")
        return field.error("is not understood",
                           "write hits, \"distinct user by ip\" or \"distinct ip by net/24\"");
    std::string_view what = words[1];
    std::string_view by = words[3];
    DistinctCount count;
    count.of = what_is_distinct(what);
    if (count.of == Of::field) {
        count.field = what;
        auto offset = static_cast<std::size_t>(what.data() - text->data());
        jail.needed_fields.push_back({"count", count.field, place_within(field.value(), offset)});
    }
    if (by == "ip" && count.of != Of::field)
        return field.error("an address has one address, one country and one network",
                           "count by net/24, or something that the filter captures");
    if (by.starts_with("net/")) {
        if (!read_lengths(by.substr(4), jail.rules))
            return field.error("its prefix length is none", "write net/24 or net/24,56");
    } else if (by == "user") {
        count.by_user = true;
        if (count.of != Of::ip && count.of != Of::country)
            return field.error("of a user, addresses and countries are counted",
                               "write \"distinct ip by user\" or \"distinct country by user\"");
        jail.needed_fields.push_back({"count", "user", field.value().where});
    } else if (by != "ip") {
        return field.error("\"" + std::string(by) + "\" is nothing that can be counted by",
                           "count by ip, by net/24 or by user");
    }
    if (jail.rules.maxretry < 2)
        return field.error("needs a maxretry of 2 or more",
                           "maxretry is how many different ones lead to a ban");
    jail.rules.distinct = std::move(count);
}

void read_patterns(const Field& field, JailConfig& jail) {
    jail.patterns.clear();
    forget(jail.needed_patterns, field.key());
    for (const Value* word : field.words()) {
        jail.patterns.push_back(word->text);
        jail.needed_patterns.push_back({std::string(field.key()), word->text, word->where});
    }
    if (jail.patterns.empty())
        field.error_without_value("names no pattern", "leave it out, and all of them count");
}

void read_weights(const Field& field, JailConfig& jail) {
    jail.rules.weights.clear();
    forget(jail.needed_patterns, field.key());
    if (field.value().kind != Value::Kind::map)
        return field.error_without_value("must be a map",
                                         "write {PATTERN: 5}, with the id of a pattern");
    for (const auto& [id, value] : field.value().entries) {
        auto failures = Field(field.section(), field.key(), value).whole_number({1, 1000});
        if (!failures) continue;
        jail.rules.weights.push_back({id.text, static_cast<std::uint32_t>(*failures)});
        jail.needed_patterns.push_back({std::string(field.key()), id.text, id.where});
    }
}

void read_ipv6_escalation(const Field& field, JailRules& rules) {
    constexpr std::size_t most_steps = 4;
    const Value& value = field.value();
    std::vector<EscalationStep> steps;
    if (value.kind == Value::Kind::map) {
        for (const Entry& entry : value.entries) {
            auto length = Field(field.section(), field.key(), entry.first).whole_number({16, 63});
            auto offenders =
                Field(field.section(), field.key(), entry.second).whole_number({2, 1000});
            if (!length || !offenders) return;
            steps.push_back({static_cast<int>(*length), static_cast<std::uint32_t>(*offenders)});
        }
        if (steps.size() > most_steps)
            return field.error("has more than " + std::to_string(most_steps) + " steps");
    } else if (value.kind != Value::Kind::scalar || value.text != "off") {
        return field.error("is not understood", "write off, or {56: 8, 48: 4}");
    }
    std::ranges::sort(steps, std::greater{}, &EscalationStep::length);
    int longer = rules.v6_length;
    for (const EscalationStep& step : steps) {
        if (step.length >= longer) continue;  // no wider than what is counted
        int bits = longer - step.length;
        if (bits < 10 && step.offenders > std::uint32_t{1} << bits)
            return field.error("a /" + std::to_string(step.length) + " has only " +
                               std::to_string(1 << bits) + " of /" + std::to_string(longer));
        longer = step.length;
    }
    rules.ipv6_escalation = std::move(steps);
}

std::string written_ipv6_escalation(JailRules& rules) {
    std::vector<EscalationStep> steps(default_escalation.begin(), default_escalation.end());
    if (rules.ipv6_escalation) steps = *rules.ipv6_escalation;
    std::string text;
    for (const EscalationStep& step : steps)
        text += (text.empty() ? "{" : ", ") + std::to_string(step.length) + ": " +
                std::to_string(step.offenders);
    return text.empty() ? "off" : text + "}";
}

}  // namespace bandd
