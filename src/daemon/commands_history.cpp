// SPDX-License-Identifier: GPL-2.0-or-later
// bandctl explain, history: what is known of an address, and what was. The part of it that is on
// disk comes from the store's thread.
#include <algorithm>
#include <array>

#include "core/decide/engine.h"
#include "core/text/datetime.h"
#include "daemon/ban_json.h"
#include "daemon/checkpointer.h"
#include "daemon/commands.h"
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

// What one jail knows of `prefix`, with only its name if that is nothing. `on_disk` gets bans of
// before the last start: their lines are not in memory.
Json explain_jail(const CommandParts& parts, JailIndex jail, const Prefix& prefix,
                  std::vector<PastBan>& on_disk) {
    const Engine& engine = parts.engine;
    const JailRules& rules = engine.rules(jail);
    Json entry{{"jail", rules.name}};
    Json bans = Json::array();
    for (const Ban& ban : engine.bans()) {
        if (ban.key.jail != jail || !contains(ban.key.prefix, prefix.network)) continue;
        bans.push_back(ban_to_json_with_matches(ban, rules.name));
        if (!ban.by_hand && (!ban.story || ban.story->matches.empty()))
            on_disk.push_back({rules.name, ban.key.prefix, ban.from, ban.until, {}});
    }
    if (!bans.empty()) entry["bans"] = bans;
    Prefix key = engine.key_for(jail, prefix.network);
    if (auto window = engine.windows(jail).find(key)) {
        entry["counted"] = {{"as", to_string(key)},
                            {"hits", window->times.size()},
                            {"maxretry", rules.maxretry},
                            {"of", counted_text(rules)},
                            {"findtime", findtime_text(rules)},
                            {"matches", matches_to_json(engine.kept_lines(jail, key))}};
    }
    if (Json wider = wider_prefixes(engine, jail, key); !wider.empty()) entry["wider"] = wider;
    if (engine.is_own(jail, prefix.network))
        entry["ignored"] = "it is an address of this machine";
    else if (engine.is_ignored(jail, prefix.network))
        entry["ignored"] = "ignoreip holds it";
    if (rules.where && prefix.is_single() &&
        rules.where->evaluate({prefix.network, {}, &parts.facts}) == Truth::no)
        entry["where"] = rules.where->text();
    if (auto offences = engine.offences(jail, key))
        entry["earlier"] = {{"bans", offences->count}, {"last", format_rfc3339(offences->last)}};
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

std::optional<Json> explain(CommandParts& parts, const Json& arguments, const CommandReply& reply) {
    std::string text = text_argument(arguments, "ip");
    auto prefix = parse_prefix(text);
    if (!prefix) return failure(bad_address(text), exit_usage);
    Json jails = Json::array();
    std::vector<PastBan> on_disk;
    for (JailIndex jail : parts.engine.jails()) {
        Json entry = explain_jail(parts, jail, *prefix, on_disk);
        if (entry.size() > 1) jails.push_back(std::move(entry));
    }
    Json result{{"ip", to_string(*prefix)}, {"jails", std::move(jails)}};
    if (!parts.facts.empty() && prefix->is_single())
        result["origin"] = to_json(parts.facts.origin(prefix->network));
    if (on_disk.empty()) return success(std::move(result));
    auto answer = [result, on_disk, reply](std::vector<BanDetails> details) mutable {
        add_details(result, on_disk, details);
        reply(success(std::move(result)));
    };
    if (!parts.checkpointer.store().find_details(std::move(on_disk), answer))
        return failure({"explain", "too many requests are waiting", "try again", {}});
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

// "2d": so long ago. "2026-11-21": its midnight; without a zone, in this machine's. Nothing: it is
// neither.
std::optional<Instant> since_when(const std::string& text, Instant at) {
    if (auto span = parse_duration(text)) return at - *span;
    std::string stamp = text.size() == 10 ? text + " 00:00:00" : text;
    auto written = scan_iso_date(stamp);
    if (!written || written->length != stamp.size()) return {};
    auto zone = read_zone("");
    if (!zone) return {};
    return resolve(*written, *zone, at);
}

std::optional<Json> history(CommandParts& parts, const Json& arguments, const CommandReply& reply) {
    HistoryQuery query;
    if (std::string text = text_argument(arguments, "ip"); !text.empty()) {
        query.within = parse_prefix(text);
        if (!query.within) return failure(bad_address(text), exit_usage);
    }
    query.jail = text_argument(arguments, "jail");
    if (std::string text = text_argument(arguments, "since"); !text.empty()) {
        auto since = since_when(text, now());
        if (!since)
            return failure({"since \"" + text + "\"",
                            "is neither a duration nor a date",
                            "write 2d, 12h or 2026-11-21",
                            {}},
                           exit_usage);
        query.since = *since;
    }
    query.limit = std::min(limit_argument(arguments, query.limit), most_in_an_answer);
    auto answer = [reply](const std::vector<PastBan>& bans) {
        Json list = Json::array();
        for (const PastBan& past : bans) list.push_back(to_json(past));
        reply(success({{"bans", std::move(list)}}));
    };
    // What the last checkpoint does not know yet is to be found, too.
    parts.checkpointer.write_now(now());
    if (!parts.checkpointer.store().find_history(std::move(query), answer))
        return failure({"history", "too many requests are waiting", "try again", {}});
    return {};
}

}  // namespace

std::span<const CommandRow> history_commands() {
    static const std::array table{
        CommandRow{"explain", explain},
        CommandRow{"history", history},
    };
    return table;
}

}  // namespace bandd
