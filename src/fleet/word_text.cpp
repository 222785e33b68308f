// SPDX-License-Identifier: GPL-2.0-or-later
#include "fleet/word_text.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "core/base/printable.h"
#include "fleet/membership.h"

namespace bandd {
namespace {

using Json = nlohmann::json;

constexpr std::array kinds{"decided", "counted", "lifted"};
// Of times: those of people live between 1970 and 10,000 years later.
constexpr std::int64_t latest_time = 400'000'000'000'000'000;

std::optional<std::int64_t> whole_number(const Json& object, const char* key, std::int64_t most) {
    auto found = object.find(key);
    if (found == object.end() || !found->is_number_integer()) return {};
    if (found->is_number_unsigned() &&
        found->get<std::uint64_t>() > static_cast<std::uint64_t>(most))
        return {};
    auto number = found->get<std::int64_t>();
    if (number < 0 || number > most) return {};
    return number;
}

bool read_makers(const Json& object, BanWord& word) {
    auto found = object.find("makers");
    if (found == object.end() || !found->is_array() || found->empty() ||
        found->size() > most_makers)
        return false;
    for (const Json& maker : *found) {
        if (!maker.is_string() || !is_fleet_name(maker.get_ref<const std::string&>())) return false;
        word.makers.push_back(maker);
    }
    std::ranges::sort(word.makers);
    auto doubles = std::ranges::unique(word.makers);
    word.makers.erase(doubles.begin(), doubles.end());
    return true;
}

}  // namespace

std::string to_text(const BanWord& word) {
    Json object{{"v", fleet_language},
                {"kind", kinds[static_cast<std::size_t>(word.kind)]},
                {"at", word.stamp.time.us / 1000},
                {"n", word.stamp.counter}};
    if (word.kind != BanWord::Kind::lifted) {
        object["from"] = word.from.us;
        if (word.until != never) object["until"] = word.until.us;
        object["offence"] = word.offence;
        object["hits"] = word.hits;
        object["makers"] = Json::array();
        std::size_t bytes = 0;
        for (const std::string& maker : word.makers) {
            bytes += maker.size() + 3;  // quotes and a comma
            if (object["makers"].size() >= most_makers || bytes > longest_makers) break;
            object["makers"].push_back(maker);
        }
        object["reason"] = word.reason.substr(0, longest_word_reason);
    }
    return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<BanWord> parse_ban_word(std::string_view text, std::string_view node) {
    Json object = Json::parse(text, nullptr, false);
    if (!object.is_object() || whole_number(object, "v", INT32_MAX) != fleet_language) return {};
    BanWord word;
    auto kind = object.find("kind");
    if (kind == object.end() || !kind->is_string()) return {};
    auto known = std::ranges::find(kinds, kind->get_ref<const std::string&>());
    if (known == kinds.end()) return {};
    word.kind = static_cast<BanWord::Kind>(known - kinds.begin());
    auto at = whole_number(object, "at", latest_time / 1000);
    auto counter = whole_number(object, "n", UINT32_MAX);
    if (!at || !counter) return {};
    word.stamp = {{*at * 1000}, static_cast<std::uint32_t>(*counter), std::string(node)};
    if (word.kind == BanWord::Kind::lifted) {
        word.from = word.until = word.stamp.time;
        return word;
    }
    auto from = whole_number(object, "from", latest_time);
    auto until = whole_number(object, "until", latest_time);
    auto offence = whole_number(object, "offence", UINT32_MAX);
    auto hits = whole_number(object, "hits", UINT32_MAX);
    bool for_ever = object.find("until") == object.end();
    if (!from || (!until && !for_ever) || !offence || *offence == 0 || !hits ||
        !read_makers(object, word))
        return {};
    word.from = {*from};
    word.until = for_ever ? never : Instant{*until};
    word.offence = static_cast<std::uint32_t>(*offence);
    word.hits = static_cast<std::uint32_t>(*hits);
    if (auto reason = object.find("reason"); reason != object.end() && reason->is_string())
        word.reason =
            printable(reason->get_ref<const std::string&>().substr(0, longest_word_reason));
    bool ends_well = word.is_counted() ? word.until >= word.from : word.until > word.from;
    if (!ends_well) return {};
    return word;
}

}  // namespace bandd
