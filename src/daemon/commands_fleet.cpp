// SPDX-License-Identifier: GPL-2.0-or-later
// bandctl fleet status, and what bandctl fleet unban wants to know.
#include <array>

#include "core/base/typed_prefix.h"
#include "core/decide/engine.h"
#include "daemon/ban_json.h"
#include "daemon/commands.h"
#include "daemon/fleet.h"
#include "os/clock.h"

namespace bandd {
namespace {

Json no_fleet() {
    return failure({"fleet",
                    "this machine is in none",
                    "name its file in bandd.yaml: fleet: {join: /etc/bandd/fleet.join}",
                    {}});
}

Json seconds_of(Duration span) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(span).count() / 1000.0;
}

Json fleet_status(CommandParts& parts, const Json&, const Reply&) {
    if (parts.fleet == nullptr) return no_fleet();
    const Fleet& fleet = *parts.fleet;
    const FleetAccess& access = fleet.access();
    const FleetMember& member = fleet.member();
    const Fleet::Counts& counts = fleet.counts();
    Json json{{"fleet", access.fleet},
              {"node", access.node},
              {"counts", access.counts()},
              {"connected", fleet.state().connected},
              {"server", fleet.state().server},
              {"trouble", fleet.state().why_not},
              {"behind", fleet.behind()},
              {"unpublished", member.unpublished()},
              {"known", member.words().size()},
              {"heard", counts.heard},
              {"adopted", counts.adopted},
              {"dropped", counts.dropped},
              {"exempt", counts.exempt},
              {"no_room", counts.no_room},
              {"not_shared", counts.not_shared},
              {"unwitnessed", counts.unwitnessed},
              {"overwritten", member.overwritten()},
              {"clones", counts.clones},
              {"lost_live", fleet.state().lost},
              {"foreign", fleet.state().foreign},
              {"hits_told", counts.hits_told},
              {"hits_lost", counts.hits_lost},
              {"outbox_bytes", fleet.outbox_bytes()},
              {"refused", Json::object()},
              {"nodes", Json::array()}};
    for (std::size_t i = 0; i < FleetMember::refusals; ++i) {
        auto why = static_cast<FleetMember::Refusal>(i);
        if (member.refused(why) > 0)
            json["refused"][std::string(to_words(why))] = member.refused(why);
    }
    if (access.counts()) {
        const FleetCounter::Counts& counted = fleet.counter().counts();
        json["counting"] = {{"hits", counted.counted},       {"known", counted.known},
                            {"too_late", counted.too_late},  {"ahead", counted.ahead},
                            {"no_room", counted.no_room},    {"malformed", counted.malformed},
                            {"kept", fleet.counter().hits()}};
        json["differing_rules"] = Json::array();
        for (const auto& [jail, sets] : fleet.counter().rules_by_jail())
            if (sets > 1) json["differing_rules"].push_back(jail);
    }
    Instant at = now();
    for (const auto& [name, node] : fleet.nodes())
        json["nodes"].push_back({{"node", name},
                                 {"version", node.version},
                                 {"said", format_rfc3339(node.said)},
                                 {"silent", at - node.said > Fleet::heartbeat * 3},
                                 {"clock_ahead", seconds_of(node.clock)},
                                 {"unpublished", node.unpublished}});
    return success(std::move(json));
}

// Of which jails somebody banned this address or block.
Json fleet_jails(CommandParts& parts, const Json& arguments, const Reply&) {
    if (parts.fleet == nullptr) return no_fleet();
    auto prefix = read_prefix(text_argument(arguments, "ip"));
    if (!prefix) return failure(prefix.error(), exit_usage);
    Json list = Json::array();
    for (const Fleet::Told& told : parts.fleet->all_told_of(*prefix, now()))
        list.push_back({{"jail", told.jail},
                        {"said_by", told.ban.said_by},
                        {"makers", told.ban.makers},
                        {"until", time_to_json(told.ban.until)}});
    return success({{"bans", std::move(list)}});
}

const std::array table{CommandRow{"fleet status", fleet_status},
                       CommandRow{"fleet jails", fleet_jails}};

}  // namespace

std::span<const CommandRow> fleet_commands() { return table; }

}  // namespace bandd
