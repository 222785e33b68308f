// SPDX-License-Identifier: GPL-2.0-or-later
// bandctl bans, ban, unban, flush.
#include <algorithm>
#include <array>
#include <cctype>
#include <expected>

#include "action/dispatch.h"
#include "config/types.h"
#include "core/base/typed_prefix.h"
#include "core/decide/engine.h"
#include "daemon/ban_json.h"
#include "daemon/checkpointer.h"
#include "daemon/commands.h"
#include "daemon/overrides.h"
#include "daemon/pipeline.h"
#include "facts/databases.h"
#include "os/clock.h"

namespace bandd {
namespace {

const std::string& jail_name(const CommandParts& parts, const Ban& ban) {
    return parts.engine.rules(ban.key.jail).name;
}

// What `bandctl bans` asks for.
struct Wanted {
    std::optional<JailIndex> jail;
    std::optional<Prefix> within;
    std::string country, reason;
    Instant since{INT64_MIN};

    bool takes(const Ban& ban, const GeoDatabases& facts) const {
        if (jail && ban.key.jail != *jail) return false;
        if (ban.from < since) return false;
        if (within && !contains(*within, ban.key.prefix.network) &&
            !contains(ban.key.prefix, within->network))
            return false;
        if (!reason.empty() && (!ban.story || ban.story->reason.find(reason) == std::string::npos))
            return false;
        return country.empty() || facts.origin(ban.key.prefix.network).country == country;
    }
};

std::expected<Wanted, Json> read_wanted(const CommandParts& parts, const Json& arguments) {
    Wanted wanted;
    if (std::string name = text_argument(arguments, "jail"); !name.empty()) {
        auto jail = find_jail(parts, name);
        if (!jail) return std::unexpected(failure(jail.error()));
        wanted.jail = *jail;
    }
    if (std::string text = text_argument(arguments, "within"); !text.empty()) {
        auto prefix = read_prefix(text);
        if (!prefix) return std::unexpected(failure(prefix.error(), exit_usage));
        wanted.within = *prefix;
    }
    if (std::string text = text_argument(arguments, "since"); !text.empty()) {
        auto since = since_when(text, now());
        if (!since) return std::unexpected(failure(since.error(), exit_usage));
        wanted.since = *since;
    }
    wanted.reason = text_argument(arguments, "reason");
    wanted.country = text_argument(arguments, "country");
    for (char& c : wanted.country)
        c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    if (!wanted.country.empty() && parts.facts.empty())
        return std::unexpected(failure({"country \"" + wanted.country + "\"",
                                        "no database says where addresses are",
                                        "name one with \"geoip:\" in bandd.yaml",
                                        {}}));
    return wanted;
}

// A part of all of them, as they stand in the table: "next" is where the rest begins. So a client
// that wants a million holds up nobody.
Json page_of_bans(const CommandParts& parts, const Wanted& wanted, std::size_t from) {
    constexpr std::size_t most_bans = 1000;
    constexpr std::size_t most_slots = 50'000;
    const BanTable& table = parts.engine.bans();
    std::size_t end = std::min<std::size_t>(table.slots(), from + most_slots);
    Json list = Json::array();
    std::size_t slot = from;
    for (; slot < end && list.size() < most_bans; ++slot) {
        const Ban* ban = table.at(static_cast<std::uint32_t>(slot));
        if (ban != nullptr && wanted.takes(*ban, parts.facts))
            list.push_back(ban_to_json(*ban, jail_name(parts, *ban)));
    }
    Json page{{"bans", std::move(list)}};
    if (slot < table.slots()) page["next"] = slot;
    return success(std::move(page));
}

Json bans(CommandParts& parts, const Json& arguments, const CommandReply&) {
    auto wanted = read_wanted(parts, arguments);
    if (!wanted) return wanted.error();
    if (auto from = arguments.find("from"); from != arguments.end())
        return page_of_bans(parts, *wanted, number_argument(arguments, "from", 0));
    std::string sort = text_argument(arguments, "sort");
    bool reverse = arguments.value("reverse", Json(false)) == true;
    std::vector<std::size_t> order(parts.engine.jail_names().size());  // by jail: as configured
    for (std::size_t i = 0; JailIndex one : parts.engine.jails()) order[one] = i++;
    std::vector<const Ban*> found;
    for (const Ban& ban : parts.engine.bans())
        if (wanted->takes(ban, parts.facts)) found.push_back(&ban);
    std::size_t skipped = std::min(number_argument(arguments, "skip", 0), found.size());
    std::size_t shown = std::min(limit_argument(arguments), found.size() - skipped);
    auto begin = found.begin() + static_cast<std::ptrdiff_t>(skipped);
    auto end = begin + static_cast<std::ptrdiff_t>(shown);
    std::ranges::partial_sort(found, end, [&](const Ban* first, const Ban* second) {
        const Ban* a = reverse ? second : first;
        const Ban* b = reverse ? first : second;
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
    for (auto ban = begin; ban != end; ++ban)
        list.push_back(ban_to_json(**ban, jail_name(parts, **ban)));
    return success({{"bans", std::move(list)}, {"total", found.size()}, {"skipped", skipped}});
}

// Blocks that are wider are mistyped more often than meant.
constexpr int widest_v4 = 16, widest_v6 = 32;

std::optional<Error> refuse_if_wide(const Engine& engine, JailIndex jail, const Prefix& prefix) {
    int widest = prefix.is_v4() ? widest_v4 : widest_v6;
    if (prefix.length >= widest) return {};
    std::string reason = "it is wider than a /" + std::to_string(widest);
    if (engine.holds_exempt(jail, prefix))
        reason += ", and ignored addresses or this machine's own are in it";
    return Error{"ban " + to_string(prefix), reason, "use --force to ban it all the same", {}};
}

// The order that these arguments are, or why it cannot be given. What is the same for many orders
// is in `for_all`.
std::expected<Engine::BanOrder, Json> read_order(const CommandParts& parts, const Json& arguments,
                                                 const Json& for_all, Instant at) {
    std::string text = text_argument(arguments, "ip");
    auto prefix = read_prefix(text);
    if (!prefix) return std::unexpected(failure(prefix.error(), exit_usage));
    auto text_of = [&](const char* key) {
        std::string own = text_argument(arguments, key);
        return own.empty() ? text_argument(for_all, key) : own;
    };
    std::string name = text_of("jail");
    auto jail = find_jail(parts, name.empty() ? std::string(manual_jail) : name);
    if (!jail) return std::unexpected(failure(jail.error()));
    Engine::BanOrder order{
        *jail, *prefix, {}, text_of("reason"), for_all.value("force", Json(false)) == true};
    if (std::string span = text_of("for"); !span.empty()) {
        order.bantime = parse_duration(span);
        if (!order.bantime || *order.bantime <= Duration{0})
            return std::unexpected(failure(bad_duration(span), exit_usage));
    }
    // An end in place of a time, in microseconds since 1970.
    if (auto until = arguments.find("until"); until != arguments.end()) {
        order.bantime = Instant{until->is_number_integer() ? until->get<std::int64_t>() : 0} - at;
        if (*order.bantime <= Duration{0})
            return std::unexpected(
                failure({"ban " + to_string(*prefix), "its time is over already", {}, {}}));
    }
    // What `bans --json` listed, to be banned again: it was meant.
    bool again = arguments.value("again", Json(false)) == true;
    if (again && arguments.value("even_if_ignored", Json(false)) == true)
        order.even_if_ignored = true;
    if (!order.even_if_ignored) {
        if (auto wide = refuse_if_wide(parts.engine, *jail, *prefix); wide && !again)
            return std::unexpected(failure(*wide));
        const JailRules& rules = parts.engine.rules(*jail);
        if (rules.ignoreip.overlaps(*prefix) && parts.overrides.allows(*prefix, rules.name))
            return std::unexpected(failure({"ban " + to_string(*prefix),
                                            "it is allowed by hand (bandctl allow list)",
                                            "use --force to ban it all the same",
                                            {}}));
    }
    // An address alone means what the jail bans as one: an IPv6 host's /64.
    if (prefix->is_single() && text.find('/') == std::string::npos)
        order.prefix = parts.engine.key_for(*jail, prefix->network);
    if (auto good = parts.engine.check_ban(order); !good)
        return std::unexpected(failure(good.error()));
    return order;
}

Json ban(CommandParts& parts, const Json& arguments, const CommandReply&) {
    Instant at = now();
    auto order = read_order(parts, arguments, arguments, at);
    if (!order) return order.error();
    Outcome outcome;
    if (auto done = parts.engine.ban_by_hand(*order, at, outcome); !done)
        return failure(done.error());
    parts.pipeline.put_at_once(outcome, at);
    const Ban& made = *parts.engine.bans().find({order->jail, order->prefix});
    Json result = ban_to_json(made, jail_name(parts, made));
    if (made.state == BanState::pending)
        for (const TargetStatus& target : parts.dispatch.targets())
            if (target.spec.jail == order->jail && target.error)
                result["error"] = to_line(*target.error);
    return success(std::move(result));
}

std::vector<const Ban*> bans_over(const CommandParts& parts, std::optional<JailIndex> jail,
                                  const Prefix& prefix) {
    std::vector<const Ban*> over = parts.engine.bans_over(prefix);
    if (jail) std::erase_if(over, [&](const Ban* ban) { return ban->key.jail != *jail; });
    return over;
}

Error nothing_lifted(const CommandParts& parts, const Prefix& prefix,
                     const std::vector<const Ban*>& over) {
    std::string who = to_string(prefix);
    if (over.empty()) return {"\"" + who + "\"", "is not banned", "bandctl bans shows who is", {}};
    std::string block = to_string(over.front()->key.prefix);
    return {
        who,
        "is banned only as a part of " + block + " (jail " + jail_name(parts, *over.front()) + ")",
        "bandctl unban " + block + " lifts that whole block, and so does --covering",
        {}};
}

// Many orders, some milliseconds' worth of them: "done" says how many. The client sends the rest
// again, so that others have their turns meanwhile.
constexpr double longest_slice = 0.002;  // seconds

// `carry_out` does one, and gives why it cannot.
Json in_slice(const Json& arguments,
              const std::function<std::optional<Json>(const Json& order)>& carry_out) {
    const Json orders = arguments.value("orders", Json::array());
    Json refused = Json::array();
    std::size_t done = 0;
    double begin = stopwatch();
    for (const Json& order : orders) {
        if (done > 0 && stopwatch() - begin > longest_slice) break;
        if (auto why = carry_out(order); why && why->contains("error"))
            refused.push_back({{"at", done}, {"error", (*why)["error"]}});
        ++done;
    }
    return {{"done", done}, {"refused", std::move(refused)}};
}

// With "check" nobody is banned, and only what would be refused is told.
Json ban_many(CommandParts& parts, const Json& arguments, const CommandReply&) {
    bool only_check = arguments.value("check", Json(false)) == true;
    Outcome outcome;
    Instant at = now();
    std::size_t made = 0, renewed = 0;
    Json result = in_slice(arguments, [&](const Json& one) -> std::optional<Json> {
        auto order = read_order(parts, one, arguments, at);
        if (!order) return order.error();
        if (only_check) return {};
        bool there = parts.engine.bans().find({order->jail, order->prefix}) != nullptr;
        if (auto done = parts.engine.ban_by_hand(*order, at, outcome); !done)
            return failure(done.error());
        ++(there ? renewed : made);
        return {};
    });
    if (!only_check) parts.checkpointer.write_soon();
    parts.pipeline.put(outcome, at);
    result["banned"] = made;
    result["renewed"] = renewed;
    return success(std::move(result));
}

Json unban_many(CommandParts& parts, const Json& arguments, const CommandReply&) {
    Outcome outcome;
    Instant at = now();
    std::size_t lifted = 0, not_banned = 0;
    bool covering = arguments.value("covering", Json(false)) == true;
    Json result = in_slice(arguments, [&](const Json& one) -> std::optional<Json> {
        auto prefix = read_prefix(text_argument(one, "ip"));
        if (!prefix) return failure(prefix.error(), exit_usage);
        std::optional<JailIndex> jail;
        std::string name = text_argument(one, "jail");
        if (name.empty()) name = text_argument(arguments, "jail");
        if (!name.empty()) {
            auto found = find_jail(parts, name);
            if (!found) return failure(found.error());
            jail = *found;
        }
        std::size_t count = parts.engine.unban(
            jail, *prefix, at, outcome, covering ? Engine::Wider::covering : Engine::Wider::stay);
        lifted += count;
        auto over = bans_over(parts, jail, *prefix);
        if (!over.empty()) return failure(nothing_lifted(parts, *prefix, over));
        if (count == 0) ++not_banned;
        return {};
    });
    parts.pipeline.put(outcome, at);
    result["unbanned"] = lifted;
    result["not_banned"] = not_banned;
    return success(std::move(result));
}

Json unban(CommandParts& parts, const Json& arguments, const CommandReply&) {
    std::optional<JailIndex> jail;
    if (std::string name = text_argument(arguments, "jail"); !name.empty()) {
        auto found = find_jail(parts, name);
        if (!found) return failure(found.error());
        jail = *found;
    }
    Outcome outcome;
    Instant at = now();
    std::size_t count = 0;
    std::vector<const Ban*> over;  // wider ones, which stay
    if (arguments.value("all", Json(false)) == true) {
        count = parts.engine.unban_all(jail, Unbanned::Why::by_hand, at, outcome);
    } else {
        std::string text = text_argument(arguments, "ip");
        auto prefix = read_prefix(text);
        if (!prefix) return failure(prefix.error(), exit_usage);
        bool all_over = arguments.value("covering", Json(false)) == true;
        count = parts.engine.unban(jail, *prefix, at, outcome,
                                   all_over ? Engine::Wider::covering : Engine::Wider::stay);
        over = bans_over(parts, jail, *prefix);
        if (count == 0) return failure(nothing_lifted(parts, *prefix, over));
    }
    Json list = Json::array();
    for (const Event& event : outcome.events)
        if (const auto* ended = std::get_if<Unbanned>(&event);
            ended != nullptr && list.size() < most_in_an_answer)
            list.push_back(ban_to_json(ended->ban, jail_name(parts, ended->ban)));
    Json result{{"unbanned", count}, {"bans", std::move(list)}};
    for (const Ban* ban : over)
        result["covered_by"].push_back(ban_to_json(*ban, jail_name(parts, *ban)));
    parts.pipeline.put_at_once(outcome, at);
    return success(std::move(result));
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
        CommandRow{"ban many", ban_many},
        CommandRow{"unban many", unban_many, true},
        CommandRow{"flush", flush, true},
    };
    return table;
}

}  // namespace bandd
