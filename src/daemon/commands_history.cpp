// SPDX-License-Identifier: GPL-2.0-or-later
// bandctl explain, history: what is known of an address, and what was. The part of it that is on
// disk comes from the store's thread.
#include <algorithm>
#include <array>
#include <map>

#include "action/dispatch.h"
#include "config/geoblock.h"
#include "config/ports.h"
#include "core/base/typed_prefix.h"
#include "core/decide/engine.h"
#include "core/text/datetime.h"
#include "daemon/ban_json.h"
#include "daemon/checkpointer.h"
#include "daemon/commands.h"
#include "daemon/overrides.h"
#include "daemon/slices.h"
#include "facts/databases.h"
#include "os/clock.h"
#include "os/zoneinfo.h"
#include "store/store.h"

namespace bandd {
namespace {

std::string findtime_text(const JailRules& rules) {
    return rules.today ? "one day" : format_duration(rules.findtime);
}

std::string counted_text(const JailRules& rules) {
    if (!rules.weights.empty()) return "failures";
    if (!rules.distinct) return "hits";
    switch (rules.distinct->of) {
        case DistinctCount::Of::ip:
            return "different addresses";
        case DistinctCount::Of::country:
            return "different countries";
        case DistinctCount::Of::asn:
            return "different networks";
        case DistinctCount::Of::field:
            return "different values of \"" + rules.distinct->field + "\"";
    }
    return "hits";
}

// The wider IPv6 prefixes that `key` counts to, with their offenders so far.
Json wider_prefixes(const Engine& engine, JailIndex jail, const Prefix& key) {
    Json all = Json::array();
    const Escalation& escalation = engine.escalation(jail);
    escalation.for_wider(key, [&](const Prefix& wider, std::uint32_t needed) {
        std::vector<Prefix> offenders = escalation.offenders(wider);
        if (offenders.empty()) return;
        Json names = Json::array();
        for (const Prefix& offender : offenders) names.push_back(to_string(offender));
        Json one{{"prefix", to_string(wider)},
                 {"offenders", std::move(names)},
                 {"needed", needed},
                 {"findtime", findtime_text(engine.rules(jail))}};
        if (engine.holds_exempt(jail, wider)) one["never"] = "it holds an ignored or own address";
        all.push_back(std::move(one));
    });
    return all;
}

// What is narrower than a block that was asked for, and in it. There may be millions to look at:
// some at a time. What comes or goes meanwhile may be in it or not.
class InsideBlock {
  public:
    static constexpr std::size_t most_named = 20;  // bans of a jail
    struct OfJail {
        std::size_t banned = 0, counting = 0;
        std::vector<Prefix> named;
    };

    InsideBlock(const Engine& engine, const Prefix& block) : engine_(engine), block_(block) {}
    const OfJail& of(JailIndex jail) { return jails_[jail]; }
    // False: all were looked at.
    bool look() { return look_at_bans() || look_at_windows(); }

  private:
    static constexpr std::uint32_t slots_a_step = 1024;
    bool holds(const Prefix& one) const {
        return one.length > block_.length && contains(block_, one.network);
    }
    bool look_at_bans() {
        const BanTable& bans = engine_.bans();
        if (ban_ >= bans.slots()) return false;
        for (std::uint32_t end = ban_ + slots_a_step; ban_ < end; ++ban_) {
            const Ban* ban = bans.at(ban_);
            if (ban == nullptr || !holds(ban->key.prefix)) continue;
            OfJail& jail = jails_[ban->key.jail];
            ++jail.banned;
            if (jail.named.size() < most_named) jail.named.push_back(ban->key.prefix);
        }
        return true;
    }
    // The windows of all jails share their slots.
    bool look_at_windows() {
        if (engine_.jails().empty()) return false;
        const WindowTable& any = engine_.windows(engine_.jails().front());
        auto end = static_cast<std::uint32_t>(
            std::min<std::size_t>(any.slots(), std::size_t{window_} + slots_a_step));
        if (window_ >= end) return false;
        for (; window_ < end; ++window_) {
            if (!holds(any.key_in(window_))) continue;
            for (JailIndex jail : engine_.jails())
                if (engine_.windows(jail).has(window_)) ++jails_[jail].counting;
        }
        return true;
    }

    const Engine& engine_;
    Prefix block_;
    std::uint32_t ban_ = 0, window_ = 0;
    std::map<JailIndex, OfJail> jails_;
};

void add_inside(Json& entry, const InsideBlock::OfJail& inside) {
    if (inside.banned + inside.counting == 0) return;
    Json bans = Json::array();
    for (const Prefix& ban : inside.named) bans.push_back(to_string(ban));
    entry["inside"] = {{"banned", inside.banned}, {"bans", bans}, {"counting", inside.counting}};
}

// What one jail knows of `prefix`, with only its name if that is nothing. `on_disk` gets bans of
// before the last start: their lines are not in memory.
Json explain_jail(const CommandParts& parts, JailIndex jail, const Prefix& prefix,
                  const std::vector<const Ban*>& over, std::vector<PastBan>& on_disk) {
    const Engine& engine = parts.engine;
    const JailRules& rules = engine.rules(jail);
    Json entry{{"jail", rules.name}};
    Json bans = Json::array();
    for (const Ban* ban : over) {
        if (ban->key.jail != jail) continue;
        bans.push_back(ban_to_json_with_matches(*ban, rules.name));
        if (!rules.weights.empty()) bans.back()["weighed"] = true;
        if (!ban->by_hand && (!ban->story || ban->story->matches.empty()))
            on_disk.push_back({rules.name, ban->key.prefix, ban->from, ban->until, {}});
    }
    if (!bans.empty()) {
        entry["bans"] = bans;
        for (const TargetStatus& target : parts.dispatch.targets())
            if (const auto* nftables = std::get_if<NftablesAction>(&target.spec.action);
                nftables != nullptr && target.spec.jail == jail)
                entry["ports"].push_back(to_string(nftables->ports));
    }
    Prefix key = prefix.is_single() ? engine.key_for(jail, prefix.network) : prefix;
    if (auto window = engine.windows(jail).find(key)) {
        entry["counted"] = {{"as", to_string(key)},
                            {"hits", window->times.size()},
                            {"maxretry", rules.maxretry},
                            {"of", counted_text(rules)},
                            {"findtime", findtime_text(rules)},
                            {"matches", matches_to_json(engine.kept_lines(jail, key))}};
    }
    if (Json wider = wider_prefixes(engine, jail, key); !wider.empty()) entry["wider"] = wider;
    if (!prefix.is_single()) {
        if (engine.holds_exempt(jail, prefix))
            entry["ignored"] = "it holds an ignored or own address";
    } else if (engine.is_own(jail, prefix.network))
        entry["ignored"] = "it is an address of this machine";
    else if (engine.is_ignored(jail, prefix.network))
        entry["ignored"] = "ignoreip holds it";
    if (const Overrides::Allowed* allowed = parts.overrides.allows(prefix, rules.name)) {
        std::string until =
            allowed->until == never ? "" : " until " + format_rfc3339(allowed->until);
        entry["ignored"] = to_string(allowed->prefix) + " is allowed by hand" + until +
                           (allowed->reason.empty() ? "" : ": " + allowed->reason);
    }
    if (rules.where && prefix.is_single() &&
        rules.where->evaluate({prefix.network, {}, &parts.facts}) == Truth::no)
        entry["where"] = rules.where->text();
    if (auto offences = engine.offences(jail, key))
        entry["earlier"] = {{"bans", offences->count},
                            {"until", time_to_json(offences->last + parts.config.dbpurgeage)}};
    return entry;
}

// Puts what the store found of `bans` into the answer that was made without it.
void add_details(Json& result, const std::vector<PastBan>& bans,
                 const std::vector<BanDetails>& details) {
    for (std::size_t i = 0; i < details.size(); ++i)
        for (Json& jail : result["jails"]) {
            if (jail["jail"] != bans[i].jail || !jail.contains("bans")) continue;
            for (Json& ban : jail["bans"]) {
                if (ban["ip"] != to_string(bans[i].prefix)) continue;
                ban["matches"] = matches_to_json(details[i].matches);
                for (const auto& [name, value] : details[i].fields) ban["fields"][name] = value;
            }
        }
}

void add_origin(Json& result, const CommandParts& parts, const Address& address) {
    Origin origin = parts.facts.origin(address);
    auto blocks = geoblocks_of(parts.config.geoblocks, address, origin.country);
    if (!blocks.empty()) result["blocked_by"] = blocks;
    result["origin"] = to_json(origin);
}

bool is_exempt_anywhere(const Json& result) {
    return std::ranges::any_of(result["jails"],
                               [](const Json& jail) { return jail.contains("ignored"); });
}

// The bans that were lifted because they held what is ignored now, the last one of each jail.
void add_lifted(Json& result, const std::vector<PastBan>& past) {
    for (Json& jail : result["jails"]) {
        auto lifted = std::ranges::find_if(past, [&](const PastBan& ban) {
            return ban.ended && ban.why == Unbanned::Why::ignored &&
                   ban.jail == jail["jail"].get<std::string>();
        });
        if (lifted == past.end()) continue;
        jail["lifted"] = {{"ip", to_string(lifted->prefix)},
                          {"from", format_rfc3339(lifted->from)},
                          {"at", format_rfc3339(*lifted->ended)},
                          {"reason", lifted->reason}};
    }
}

Json too_many_wait(const char* command) {
    return failure({command, "too many requests are waiting", "try again", {}});
}

// Also what the last checkpoint does not know yet is found.
void find_history(CommandParts& parts, const char* command, HistoryQuery query, const Reply& reply,
                  std::function<void(std::vector<PastBan>)> then) {
    Checkpointer& checkpointer = parts.checkpointer;
    checkpointer.hand_over(now(), [=, &checkpointer, query = std::move(query)] {
        if (!checkpointer.store().find_history(query, then)) reply(too_many_wait(command));
    });
}

// Gives the answer with what is on disk of what was lifted.
void answer_with_lifted(CommandParts& parts, const Prefix& prefix, Json result,
                        const Reply& reply) {
    HistoryQuery query;
    query.within = prefix;
    find_history(parts, "explain", std::move(query), reply,
                 [result = std::move(result), reply](std::vector<PastBan> past) mutable {
                     add_lifted(result, past);
                     reply(success(std::move(result)));
                 });
}

// `inside`: of a block, what is in it; of an address nothing.
std::optional<Json> explain_with(CommandParts& parts, const Prefix& prefix, InsideBlock* inside,
                                 const Reply& reply) {
    Json jails = Json::array();
    std::vector<PastBan> on_disk;
    std::vector<const Ban*> over = parts.engine.bans_over(prefix);
    for (JailIndex jail : parts.engine.jails()) {
        Json entry = explain_jail(parts, jail, prefix, over, on_disk);
        if (inside != nullptr) add_inside(entry, inside->of(jail));
        if (entry.size() > 1) jails.push_back(std::move(entry));
    }
    Json result{{"ip", to_string(prefix)}, {"jails", std::move(jails)}};
    if (!parts.facts.empty() && prefix.is_single()) add_origin(result, parts, prefix.network);
    bool exempt = is_exempt_anywhere(result);
    if (on_disk.empty() && !exempt) return success(std::move(result));
    auto answer = [=, &parts](std::vector<BanDetails> details) mutable {
        add_details(result, on_disk, details);
        if (!exempt)
            reply(success(std::move(result)));
        else
            answer_with_lifted(parts, prefix, std::move(result), reply);
    };
    if (!parts.checkpointer.store().find_details(on_disk, answer)) return too_many_wait("explain");
    return {};
}

std::optional<Json> explain(CommandParts& parts, const Json& arguments, const Reply& reply) {
    std::string text = text_argument(arguments, "ip");
    auto prefix = read_prefix(text);
    if (!prefix) return failure(prefix.error(), exit_usage);
    if (prefix->is_single()) return explain_with(parts, *prefix, nullptr, reply);
    auto inside = std::make_shared<InsideBlock>(parts.engine, *prefix);
    parts.slices.add([=, &parts, block = *prefix] {
        if (inside->look()) return true;
        if (auto answer = explain_with(parts, block, inside.get(), reply)) reply(*answer);
        return false;
    });
    return {};
}

std::string_view why_ended(Unbanned::Why why) {
    switch (why) {
        case Unbanned::Why::expired:
            return "its time was over";
        case Unbanned::Why::by_hand:
            return "by hand";
        case Unbanned::Why::jail_gone:
            return "its jail went away";
        case Unbanned::Why::ignored:
            return "ignored since";
        case Unbanned::Why::fleet:
            return "by the fleet";
    }
    return "?";
}

Json to_json(const PastBan& past) {
    Json json{{"ip", to_string(past.prefix)},      {"jail", past.jail},
              {"from", format_rfc3339(past.from)}, {"until", time_to_json(past.until)},
              {"offence", past.offence},           {"hits", past.hits},
              {"by_hand", past.by_hand},           {"reason", past.reason}};
    if (past.ended) {
        json["ended"] = format_rfc3339(*past.ended);
        json["why"] = why_ended(past.why);
    }
    return json;
}

constexpr std::size_t most_of_history = 100'000;  // bans in an answer

std::optional<Json> history(CommandParts& parts, const Json& arguments, const Reply& reply) {
    HistoryQuery query;
    if (std::string text = text_argument(arguments, "ip"); !text.empty()) {
        auto prefix = read_prefix(text);
        if (!prefix) return failure(prefix.error(), exit_usage);
        query.within = *prefix;
    }
    query.jail = text_argument(arguments, "jail");
    if (std::string text = text_argument(arguments, "since"); !text.empty()) {
        auto since = since_when(text, now());
        if (!since) return failure(since.error(), exit_usage);
        query.since = *since;
    }
    std::size_t limit = std::min(limit_argument(arguments, query.limit), most_of_history);
    query.limit = limit + 1;  // to know whether there is more
    // A jail that is gone may have a past.
    std::optional<Error> unknown;
    if (!query.jail.empty() && !parts.engine.find_jail(query.jail))
        unknown = no_such_jail(parts, query.jail);
    auto answer = [reply, unknown, limit, &parts](std::vector<PastBan> bans) {
        if (unknown && bans.empty()) return reply(failure(*unknown));
        auto list = std::make_shared<ListAnswer>("bans");
        parts.slices.add([=, bans = std::move(bans)] {
            if (list->rows() < std::min(limit, bans.size())) {
                list->add(to_json(bans[list->rows()]));
                return true;
            }
            Json others{{"more", bans.size() > limit}};
            if (limit == most_of_history) others["most"] = limit;
            reply.line(std::move(*list).line(others));
            return false;
        });
    };
    find_history(parts, "history", std::move(query), reply, answer);
    return {};
}

}  // namespace

Result<Instant> since_when(const std::string& text, Instant at) {
    if (auto span = parse_duration(text)) return at - *span;
    std::string stamp = text.size() == 10 ? text + " 00:00:00" : text;
    auto written = scan_iso_date(stamp);
    auto zone = read_zone("");
    if (!zone || !written || written->length != stamp.size())
        return fail("since \"" + text + "\"", "is neither a duration nor a date",
                    "write 2d, 12h or 2026-11-21");
    return resolve(*written, *zone, at);
}

std::span<const CommandRow> history_commands() {
    static const std::array table{
        CommandRow{"explain", explain},
        CommandRow{"history", history},
    };
    return table;
}

}  // namespace bandd
