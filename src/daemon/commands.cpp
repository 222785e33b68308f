// SPDX-License-Identifier: GPL-2.0-or-later
// bandctl's commands, as the daemon answers them.
#include <algorithm>

#include "core/base/suggest.h"
#include "core/text/datetime.h"
#include "daemon/daemon.h"
#include "os/clock.h"
#include "os/zoneinfo.h"

namespace bandd {
namespace {

constexpr std::size_t default_limit = 10'000;  // bans in one answer

Json time_or_null(Instant at) {
    if (at == never) return nullptr;
    return format_rfc3339(at);
}

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

Json matches_to_json(const std::vector<Match>& matches) {
    Json list = Json::array();
    for (const Match& match : matches)
        list.push_back({{"time", format_rfc3339(match.time)},
                        {"pattern", match.pattern},
                        {"line", match.line}});
    return list;
}

Error no_such_jail(const std::string& name, const std::vector<JailRules>& rules) {
    std::vector<std::string_view> names;
    for (const JailRules& jail : rules) names.push_back(jail.name);
    return {"jail \"" + name + "\"", "there is no such jail", did_you_mean(name, names), {}};
}

Error bad_address(const std::string& text) {
    return {"\"" + text + "\"",
            "is no address and no CIDR block",
            "write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/64",
            {}};
}

}  // namespace

Json Daemon::ban_to_json(const Ban& ban, bool with_matches) const {
    Json json{{"ip", to_string(ban.key.prefix)},
              {"jail", jail_name(ban.key.jail)},
              {"from", format_rfc3339(ban.from)},
              {"until", time_or_null(ban.until)},
              {"state", state_name(ban.state)},
              {"hits", ban.hits},
              {"offence", ban.offence},
              {"by_hand", ban.by_hand},
              {"reason", ban.story ? ban.story->reason : ""}};
    if (with_matches && ban.story) {
        json["matches"] = matches_to_json(ban.story->matches);
        Json fields = Json::object();
        for (const auto& [name, value] : ban.story->fields) fields[name] = value;
        if (!fields.empty()) json["fields"] = fields;
    }
    return json;
}

std::optional<Json> Daemon::on_command(const std::string& command, const Json& arguments,
                                       ControlServer::Reply reply) {
    if (command == "status") return status(arguments);
    if (command == "bans") return list_bans(arguments);
    // What a person orders stands in no log to be read again: written at once.
    if (command == "ban" || command == "unban" || command == "flush") write_soon();
    if (command == "ban") return ban(arguments);
    if (command == "unban") return unban(arguments);
    if (command == "accounts") return list_accounts(arguments);
    if (command == "account") return change_account(arguments);
    if (command == "explain") return explain(arguments, std::move(reply));
    if (command == "history") return history(arguments, std::move(reply));
    if (command == "version")
        return success({{"version", BANDD_VERSION}, {"protocol", protocol_version}});
    if (command == "watch") return success("watching");
    if (command == "reload") {
        if (auto done = reload(); !done) return failure(done.error(), exit_usage);
        return success({{"jails", config_.jails.size()}});
    }
    if (command == "flush") {
        Outcome outcome;
        std::size_t count = engine_->unban_all({}, Unbanned::Why::by_hand, now(), outcome);
        pipeline_->put(outcome, now());
        return success({{"unbanned", count}});
    }
    return failure(
        {"command \"" + command + "\"", "there is no such command", "see bandctl --help", {}},
        exit_usage);
}

Json Daemon::status(const Json& arguments) {
    std::string wanted = text_argument(arguments, "jail");
    if (!wanted.empty() && !engine_->find_jail(wanted))
        return failure(no_such_jail(wanted, engine_->rules()));
    std::vector<std::size_t> active(engine_->rules().size());
    std::vector<std::size_t> pending(engine_->rules().size());
    for (const Ban& ban : engine_->bans())
        ++(ban.state == BanState::pending ? pending : active)[ban.key.jail];
    Json jails = Json::array();
    for (std::size_t i = 0; i < engine_->rules().size(); ++i) {
        auto index = static_cast<JailIndex>(i);
        const JailRules& rules = engine_->rules()[i];
        if (!wanted.empty() && rules.name != wanted) continue;
        const JailCounts& counts = engine_->counts(index);
        Json logs = Json::array();
        for (std::size_t log : pipeline_->logs_of(index)) {
            Json entry{{"path", watch_->logs()[log].spec.path}};
            Json files = Json::array();
            for (const Reader& reader : watch_->readers()) {
                if (!reader.logs.contains(log) || reader.finished) continue;
                TailPosition at = reader.tail.position();
                files.push_back({{"path", at.path},
                                 {"offset", at.offset},
                                 {"size", reader.tail.size()},
                                 {"open", reader.tail.is_open()}});
            }
            entry["files"] = files;
            if (const Error* error = watch_->error(log))
                entry["error"] = to_line(*error);
            else if (watch_->waiting(log))
                entry["waiting"] = true;
            logs.push_back(std::move(entry));
        }
        if (auto journal = streams_->journal(index)) {
            Json entry{
                {"path", "journal"}, {"entries", journal->entries}, {"files", Json::array()}};
            if (journal->error) entry["error"] = to_line(*journal->error);
            logs.push_back(std::move(entry));
        }
        for (const SyslogListener* listener : streams_->listeners(index)) {
            const SyslogCounts& heard = listener->counts();
            logs.push_back({{"path", to_string(listener->address())},
                            {"files", Json::array()},
                            {"messages", heard.messages},
                            {"refused", heard.refused},
                            {"dropped", heard.dropped},
                            {"failed_handshakes", heard.failed_handshakes},
                            {"last_failure", heard.last_failure},
                            {"cut", heard.cut},
                            {"clients", listener->clients()},
                            {"clients_refused", heard.clients_refused}});
        }
        Json actions = Json::array();
        for (const TargetStatus& target : dispatch_->targets()) {
            if (target.spec.jail != index) continue;
            Json entry{{"action", action_name(target.spec.action)},
                       {"ready", target.prepared || !target.error},
                       {"applied", target.applied},
                       {"failures", target.failures},
                       {"repairs", target.repairs},
                       {"waiting", target.waiting}};
            if (target.error) entry["error"] = to_line(*target.error);
            actions.push_back(std::move(entry));
        }
        Json jail{{"jail", rules.name},
                  {"filter", config_.jails[i].filter},
                  {"description", config_.jails[i].description},
                  {"maxretry", rules.maxretry},
                  {"findtime", rules.today ? "today" : format_duration(rules.findtime)},
                  {"bantime", format_duration(rules.bantime.base)},
                  {"simulate", rules.simulate},
                  {"bans", active[i]},
                  {"pending", pending[i]},
                  {"tracked", engine_->windows(index).size()},
                  {"evicted", engine_->windows(index).evicted()},
                  {"hits", counts.hits},
                  {"ignored", counts.ignored},
                  {"too_old", counts.too_old},
                  {"already_banned", counts.already_banned},
                  {"total_bans", counts.bans},
                  {"total_unbans", counts.unbans},
                  {"logs", logs},
                  {"actions", actions}};
        jails.push_back(std::move(jail));
    }
    const ScanCounts& scanned = pipeline_->counts();
    Json result{{"version", BANDD_VERSION},
                {"pid", getpid()},
                {"started", format_rfc3339(started_)},
                {"config", options_.config},
                {"state", config_.state},
                {"lines", scanned.lines},
                {"candidates", scanned.candidates},
                {"cut_lines", pipeline_->cut_lines()},
                {"no_address", scanned.no_address},
                {"undated", scanned.undated},
                {"matcher_fallbacks", scanned.set_failures},
                {"matcher_gave_up", scanned.gave_up},
                {"host_names", engine_->hits_of_names()},
                {"waiting_hits", engine_->waiting().size()},
                {"lost_waiting_hits", engine_->waiting().lost()},
                {"look_ups", asker_->counts().look_ups},
                {"look_ups_unanswered", asker_->counts().unanswered},
                {"ignorecommands", asker_->counts().programs},
                {"connections_evicted", engine_->conversations_evicted()},
                {"lost_notices", watch_->overflows()},
                {"refused_bans", engine_->refused_bans()},
                {"refused_clients", control_->refused()},
                {"lost_log_lines", log_.lost()},
                {"jails", jails}};
    Json endpoints = Json::array();
    for (const Endpoints::Listening& one : endpoints_->servers()) {
        const StreamCounts& counts = one.server->counts();
        endpoints.push_back({{"what", one.what},
                             {"listen", to_string(one.server->address())},
                             {"clients", one.server->clients()},
                             {"accepted", counts.accepted},
                             {"refused", counts.refused},
                             {"too_many", counts.too_many},
                             {"cut_off", counts.cut_off},
                             {"bad_tls", counts.bad_tls},
                             {"last_failure", counts.last_failure}});
    }
    result["endpoints"] = std::move(endpoints);
    Json decisions = Json::object();
    for (const auto& [name, counts] : endpoints_->counts())
        decisions[name] = {{"passed", counts.passed},
                           {"refused_country", counts.refused_country},
                           {"refused_account", counts.refused_account},
                           {"reports", counts.reports},
                           {"bad", counts.bad}};
    result["decisions"] = std::move(decisions);
    result["accounts"] = engine_->accounts().size();
    result["accounts_evicted"] = engine_->accounts().evicted();
    if (store_error_) result["state_error"] = to_line(*store_error_);
    return success(std::move(result));
}

Json Daemon::list_bans(const Json& arguments) {
    std::optional<JailIndex> jail;
    if (std::string name = text_argument(arguments, "jail"); !name.empty()) {
        jail = engine_->find_jail(name);
        if (!jail) return failure(no_such_jail(name, engine_->rules()));
    }
    std::optional<Prefix> within;
    if (std::string text = text_argument(arguments, "prefix"); !text.empty()) {
        within = parse_prefix(text);
        if (!within) return failure(bad_address(text), exit_usage);
    }
    std::string sort = text_argument(arguments, "sort");
    std::vector<const Ban*> found;
    for (const Ban& ban : engine_->bans()) {
        if (jail && ban.key.jail != *jail) continue;
        if (within && !contains(*within, ban.key.prefix.network) &&
            !contains(ban.key.prefix, within->network))
            continue;
        found.push_back(&ban);
    }
    std::size_t limit = default_limit;
    if (auto given = arguments.find("limit");
        given != arguments.end() && given->is_number_unsigned())
        limit = given->get<std::size_t>();
    auto shown = found.begin() + static_cast<std::ptrdiff_t>(std::min(limit, found.size()));
    std::ranges::partial_sort(found, shown, [&](const Ban* a, const Ban* b) {
        if (sort == "ip" && a->key.prefix != b->key.prefix) return a->key.prefix < b->key.prefix;
        if (sort == "until" && a->until != b->until) return a->until < b->until;
        if (sort == "jail" && a->key.jail != b->key.jail) return a->key.jail < b->key.jail;
        if (sort == "hits" && a->hits != b->hits) return a->hits > b->hits;
        if (sort != "ip" && a->from != b->from) return a->from > b->from;
        if (a->key.prefix != b->key.prefix) return a->key.prefix < b->key.prefix;
        return a->key.jail < b->key.jail;
    });
    Json list = Json::array();
    for (const Ban* ban : found) {
        if (list.size() >= limit) break;
        list.push_back(ban_to_json(*ban, false));
    }
    return success({{"bans", std::move(list)}, {"total", found.size()}});
}

Json Daemon::ban(const Json& arguments) {
    std::string text = text_argument(arguments, "ip");
    auto prefix = parse_prefix(text);
    if (!prefix) return failure(bad_address(text), exit_usage);
    std::string name = text_argument(arguments, "jail");
    if (name.empty()) name = manual_jail;
    auto jail = engine_->find_jail(name);
    if (!jail) return failure(no_such_jail(name, engine_->rules()));
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
        order.prefix = engine_->key_for(*jail, prefix->network);
    Outcome outcome;
    Instant at = now();
    if (auto done = engine_->ban_by_hand(order, at, outcome); !done) return failure(done.error());
    pipeline_->put(outcome, at);
    Report report;
    dispatch_->flush(at, report);
    on_report(report);
    const Ban& ban = *engine_->bans().find({*jail, order.prefix});
    Json result = ban_to_json(ban, false);
    if (ban.state == BanState::pending)
        for (const TargetStatus& target : dispatch_->targets())
            if (target.spec.jail == *jail && target.error) result["error"] = to_line(*target.error);
    return success(std::move(result));
}

Json Daemon::unban(const Json& arguments) {
    std::optional<JailIndex> jail;
    if (std::string name = text_argument(arguments, "jail"); !name.empty()) {
        jail = engine_->find_jail(name);
        if (!jail) return failure(no_such_jail(name, engine_->rules()));
    }
    Outcome outcome;
    Instant at = now();
    std::size_t count = 0;
    if (arguments.value("all", Json(false)) == true) {
        count = engine_->unban_all(jail, Unbanned::Why::by_hand, at, outcome);
    } else {
        std::string text = text_argument(arguments, "ip");
        auto prefix = parse_prefix(text);
        if (!prefix) return failure(bad_address(text), exit_usage);
        count = engine_->unban(jail, *prefix, at, outcome);
        if (count == 0)
            return failure({to_string(*prefix), "is not banned", "bandctl bans shows who is", {}});
    }
    Json list = Json::array();
    for (const Event& event : outcome.events)
        if (const auto* unbanned = std::get_if<Unbanned>(&event))
            if (list.size() < default_limit) list.push_back(ban_to_json(unbanned->ban, false));
    pipeline_->put(outcome, at);
    Report report;
    dispatch_->flush(at, report);
    on_report(report);
    return success({{"unbanned", count}, {"bans", std::move(list)}});
}

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

}  // namespace

std::optional<Json> Daemon::explain(const Json& arguments, ControlServer::Reply reply) {
    std::string text = text_argument(arguments, "ip");
    auto prefix = parse_prefix(text);
    if (!prefix) return failure(bad_address(text), exit_usage);
    Json jails = Json::array();
    // Lines of bans from before the last start are not in memory.
    std::vector<PastBan> on_disk;
    for (std::size_t i = 0; i < engine_->rules().size(); ++i) {
        auto index = static_cast<JailIndex>(i);
        const JailRules& rules = engine_->rules()[i];
        Json entry{{"jail", rules.name}};
        Json bans = Json::array();
        for (const Ban& ban : engine_->bans()) {
            if (ban.key.jail != index || !contains(ban.key.prefix, prefix->network)) continue;
            bans.push_back(ban_to_json(ban, true));
            if (!ban.by_hand && (!ban.story || ban.story->matches.empty()))
                on_disk.push_back({rules.name, ban.key.prefix, ban.from, ban.until, {}});
        }
        if (!bans.empty()) entry["bans"] = bans;
        Prefix key = engine_->key_for(index, prefix->network);
        if (auto window = engine_->windows(index).find(key)) {
            entry["counted"] = {{"as", to_string(key)},
                                {"hits", window->times.size()},
                                {"maxretry", rules.maxretry},
                                {"of", counted_text(rules)},
                                {"findtime", findtime_text(rules)},
                                {"matches", matches_to_json(engine_->kept_lines(index, key))}};
        }
        if (engine_->is_own(index, prefix->network))
            entry["ignored"] = "it is an address of this machine";
        else if (engine_->is_ignored(index, prefix->network))
            entry["ignored"] = "ignoreip holds it";
        if (rules.where && prefix->is_single() &&
            rules.where->evaluate({prefix->network, {}, &facts_}) == Truth::no)
            entry["where"] = rules.where->text();
        if (auto offences = engine_->offences(index, key))
            entry["earlier"] = {{"bans", offences->count},
                                {"last", format_rfc3339(offences->last)}};
        if (entry.size() > 1) jails.push_back(std::move(entry));
    }
    Json result{{"ip", to_string(*prefix)}, {"jails", std::move(jails)}};
    if (!facts_.empty() && prefix->is_single())
        result["origin"] = to_json(facts_.origin(prefix->network));
    if (on_disk.empty()) return success(std::move(result));
    auto answer = [result, on_disk, reply](std::vector<BanDetails> details) mutable {
        for (std::size_t i = 0; i < details.size(); ++i)
            for (Json& jail : result["jails"]) {
                if (jail["jail"] != on_disk[i].jail || !jail.contains("bans")) continue;
                for (Json& ban : jail["bans"]) {
                    if (ban["ip"] != to_string(on_disk[i].prefix)) continue;
                    ban["matches"] = matches_to_json(details[i].matches);
                    for (const auto& [name, value] : details[i].fields) ban["fields"][name] = value;
                }
            }
        reply(success(std::move(result)));
    };
    if (!store_->find_details(std::move(on_disk), answer))
        return failure({"explain", "too many questions are waiting", "try again", {}});
    return {};
}

std::optional<Json> Daemon::history(const Json& arguments, ControlServer::Reply reply) {
    HistoryQuery query;
    if (std::string text = text_argument(arguments, "ip"); !text.empty()) {
        query.within = parse_prefix(text);
        if (!query.within) return failure(bad_address(text), exit_usage);
    }
    query.jail = text_argument(arguments, "jail");
    if (std::string text = text_argument(arguments, "since"); !text.empty()) {
        auto span = parse_duration(text);
        // A day alone begins at its midnight; without a zone, it is this machine's.
        std::string stamp = text.size() == 10 ? text + " 00:00:00" : text;
        std::optional<Instant> date;
        if (auto written = scan_iso_date(stamp);
            !span && written && written->length == stamp.size())
            if (auto zone = read_zone("")) date = resolve(*written, *zone, now());
        if (!span && !date)
            return failure({"since \"" + text + "\"",
                            "is neither a duration nor a date",
                            "write 2d, 12h or 2026-11-21",
                            {}},
                           exit_usage);
        query.since = date ? *date : now() - *span;
    }
    if (auto given = arguments.find("limit");
        given != arguments.end() && given->is_number_unsigned())
        query.limit = std::min(given->get<std::size_t>(), default_limit);
    auto answer = [reply](std::vector<PastBan> bans) {
        Json list = Json::array();
        for (const PastBan& past : bans) {
            Json entry{{"ip", to_string(past.prefix)},      {"jail", past.jail},
                       {"from", format_rfc3339(past.from)}, {"until", time_or_null(past.until)},
                       {"offence", past.offence},           {"hits", past.hits},
                       {"by_hand", past.by_hand},           {"reason", past.reason}};
            if (past.ended) {
                entry["ended"] = format_rfc3339(*past.ended);
                entry["why"] = past.why == Unbanned::Why::expired   ? "its time was over"
                               : past.why == Unbanned::Why::by_hand ? "by hand"
                                                                    : "its jail went away";
            }
            list.push_back(std::move(entry));
        }
        reply(success({{"bans", std::move(list)}}));
    };
    // What the last checkpoint does not know yet shall be found, too.
    checkpoint(now(), false);
    if (!store_->find_history(std::move(query), answer))
        return failure({"history", "too many questions are waiting", "try again", {}});
    return {};
}

}  // namespace bandd
