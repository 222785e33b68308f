// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/ban_json.h"

#include "core/base/zone.h"

namespace bandd {
namespace {

std::string_view state_name(BanState state) {
    switch (state) {
        case BanState::pending:
            return "pending";
        case BanState::active:
            return "active";
        case BanState::simulated:
            return "simulated";
    }
    return "?";
}

}  // namespace

Json time_to_json(Instant at) {
    if (at == never) return nullptr;
    return format_rfc3339(at);
}

Json matches_to_json(const std::vector<Match>& matches) {
    Json list = Json::array();
    for (const Match& match : matches)
        list.push_back({{"time", format_rfc3339(match.time)},
                        {"pattern", match.pattern},
                        {"line", match.line}});
    return list;
}

Json ban_to_json(const Ban& ban, std::string_view jail) {
    Json json{{"ip", to_string(ban.key.prefix)},
              {"jail", jail},
              {"from", format_rfc3339(ban.from)},
              {"until", time_to_json(ban.until)},
              {"state", state_name(ban.state)},
              {"hits", ban.hits},
              {"offence", ban.offence},
              {"by_hand", ban.by_hand},
              {"reason", ban.story ? ban.story->reason : ""}};
    if (ban.even_if_ignored) json["even_if_ignored"] = true;
    return json;
}

Json ban_to_json_with_matches(const Ban& ban, std::string_view jail) {
    Json json = ban_to_json(ban, jail);
    if (!ban.story) return json;
    json["matches"] = matches_to_json(ban.story->matches);
    Json fields = Json::object();
    for (const auto& [name, value] : ban.story->fields) fields[name] = value;
    if (!fields.empty()) json["fields"] = fields;
    return json;
}

}  // namespace bandd
