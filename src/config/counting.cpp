// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/counting.h"

#include <algorithm>
#include <charconv>

namespace bandd {

void read_findtime(const Section& section, JailRules& rules) {
    const Value* value = section.find("findtime");
    if (value == nullptr) return;
    rules.today.reset();
    if (value->kind == Value::Kind::scalar && value->text == "today") {
        constexpr Duration longest_day = std::chrono::hours(25);  // when summer time ends
        rules.findtime = longest_day;
        rules.today.emplace();  // the zone is known later
        return;
    }
    section.duration("findtime", rules.findtime, false);
}

void read_condition(const Section& section, JailConfig& jail) {
    for (const Value* word : section.words("broadband_words"))
        jail.broadband_words.push_back(word->text);
    section.boolean("reverse_lookup", jail.rules.reverse_lookup);
    if (jail.rules.reverse_lookup)
        std::erase_if(jail.needed_fields, [](const NeededField& needed) {
            return needed.key == "where" && needed.field == "hostname";
        });
    const Value* value = section.find("where");
    if (value == nullptr) {
        // The condition of the defaults, with this jail's words.
        if (jail.rules.where && section.find("broadband_words") != nullptr)
            jail.rules.where =
                Condition::parse(jail.rules.where->text(), jail.broadband_words).value();
        return;
    }
    std::string text;
    section.text("where", text);
    if (value->kind != Value::Kind::scalar) return;
    jail.rules.where.reset();
    std::erase_if(jail.needed_fields,
                  [](const NeededField& field) { return field.key == "where"; });
    jail.condition_where = value->where;
    auto condition = Condition::parse(text, jail.broadband_words);
    if (!condition) {
        const ConditionFault& fault = condition.error();
        section.errors().push_back(
            {"\"where\"", fault.what, fault.hint, place_within(*value, fault.offset)});
        return;
    }
    for (const Condition::Need& need : condition->needs())
        if (need.field != "hostname" || !jail.rules.reverse_lookup)
            jail.needed_fields.push_back({"where", need.field, place_within(*value, need.offset)});
    jail.rules.where = std::move(*condition);
}

// "hits", or "distinct WHAT by ip", "distinct WHAT by net/24", "… by net/24,56".
void read_count(const Section& section, JailConfig& jail) {
    const Value* value = section.find("count");
    if (value == nullptr) return;
    std::string text;
    section.text("count", text);
    if (value->kind != Value::Kind::scalar) return;
    jail.rules.distinct.reset();
    std::erase_if(jail.needed_fields,
                  [](const NeededField& field) { return field.key == "count"; });
    if (text == "hits") return;
    auto wrong = [&](std::string reason, std::string hint) {
        section.error(*value, "\"count: " + text + "\"", std::move(reason), std::move(hint));
    };
    std::vector<std::string_view> words;
    for (std::string_view rest = text; !rest.empty();) {
        auto end = std::min(rest.find(' '), rest.size());
        if (end > 0) words.push_back(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    if (words.size() != 4 || words[0] != "distinct" || words[2] != "by")
        return wrong("is not understood",
                     "write hits, \"distinct user by ip\" or \"distinct ip by net/24\"");
    DistinctCount count;
    std::string_view what = words[1];
    std::string_view by = words[3];
    count.of = what == "ip"        ? DistinctCount::Of::ip
               : what == "country" ? DistinctCount::Of::country
               : what == "asn"     ? DistinctCount::Of::asn
                                   : DistinctCount::Of::field;
    if (count.of == DistinctCount::Of::field) {
        count.field = what;
        Place place = place_within(*value, static_cast<std::size_t>(what.data() - text.data()));
        jail.needed_fields.push_back({"count", count.field, place});
    }
    if (by == "ip" && count.of != DistinctCount::Of::field)
        return wrong("an address has one address, one country and one network",
                     "count by net/24, or something that the filter captures");
    if (by.starts_with("net/")) {
        for (std::string_view rest = by.substr(4); !rest.empty();) {
            auto end = std::min(rest.find(','), rest.size());
            int length = 0;
            std::string_view digits = rest.substr(0, end);
            auto [stop, fault] =
                std::from_chars(digits.data(), digits.data() + digits.size(), length);
            bool good = fault == std::errc{} && stop == digits.data() + digits.size() &&
                        length >= 8 && length <= 128;
            if (!good) return wrong("its prefix length is none", "write net/24 or net/24,56");
            (length <= 32 ? jail.rules.v4_length : jail.rules.v6_length) = length;
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
    } else if (by == "user") {
        count.by_user = true;
        if (count.of != DistinctCount::Of::ip && count.of != DistinctCount::Of::country)
            return wrong("of a user, addresses and countries are counted",
                         "write \"distinct ip by user\" or \"distinct country by user\"");
        jail.needed_fields.push_back({"count", "user", value->where});
    } else if (by != "ip") {
        return wrong("\"" + std::string(by) + "\" is nothing that can be counted by",
                     "count by ip, by net/24 or by user");
    }
    if (jail.rules.maxretry < 2)
        return wrong("needs a maxretry of 2 or more",
                     "maxretry is how many different ones lead to a ban");
    jail.rules.distinct = std::move(count);
}

}  // namespace bandd
