// SPDX-License-Identifier: GPL-2.0-or-later
#include "control/settings.h"

#include <algorithm>
#include <utility>

#include "core/base/suggest.h"

namespace bandd {
namespace {

void put_place(Json& json, const Place& where) {
    if (where.file.empty()) return;
    json["file"] = where.file;
    json["line"] = where.line;
}

Json to_json(const std::vector<Setting>& settings) {
    Json list = Json::array();
    for (const Setting& setting : settings) {
        Json& one = list.emplace_back(Json{{"key", setting.key}, {"value", setting.value}});
        put_place(one, setting.where);
    }
    return list;
}

const char* to_word(JailUse use) {
    switch (use) {
        case JailUse::used:
            return "used";
        case JailUse::disabled:
            return "disabled";
        case JailUse::idle:
            return "idle";
    }
    std::unreachable();
}

Json head_of(const JailSettings& jail) {
    Json json{{"jail", jail.name}, {"use", to_word(jail.use)}};
    put_place(json, jail.where);
    return json;
}

}  // namespace

Json settings_to_json(const Config& config) {
    Json jails = Json::array();
    for (const JailSettings& jail : config.jail_settings) jails.push_back(head_of(jail));
    return {{"file", config.file}, {"settings", to_json(config.settings)}, {"jails", jails}};
}

std::optional<Json> settings_to_json(const Config& config, const std::string& jail) {
    auto found = std::ranges::find(config.jail_settings, jail, &JailSettings::name);
    if (found == config.jail_settings.end()) return {};
    Json json = head_of(*found);
    json["settings"] = to_json(found->settings);
    return json;
}

void put_over(Json& jail, const std::string& key, const std::string& value, const char* set_by) {
    Json& settings = jail["settings"];
    auto found =
        std::ranges::find_if(settings, [&](const Json& setting) { return setting["key"] == key; });
    Json changed{{"key", key}, {"value", value}, {"set_by", set_by}};
    if (found == settings.end()) {
        settings.push_back(std::move(changed));
        return;
    }
    changed["configured"] = (*found)["value"];
    for (const char* place : {"file", "line"})
        if (found->contains(place)) changed[place] = (*found)[place];
    *found = std::move(changed);
}

Error no_jail_in_files(const Config& config, const std::string& jail) {
    std::vector<std::string_view> names;
    for (const JailSettings& one : config.jail_settings) names.push_back(one.name);
    return {"jail \"" + jail + "\"",
            "the configuration names no such jail",
            did_you_mean(jail, names),
            {}};
}

}  // namespace bandd
