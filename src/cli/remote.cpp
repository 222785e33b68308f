// SPDX-License-Identifier: GPL-2.0-or-later
// Commands that ask the daemon.
#include <fmt/format.h>

#include <algorithm>

#include "cli/ask.h"
#include "cli/command.h"
#include "cli/output.h"
#include "control/client.h"
#include "core/base/address.h"
#include "core/base/printable.h"
#include "os/clock.h"

namespace bandd {
namespace {

// What can be seen to be wrong without the daemon.
bool is_sound(const RemoteOptions& options) {
    for (const std::string& address : {options.ip, options.prefix})
        if (!address.empty() && !parse_prefix(address)) {
            print_error({"\"" + address + "\"",
                         "is no address and no CIDR block",
                         "write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/64",
                         {}});
            return false;
        }
    if (!options.bantime.empty() && !parse_duration(options.bantime)) {
        print_error({"\"" + options.bantime + "\"",
                     "is not a duration",
                     "write 90, 10m, 1h, 1d12h or forever",
                     {}});
        return false;
    }
    return true;
}

void print_bans(const Json& bans) {
    std::vector<std::vector<std::string>> rows;
    Instant at = now();
    for (const Json& ban : bans) {
        std::string state = text(ban, "state");
        if (state == "pending") state = yellow(state);
        rows.push_back({text(ban, "ip"), text(ban, "jail"), state, local_time(text(ban, "from")),
                        local_time(text(ban, "until")), relative_time(text(ban, "until"), at),
                        text(ban, "hits"), text(ban, "reason")});
    }
    print_table({"ADDRESS", "JAIL", "STATE", "FROM", "UNTIL", "LEFT", "HITS", "REASON"}, rows);
}

void print_matches(const Json& matches) {
    for (const Json& match : matches)
        fmt::print("      {}  {}  {}\n", local_time(text(match, "time")), text(match, "pattern"),
                   text(match, "line"));
}

void print_jail(const Json& jail) {
    fmt::print("{}  {}\n", bold(text(jail, "jail")), text(jail, "description"));
    fmt::print("  bans {} active, {} pending, {} in all; hits {}; counting {} addresses\n",
               text(jail, "bans"), text(jail, "pending"), text(jail, "total_bans"),
               text(jail, "hits"), text(jail, "tracked"));
    fmt::print("  ban after {} in {} for {}{}\n", count(jail, "maxretry", "hit"),
               text(jail, "findtime"), text(jail, "bantime"),
               jail.value("simulate", false) ? yellow("  (simulate: nothing is banned)") : "");
    fmt::print("  not counted: {} ignored, {} too old, {} already banned\n", text(jail, "ignored"),
               text(jail, "too_old"), text(jail, "already_banned"));
    for (const Json& log : jail["logs"]) {
        std::string state = "reading";
        if (log.contains("error"))
            state = red(text(log, "error"));
        else if (log.value("waiting", false))
            state = yellow("waiting for it to appear");
        if (log.contains("messages"))
            state = fmt::format("listening, {} messages, {} refused, {} dropped by the kernel",
                                text(log, "messages"), text(log, "refused"), text(log, "dropped"));
        if (text(log, "failed_handshakes") != "0")
            state += fmt::format(", {} TLS failures (last: {})", text(log, "failed_handshakes"),
                                 text(log, "last_failure"));
        if (log.contains("entries") && !log.contains("error"))
            state = fmt::format("reading, {} entries", text(log, "entries"));
        fmt::print("  log {}: {}\n", text(log, "path"), state);
        for (const Json& file : log["files"])
            if (text(file, "path") != text(log, "path") || log["files"].size() > 1)
                fmt::print("    {}: {} of {} bytes\n", text(file, "path"), text(file, "offset"),
                           text(file, "size"));
    }
    for (const Json& action : jail["actions"]) {
        if (action.contains("error"))
            fmt::print("  action {}: {} ({} waiting)\n", text(action, "action"),
                       red(text(action, "error")), text(action, "waiting"));
        else
            fmt::print("  action {}: working, {} orders done\n", text(action, "action"),
                       text(action, "applied"));
    }
}

}  // namespace

int run_status(const CommonOptions& common, const RemoteOptions& options) {
    int code = 0;
    auto result = ask(common, "status", {{"jail", options.jail}}, code);
    if (!result) return code;
    if (!options.jail.empty()) {
        print_jail((*result)["jails"][0]);
        return code;
    }
    fmt::print("bandd {}, process {}, since {}\n", text(*result, "version"), text(*result, "pid"),
               local_time(text(*result, "started")));
    fmt::print("{} lines read, {} looked at closely\n", text(*result, "lines"),
               text(*result, "candidates"));
    if (result->contains("state_error")) fmt::print("{}\n", red(text(*result, "state_error")));
    for (auto [key, what] : std::initializer_list<std::pair<const char*, const char*>>{
             {"cut_lines", "lines were over the limit and cut"},
             {"no_address", "lines matched with no address in them"},
             {"undated", "hits had no date and count at arrival"},
             {"matcher_fallbacks", "times the matcher ran out of memory and went on more slowly"},
             {"lost_notices", "times inotify lost events, and all logs were looked at"},
             {"refused_bans", "bans were refused: ban_limit is reached"},
             {"lost_log_lines", "lines of bandd's own log could not be written"}})
        if (auto count = result->value(key, 0ULL); count > 0)
            fmt::print("{}\n", yellow(fmt::format("{} {}", count, what)));
    const Json decisions = result->value("decisions", Json::object());
    for (const auto& [name, one] : decisions.items())
        fmt::print("{}: {} logins passed, {} refused by country, {} by account\n", name,
                   text(one, "passed"), text(one, "refused_country"), text(one, "refused_account"));
    for (const Json& one : result->value("endpoints", Json::array()))
        if (text(one, "bad_tls") != "0" || text(one, "refused") != "0" ||
            text(one, "cut_off") != "0" || text(one, "too_many") != "0")
            fmt::print("{}\n", yellow(fmt::format(
                                   "{} at {}: {} refused, {} too many, {} cut off, {} TLS "
                                   "failures (last: {})",
                                   text(one, "what"), text(one, "listen"), text(one, "refused"),
                                   text(one, "too_many"), text(one, "cut_off"),
                                   text(one, "bad_tls"), text(one, "last_failure"))));
    std::vector<std::vector<std::string>> rows;
    for (const Json& jail : (*result)["jails"]) {
        // One of several logs is enough: distributions differ in where they put them.
        std::string state = "ok";
        bool reads = std::ranges::any_of(
            jail["logs"], [](const Json& log) { return !log.value("waiting", false); });
        for (const Json& log : jail["logs"]) {
            if (log.contains("error"))
                state = red(text(log, "error"));
            else if (!reads && state == "ok")
                state = yellow("waiting for " + text(log, "path"));
        }
        for (const Json& action : jail["actions"])
            if (action.contains("error")) state = red(text(action, "error"));
        if (state == "ok" && jail.value("simulate", false)) state = "simulating";
        rows.push_back({text(jail, "jail"), text(jail, "bans"), text(jail, "pending"),
                        text(jail, "total_bans"), text(jail, "hits"), text(jail, "tracked"),
                        state});
    }
    fmt::print("\n");
    print_table({"JAIL", "BANS", "PENDING", "TOTAL", "HITS", "COUNTING", "STATE"}, rows);
    return code;
}

int run_bans(const CommonOptions& common, const RemoteOptions& options) {
    if (!is_sound(options)) return exit_usage;
    int code = 0;
    auto result = ask(common, "bans",
                      {{"jail", options.jail},
                       {"prefix", options.prefix},
                       {"sort", options.sort},
                       {"limit", options.limit}},
                      code);
    if (!result) return code;
    const Json& bans = (*result)["bans"];
    if (bans.empty()) {
        fmt::print("nobody is banned\n");
        return code;
    }
    print_bans(bans);
    if (auto total = result->value("total", std::size_t{0}); total > bans.size())
        fmt::print("… and {} more: use --limit\n", total - bans.size());
    return code;
}

int run_ban(const CommonOptions& common, const RemoteOptions& options) {
    if (!is_sound(options)) return exit_usage;
    if (!common.network.host.empty()) return ask_network(common, "add", options);
    int code = 0;
    auto result = ask(common, "ban",
                      {{"ip", options.ip},
                       {"jail", options.jail},
                       {"for", options.bantime},
                       {"reason", options.reason},
                       {"force", options.force}},
                      code);
    if (!result) return code;
    std::string until = text(*result, "until");
    fmt::print("{} {} in jail {}, {}\n", text(*result, "ip"),
               text(*result, "state") == "active"      ? "is banned"
               : text(*result, "state") == "simulated" ? "would be banned (simulate)"
                                                       : "will be banned",
               text(*result, "jail"), until.empty() ? "for ever" : "until " + local_time(until));
    if (result->contains("error")) {
        fmt::print("{}\n", yellow("pending: " + text(*result, "error")));
        return exit_said_no;
    }
    return code;
}

int run_unban(const CommonOptions& common, const RemoteOptions& options) {
    if (!is_sound(options)) return exit_usage;
    if (!common.network.host.empty()) return ask_network(common, "del", options);
    if (options.ip.empty() == !options.all) {
        print_error({"unban", "needs an address or --all", "see bandctl unban --help", {}});
        return exit_usage;
    }
    int code = 0;
    auto result = ask(common, "unban",
                      {{"ip", options.ip}, {"jail", options.jail}, {"all", options.all}}, code);
    if (!result) return code;
    for (const Json& ban : (*result)["bans"])
        fmt::print("{} is free (jail {})\n", text(ban, "ip"), text(ban, "jail"));
    if ((*result)["bans"].size() != 1) fmt::print("{} lifted\n", count(*result, "unbanned", "ban"));
    return code;
}

int run_explain(const CommonOptions& common, const RemoteOptions& options) {
    if (!is_sound(options)) return exit_usage;
    if (!common.network.host.empty()) return ask_network(common, "check", options);
    int code = 0;
    auto result = ask(common, "explain", {{"ip", options.ip}}, code);
    if (!result) return code;
    if (result->contains("origin")) print_origin((*result)["origin"]);
    if ((*result)["jails"].empty()) {
        fmt::print("no jail knows anything of {}\n", text(*result, "ip"));
        return code;
    }
    for (const Json& jail : (*result)["jails"]) {
        fmt::print("{}\n", bold("jail " + text(jail, "jail")));
        if (jail.contains("where"))
            fmt::print("  its hits do not count: not true of it is {}\n", text(jail, "where"));
        if (jail.contains("ignored")) fmt::print("  never banned: {}\n", text(jail, "ignored"));
        for (const Json& ban : jail.value("bans", Json::array())) {
            std::string until = text(ban, "until");
            fmt::print("  {} is banned ({}), {} to {}\n", text(ban, "ip"), text(ban, "state"),
                       local_time(text(ban, "from")), until.empty() ? "ever" : local_time(until));
            fmt::print("    reason: {}; {}; ban number {}\n", text(ban, "reason"),
                       count(ban, "hits", "hit"), text(ban, "offence"));
            const Json fields = ban.value("fields", Json::object());
            for (const auto& [name, value] : fields.items())
                fmt::print("    {}: {}\n", name, printable(value.get<std::string>()));
            print_matches(ban.value("matches", Json::array()));
        }
        if (jail.contains("counted")) {
            const Json& counted = jail["counted"];
            fmt::print("  {} has {} of {} {} in {}\n", text(counted, "as"), text(counted, "hits"),
                       text(counted, "maxretry"), text(counted, "of"), text(counted, "findtime"));
            print_matches(counted["matches"]);
        }
        if (jail.contains("earlier"))
            fmt::print("  banned {} so far, the last at {}\n",
                       count(jail["earlier"], "bans", "time"),
                       local_time(text(jail["earlier"], "last")));
    }
    return code;
}

int run_history(const CommonOptions& common, const RemoteOptions& options) {
    if (!is_sound(options)) return exit_usage;
    int code = 0;
    auto result = ask(common, "history",
                      {{"ip", options.ip},
                       {"jail", options.jail},
                       {"since", options.since},
                       {"limit", options.limit}},
                      code);
    if (!result) return code;
    const Json& bans = (*result)["bans"];
    if (bans.empty()) {
        fmt::print("nobody was banned\n");
        return code;
    }
    std::vector<std::vector<std::string>> rows;
    for (const Json& ban : bans)
        rows.push_back({text(ban, "ip"), text(ban, "jail"), local_time(text(ban, "from")),
                        ban.contains("ended") ? local_time(text(ban, "ended")) : "still banned",
                        text(ban, "offence"), text(ban, "hits"), text(ban, "reason"),
                        text(ban, "why")});
    print_table({"ADDRESS", "JAIL", "FROM", "TO", "BAN", "HITS", "REASON", "ENDED"}, rows);
    return code;
}

int run_reload(const CommonOptions& common, const RemoteOptions&) {
    int code = 0;
    if (auto result = ask(common, "reload", Json::object(), code))
        fmt::print("loaded: {}\n", count(*result, "jails", "jail"));
    return code;
}

int run_flush(const CommonOptions& common, const RemoteOptions&) {
    int code = 0;
    if (auto result = ask(common, "flush", Json::object(), code))
        fmt::print("{} lifted\n", count(*result, "unbanned", "ban"));
    return code;
}

int run_version(const CommonOptions& common, const RemoteOptions&) {
    int code = 0;
    if (!common.json) fmt::print("bandctl {}\n", BANDD_VERSION);
    if (auto result = ask(common, "version", Json::object(), code))
        fmt::print("bandd {}\n", text(*result, "version"));
    return code;
}

int run_watch(const CommonOptions& common, const RemoteOptions&) {
    auto client = ControlClient::connect(find_socket(common));
    if (!client) {
        print_error(client.error());
        return exit_no_daemon;
    }
    auto sent = client->send("watch", Json::object());
    auto reply = sent ? client->receive() : Result<Json>(std::unexpected(sent.error()));
    if (reply && !reply->value("ok", false)) {
        print_error(error_from_json(reply->value("error", Json::object())));
        return reply->value("exit", static_cast<int>(exit_said_no));
    }
    while (reply) {
        reply = client->receive();
        if (!reply) break;
        const Json event = reply->value("event", Json::object());
        if (common.json) {
            print_json(event);
        } else {
            std::string kind = text(event, "kind");
            std::string when = event.contains("time") ? text(event, "time") : text(event, "from");
            std::string rest;
            if (kind.starts_with("log-on") || kind == "account")
                rest = fmt::format("{} {} {}", text(event, "user"), text(event, "country"),
                                   text(event, "reason"));
            else if (kind == "found")
                rest = fmt::format("{}, pattern {}", count(event, "hits", "hit"),
                                   text(event, "pattern"));
            else if (kind == "ignored" || kind == "unban")
                rest = text(event, "why");
            else
                rest = fmt::format("until {}, reason {}", local_time(text(event, "until")),
                                   text(event, "reason"));
            std::string padded = fmt::format("{:<9}", kind);
            if (kind == "ban") padded = red(padded);
            if (kind == "unban") padded = green(padded);
            fmt::print("{}  {}  {:<15}  {}  {}\n", local_time(when), padded, text(event, "ip"),
                       text(event, "jail"), rest);
        }
        std::fflush(stdout);
    }
    print_error(reply.error());
    return exit_no_daemon;
}

}  // namespace bandd
