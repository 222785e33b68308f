// SPDX-License-Identifier: GPL-2.0-or-later
#include "fleet/hit_text.h"

#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "core/base/sip_hash.h"
#include "fleet/word_text.h"

namespace bandd {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t latest_time = 400'000'000'000'000'000;

// Nothing: it is not there, no whole number, or out of its range.
std::optional<std::int64_t> number_in(const Json& value, std::int64_t least, std::int64_t most) {
    if (!value.is_number_integer()) return {};
    if (value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t{INT64_MAX})
        return {};
    auto number = value.get<std::int64_t>();
    if (number < least || number > most) return {};
    return number;
}

class Members {
  public:
    explicit Members(const Json& object) : object_(object) {}
    std::int64_t number(const char* key, std::int64_t least, std::int64_t most) {
        auto found = object_.find(key);
        auto value = found == object_.end() ? std::nullopt : number_in(*found, least, most);
        if (!value) whole_ = false;
        return value.value_or(least);
    }
    std::string text(const char* key, std::size_t longest) {
        auto found = object_.find(key);
        if (found == object_.end() || !found->is_string() ||
            found->get_ref<const std::string&>().size() > longest) {
            whole_ = false;
            return {};
        }
        return *found;
    }
    bool has(const char* key) const { return object_.contains(key); }
    bool whole() const { return whole_; }
    void fail() { whole_ = false; }

  private:
    const Json& object_;
    bool whole_ = true;
};

std::string of_text(const DistinctCount& distinct) {
    switch (distinct.of) {
        case DistinctCount::Of::ip:
            return "ip";
        case DistinctCount::Of::country:
            return "country";
        case DistinctCount::Of::asn:
            return "asn";
        case DistinctCount::Of::field:
            break;
    }
    return "field " + distinct.field;
}

std::string as_hexadecimal(std::uint64_t number) {
    std::array<char, 16> digits{};
    auto [end, fault] = std::to_chars(digits.data(), digits.data() + digits.size(), number, 16);
    return {digits.data(), end};
}
std::optional<std::uint64_t> from_hexadecimal(const Json& value) {
    if (!value.is_string()) return {};
    const auto& text = value.get_ref<const std::string&>();
    std::uint64_t number = 0;
    auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
    if (fault != std::errc{} || end != text.data() + text.size()) return {};
    return number;
}

}  // namespace

std::string to_text(const JailRules& rules) {
    const BantimePolicy& bantime = rules.bantime;
    auto span = [](Duration duration) -> std::int64_t {
        return duration == forever ? -1 : duration.count();
    };
    Json object{{"jail", rules.name},
                {"maxretry", rules.maxretry},
                {"findtime", rules.findtime.count()},
                {"prefix4", rules.v4_length},
                {"prefix6", rules.v6_length},
                {"bantime", span(bantime.base)}};
    if (rules.distinct) object["distinct"] = of_text(*rules.distinct);
    if (rules.ipv6_escalation) {
        object["escalation"] = Json::array();
        for (const EscalationStep& step : *rules.ipv6_escalation)
            object["escalation"].push_back({step.length, step.offenders});
    }
    if (bantime.increment) {
        object["factor"] = static_cast<std::int64_t>(bantime.factor * 1000);
        object["maximum"] = span(bantime.maximum);
        object["jitter"] = bantime.jitter.count();
    }
    if (bantime.extend) object["extend"] = true;
    return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<JailRules> parse_shared_rules(std::string_view text) {
    Json object = Json::parse(text, nullptr, false);
    if (!object.is_object()) return {};
    Members fields(object);
    JailRules rules;
    rules.name = fields.text("jail", 128);
    rules.maxretry = static_cast<std::uint32_t>(fields.number("maxretry", 1, most_shared_maxretry));
    rules.findtime = Duration(fields.number("findtime", 1, longest_shared_findtime.count()));
    rules.v4_length = static_cast<int>(fields.number("prefix4", 8, 32));
    rules.v6_length = static_cast<int>(fields.number("prefix6", 16, 128));
    auto span = [&](const char* key) {
        std::int64_t length = fields.number(key, -1, latest_time);
        return length < 0 ? forever : Duration(length);
    };
    rules.bantime.base = span("bantime");
    if (fields.has("distinct")) {
        std::string of = fields.text("distinct", 128);
        DistinctCount distinct;
        if (of == "ip")
            distinct.of = DistinctCount::Of::ip;
        else if (of == "country")
            distinct.of = DistinctCount::Of::country;
        else if (of == "asn")
            distinct.of = DistinctCount::Of::asn;
        else if (of.starts_with("field "))
            distinct = {DistinctCount::Of::field, of.substr(6)};
        else
            fields.fail();
        rules.distinct = std::move(distinct);
    }
    if (fields.has("escalation")) {
        rules.ipv6_escalation.emplace();
        const Json& steps = object["escalation"];
        if (!steps.is_array() || steps.size() > 16) return {};
        for (const Json& step : steps) {
            if (!step.is_array() || step.size() != 2) return {};
            auto length = number_in(step[0], 8, 127), offenders = number_in(step[1], 2, 1'000'000);
            if (!length || !offenders) return {};
            rules.ipv6_escalation->push_back(
                {static_cast<int>(*length), static_cast<std::uint32_t>(*offenders)});
        }
    }
    if (fields.has("factor")) {
        rules.bantime.increment = true;
        rules.bantime.factor = static_cast<double>(fields.number("factor", 1000, 1'000'000)) / 1000;
        rules.bantime.maximum = span("maximum");
        rules.bantime.jitter = Duration(fields.number("jitter", 0, latest_time));
    }
    rules.bantime.extend = object.value("extend", Json(false)) == true;
    if (!fields.whole() || rules.name.empty()) return {};
    return rules;
}

std::string to_text(const HitBatch& batch) {
    Json hits = Json::array();
    for (const SharedHit& hit : batch.hits) {
        Json one{hit.time.us, to_string(hit.address), hit.weight, hit.id.low};
        if (hit.value != 0) one.push_back(as_hexadecimal(hit.value));
        hits.push_back(std::move(one));
    }
    return Json{{"v", fleet_language},
                {"life", as_hexadecimal(batch.life)},
                {"rules", Json::parse(batch.rules)},
                {"hits", std::move(hits)}}
        .dump();
}

std::optional<HitBatch> parse_hit_batch(std::string_view text) {
    Json object = Json::parse(text, nullptr, false);
    if (!object.is_object() || object.value("v", Json(0)) != fleet_language) return {};
    auto life = from_hexadecimal(object.value("life", Json()));
    auto rules = object.find("rules");
    auto hits = object.find("hits");
    if (!life || rules == object.end() || !rules->is_object() || hits == object.end() ||
        !hits->is_array() || hits->size() > most_hits_of_batch)
        return {};
    HitBatch batch{*life, rules->dump(-1, ' ', false, Json::error_handler_t::replace), {}};
    for (const Json& one : *hits) {
        if (!one.is_array() || one.size() < 4 || !one[1].is_string()) return {};
        SharedHit hit;
        auto time = number_in(one[0], 0, latest_time);
        auto address = parse_address(one[1].get_ref<const std::string&>());
        auto weight = number_in(one[2], 1, most_shared_maxretry);
        auto number = number_in(one[3], 0, INT64_MAX);
        if (!time || !address || !weight || !number) return {};
        hit.time = {*time};
        hit.address = *address;
        hit.weight = static_cast<std::uint32_t>(*weight);
        hit.id = {batch.life, static_cast<std::uint64_t>(*number)};
        if (one.size() > 4) {
            auto value = from_hexadecimal(one[4]);
            if (!value) return {};
            hit.value = *value;
        }
        batch.hits.push_back(hit);
    }
    return batch;
}

SipKey hiding_key(std::string_view hexadecimal) {
    SipKey key{};
    for (std::size_t i = 0; i < key.size(); ++i) {
        std::string_view digits = hexadecimal.substr(std::min(16 * i, hexadecimal.size()), 16);
        std::from_chars(digits.data(), digits.data() + digits.size(), key[i], 16);
    }
    return key;
}

std::uint64_t hidden_value(const SipKey& key, std::string_view jail, std::string_view value) {
    std::uint64_t hidden = sip_hash(key, std::string(jail) + '\0' + std::string(value));
    return hidden == 0 ? 1 : hidden;
}

}  // namespace bandd
