// SPDX-License-Identifier: GPL-2.0-or-later
// bandctl allow, set, stop, start: what changes the configuration until it is taken back; and
// config, which shows it.
#include <array>
#include <charconv>

#include "config/types.h"
#include "control/settings.h"
#include "core/base/typed_prefix.h"
#include "core/decide/engine.h"
#include "daemon/ban_json.h"
#include "daemon/commands.h"
#include "daemon/overrides.h"
#include "os/clock.h"

namespace bandd {
namespace {

Json to_json(const Overrides::Allowed& one) {
    Json json{{"ip", to_string(one.prefix)},
              {"since", format_rfc3339(one.since)},
              {"until", time_to_json(one.until)},
              {"reason", one.reason}};
    if (!one.jail.empty()) json["jail"] = one.jail;
    return json;
}

Json to_json(const CommandParts& parts, const std::vector<Ban>& bans) {
    Json list = Json::array();
    for (const Ban& ban : bans)
        if (list.size() < most_in_an_answer)
            list.push_back(ban_to_json(ban, parts.engine.rules(ban.key.jail).name));
    return list;
}

Json allow(CommandParts& parts, const Json& arguments, const Reply&) {
    auto prefix = read_prefix(text_argument(arguments, "ip"));
    if (!prefix) return failure(prefix.error(), exit_usage);
    if (is_too_wide_to_allow(*prefix))
        return failure({"allow " + to_string(*prefix), "it is too wide", "stop jails instead", {}});
    std::string jail = text_argument(arguments, "jail");
    if (!jail.empty() && parts.overrides.loaded_jail(jail) == nullptr)
        return failure(no_such_jail(parts, jail));
    Instant at = now();
    Overrides::Allowed one{*prefix, jail, at, never, text_argument(arguments, "reason")};
    if (std::string span = text_argument(arguments, "for"); !span.empty()) {
        auto duration = parse_duration(span);
        if (!duration || *duration <= Duration{0}) return failure(bad_duration(span), exit_usage);
        one.until = at + *duration;
    }
    Json result = to_json(one);
    if (auto taken = parts.overrides.allow(std::move(one)); !taken) return failure(taken.error());
    result["bans"] = to_json(parts, parts.renew_rules());
    for (const Ban* ban : parts.engine.bans_over(*prefix))
        if (jail.empty() || parts.engine.rules(ban->key.jail).name == jail)
            result["covered_by"].push_back(
                ban_to_json(*ban, parts.engine.rules(ban->key.jail).name));
    return success(std::move(result));
}

Json allow_list(CommandParts& parts, const Json&, const Reply&) {
    Json list = Json::array();
    for (const Overrides::Allowed& one : parts.overrides.allowed()) list.push_back(to_json(one));
    return success({{"allowed", std::move(list)}});
}

Json allow_remove(CommandParts& parts, const Json& arguments, const Reply&) {
    auto prefix = read_prefix(text_argument(arguments, "ip"));
    if (!prefix) return failure(prefix.error(), exit_usage);
    std::string jail = text_argument(arguments, "jail");
    if (!parts.overrides.disallow(*prefix, jail)) {
        std::string what = to_string(*prefix) + (jail.empty() ? "" : " in jail \"" + jail + "\"");
        return failure({what,
                        "is not allowed by hand",
                        "bandctl allow list shows what is; of one jail's, name it with --jail",
                        {}});
    }
    parts.renew_rules();
    return success({{"ip", to_string(*prefix)}});
}

std::optional<std::uint32_t> parse_count(const std::string& text) {
    std::uint32_t number = 0;
    auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (fault != std::errc{} || end != text.data() + text.size()) return {};
    if (number < 1 || number > Overrides::most_maxretry) return {};
    return number;
}

constexpr std::string_view reset_word = "default";

// `value` is `reset_word` where the configuration's is to hold again.
Result<> set_limit(Overrides::Limits& limits, const std::string& key, const std::string& value) {
    bool reset = value == reset_word;
    if (key == "maxretry") {
        limits.maxretry = reset ? std::nullopt : parse_count(value);
        if (!reset && !limits.maxretry)
            return fail("maxretry \"" + value + "\"", "is no number from 1 to 1000");
        return {};
    }
    if (key != "bantime" && key != "findtime")
        return fail("\"" + key + "\"", "cannot be set at run time",
                    "bantime, findtime and maxretry can");
    auto& limit = key == "bantime" ? limits.bantime : limits.findtime;
    limit = reset ? std::nullopt : parse_duration(value);
    if (reset) return {};
    if (!limit || *limit <= Duration{0}) return std::unexpected(bad_duration(value));
    if (key == "findtime" && *limit == forever)
        return fail("findtime", "cannot be for ever", "write 10m, 1h or 1d");
    return {};
}

Json set(CommandParts& parts, const Json& arguments, const Reply&) {
    std::string jail = text_argument(arguments, "jail");
    std::string key = text_argument(arguments, "key");
    std::string value = text_argument(arguments, "value");
    const Overrides::Limits* known = parts.overrides.limits(jail);
    auto found = find_jail(parts, jail);
    // What was set for a jail that is stopped, or gone, can be taken back.
    if (!found && !(known != nullptr && value == reset_word)) return failure(found.error());
    Overrides::Limits limits;
    if (known != nullptr) limits = *known;
    if (auto done = set_limit(limits, key, value); !done) return failure(done.error(), exit_usage);
    parts.overrides.set_limits(jail, limits);
    if (!found) return success({{"jail", jail}, {"key", key}, {"reset", true}});
    parts.renew_rules();
    const JailRules& rules = parts.engine.rules(*found);
    return success({{"jail", jail},
                    {"maxretry", rules.maxretry},
                    {"findtime", rules.today ? "today" : format_duration(rules.findtime)},
                    {"bantime", format_duration(rules.bantime.base)}});
}

// Whether it can be stopped or started.
Result<> check_stopped(const CommandParts& parts, const std::string& jail, bool stopped) {
    const Overrides::Limits* limits = parts.overrides.limits(jail);
    bool is_stopped = limits != nullptr && limits->stopped;
    // One that was stopped may have left the configuration since.
    if (!is_stopped && parts.overrides.loaded_jail(jail) == nullptr)
        return std::unexpected(no_such_jail(parts, jail));
    if (is_stopped == stopped)
        return fail("jail \"" + jail + "\"", stopped ? "is stopped already" : "is not stopped");
    return {};
}

Result<> set_stopped(CommandParts& parts, const std::string& jail, bool stopped) {
    Overrides::Limits before;
    if (const Overrides::Limits* known = parts.overrides.limits(jail)) before = *known;
    Overrides::Limits limits = before;
    limits.stopped = stopped;
    parts.overrides.set_limits(jail, limits);
    auto done = parts.renew_jails();
    if (!done) parts.overrides.set_limits(jail, before);
    return done;
}

// Its bans are lifted first, some at a time: there may be a million.
std::optional<Json> stop(CommandParts& parts, const Json& arguments, const Reply& reply) {
    std::string jail = text_argument(arguments, "jail");
    if (auto good = check_stopped(parts, jail, true); !good) return failure(good.error());
    lift_all(
        parts, {.jail = parts.engine.find_jail(jail), .why = Unbanned::Why::jail_gone},
        [](const Ban&) {},
        [=, &parts](std::size_t count) {
            std::size_t before = parts.engine.bans().size();
            if (auto done = set_stopped(parts, jail, true); !done)
                return reply(failure(done.error()));
            // Those that were made meanwhile.
            count += before - std::min(before, parts.engine.bans().size());
            reply(success({{"jail", jail}, {"stopped", true}, {"unbanned", count}}));
        });
    return {};
}

Json start(CommandParts& parts, const Json& arguments, const Reply&) {
    std::string jail = text_argument(arguments, "jail");
    if (auto good = check_stopped(parts, jail, false); !good) return failure(good.error());
    if (auto done = set_stopped(parts, jail, false); !done) return failure(done.error());
    Json done{{"jail", jail}, {"stopped", false}, {"unbanned", 0}};
    if (parts.overrides.loaded_jail(jail) == nullptr) done["configured"] = false;
    return success(std::move(done));
}

void add_changes(Json& json, const std::string& jail, const Overrides& overrides) {
    constexpr const char* by_set = "bandctl set";
    if (const Overrides::Limits* limits = overrides.limits(jail)) {
        if (limits->stopped) json["stopped"] = true;
        if (limits->maxretry) put_over(json, "maxretry", std::to_string(*limits->maxretry), by_set);
        if (limits->findtime)
            put_over(json, "findtime", format_duration(*limits->findtime), by_set);
        if (limits->bantime) put_over(json, "bantime", format_duration(*limits->bantime), by_set);
    }
    for (const Overrides::Allowed& one : overrides.allowed())
        if (one.jail.empty() || one.jail == jail)
            json["settings"].push_back({{"key", "ignoreip"},
                                        {"value", to_string(one.prefix)},
                                        {"set_by", "bandctl allow"}});
}

// What is in force: what was loaded, and what was changed since.
Json config(CommandParts& parts, const Json& arguments, const Reply&) {
    std::string jail = text_argument(arguments, "jail");
    if (jail.empty()) {
        Json json = settings_to_json(parts.config);
        for (Json& one : json["jails"])
            if (const auto* limits = parts.overrides.limits(one["jail"].get<std::string>()))
                one[limits->stopped ? "stopped" : "changed"] = true;
        return success(std::move(json));
    }
    auto json = settings_to_json(parts.config, jail);
    if (!json) return failure(no_jail_in_files(parts.config, jail));
    add_changes(*json, jail, parts.overrides);
    return success(std::move(*json));
}

}  // namespace

std::span<const CommandRow> override_commands() {
    static const std::array table{
        CommandRow{"allow", allow, true},
        CommandRow{"allow list", allow_list},
        CommandRow{"allow remove", allow_remove, true},
        CommandRow{"config", config},
        CommandRow{"set", set, true},
        CommandRow{"stop", stop, true},
        CommandRow{"start", start, true},
    };
    return table;
}

}  // namespace bandd
