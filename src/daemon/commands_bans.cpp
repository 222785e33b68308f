// SPDX-License-Identifier: GPL-2.0-or-later
// bandctl bans, ban, unban, flush.
#include <algorithm>
#include <array>

#include "action/dispatch.h"
#include "config/types.h"
#include "core/decide/engine.h"
#include "daemon/ban_json.h"
#include "daemon/commands.h"
#include "daemon/pipeline.h"
#include "os/clock.h"

namespace bandd {
namespace {

const std::string& jail_name(const CommandParts& parts, const Ban& ban) {
    return parts.engine.rules(ban.key.jail).name;
}

Json bans(CommandParts& parts, const Json& arguments, const CommandReply&) {
    std::optional<JailIndex> jail;
    if (std::string name = text_argument(arguments, "jail"); !name.empty()) {
        jail = parts.engine.find_jail(name);
        if (!jail) return failure(no_such_jail(name, parts.engine));
    }
    std::optional<Prefix> within;
    if (std::string text = text_argument(arguments, "prefix"); !text.empty()) {
        within = parse_prefix(text);
        if (!within) return failure(bad_address(text), exit_usage);
    }
    std::string sort = text_argument(arguments, "sort");
    std::vector<std::size_t> order(parts.engine.jail_names().size());  // by jail: as configured
    for (std::size_t i = 0; JailIndex one : parts.engine.jails()) order[one] = i++;
    std::vector<const Ban*> found;
    for (const Ban& ban : parts.engine.bans()) {
        if (jail && ban.key.jail != *jail) continue;
        if (within && !contains(*within, ban.key.prefix.network) &&
            !contains(ban.key.prefix, within->network))
            continue;
        found.push_back(&ban);
    }
    std::size_t shown = std::min(limit_argument(arguments), found.size());
    auto end = found.begin() + static_cast<std::ptrdiff_t>(shown);
    std::ranges::partial_sort(found, end, [&](const Ban* a, const Ban* b) {
        if (sort == "ip" && a->key.prefix != b->key.prefix) return a->key.prefix < b->key.prefix;
        if (sort == "until" && a->until != b->until) return a->until < b->until;
        if (sort == "jail" && a->key.jail != b->key.jail)
            return order[a->key.jail] < order[b->key.jail];
        if (sort == "hits" && a->hits != b->hits) return a->hits > b->hits;
        if (sort != "ip" && a->from != b->from) return a->from > b->from;
        if (a->key.prefix != b->key.prefix) return a->key.prefix < b->key.prefix;
        return order[a->key.jail] < order[b->key.jail];
    });
    Json list = Json::array();
    for (auto ban = found.begin(); ban != end; ++ban)
        list.push_back(ban_to_json(**ban, jail_name(parts, **ban)));
    return success({{"bans", std::move(list)}, {"total", found.size()}});
}

Json ban(CommandParts& parts, const Json& arguments, const CommandReply&) {
    std::string text = text_argument(arguments, "ip");
    auto prefix = parse_prefix(text);
    if (!prefix) return failure(bad_address(text), exit_usage);
    std::string name = text_argument(arguments, "jail");
    if (name.empty()) name = manual_jail;
    auto jail = parts.engine.find_jail(name);
    if (!jail) return failure(no_such_jail(name, parts.engine));
    Engine::BanOrder order{*jail,
                           *prefix,
                           {},
                           text_argument(arguments, "reason"),
                           arguments.value("force", Json(false)) == true};
    if (std::string span = text_argument(arguments, "for"); !span.empty()) {
        order.bantime = parse_duration(span);
        if (!order.bantime || *order.bantime <= Duration{0})
            return failure(
                {"\"" + span + "\"", "is no duration", "write 90, 10m, 2h, 1d12h or forever", {}},
                exit_usage);
    }
    // An address alone means what the jail bans as one: an IPv6 host's /64.
    if (prefix->is_single() && text.find('/') == std::string::npos)
        order.prefix = parts.engine.key_for(*jail, prefix->network);
    Outcome outcome;
    Instant at = now();
    if (auto done = parts.engine.ban_by_hand(order, at, outcome); !done)
        return failure(done.error());
    parts.pipeline.put_at_once(outcome, at);
    const Ban& made = *parts.engine.bans().find({*jail, order.prefix});
    Json result = ban_to_json(made, name);
    if (made.state == BanState::pending)
        for (const TargetStatus& target : parts.dispatch.targets())
            if (target.spec.jail == *jail && target.error) result["error"] = to_line(*target.error);
    return success(std::move(result));
}

Json unban(CommandParts& parts, const Json& arguments, const CommandReply&) {
    std::optional<JailIndex> jail;
    if (std::string name = text_argument(arguments, "jail"); !name.empty()) {
        jail = parts.engine.find_jail(name);
        if (!jail) return failure(no_such_jail(name, parts.engine));
    }
    Outcome outcome;
    Instant at = now();
    std::size_t count = 0;
    if (arguments.value("all", Json(false)) == true) {
        count = parts.engine.unban_all(jail, Unbanned::Why::by_hand, at, outcome);
    } else {
        std::string text = text_argument(arguments, "ip");
        auto prefix = parse_prefix(text);
        if (!prefix) return failure(bad_address(text), exit_usage);
        count = parts.engine.unban(jail, *prefix, at, outcome);
        if (count == 0)
            return failure({to_string(*prefix), "is not banned", "bandctl bans shows who is", {}});
    }
    Json list = Json::array();
    for (const Event& event : outcome.events)
        if (const auto* ended = std::get_if<Unbanned>(&event);
            ended != nullptr && list.size() < most_in_an_answer)
            list.push_back(ban_to_json(ended->ban, jail_name(parts, ended->ban)));
    parts.pipeline.put_at_once(outcome, at);
    return success({{"unbanned", count}, {"bans", std::move(list)}});
}

Json flush(CommandParts& parts, const Json&, const CommandReply&) {
    Outcome outcome;
    Instant at = now();
    std::size_t count = parts.engine.unban_all({}, Unbanned::Why::by_hand, at, outcome);
    parts.pipeline.put(outcome, at);
    return success({{"unbanned", count}});
}

}  // namespace

std::span<const CommandRow> ban_commands() {
    static const std::array table{
        CommandRow{"bans", bans},
        CommandRow{"ban", ban, true},
        CommandRow{"unban", unban, true},
        CommandRow{"flush", flush, true},
    };
    return table;
}

}  // namespace bandd
