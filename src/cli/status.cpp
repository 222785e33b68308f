// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cli/call.h"
#include "cli/output.h"

namespace bandd {
namespace {

// Counters are in the answer where they make sense: a file has no messages.
std::uint64_t number(const Json& json, const char* key) {
    return json.value(key, std::uint64_t{0});
}

std::string state_of_log(const Json& log) {
    std::string state = "reading";
    if (log.contains("messages"))
        state = fmt::format("listening, {} messages, {} refused, {} dropped by the kernel",
                            text(log, "messages"), text(log, "refused"), text(log, "dropped"));
    else if (log.contains("error"))
        state = red(text(log, "error"));
    else if (log.contains("entries"))
        state = "reading, " + count(log, "entries", "entry");
    else if (log.value("waiting", false))
        state = yellow("waiting for it to appear");
    if (number(log, "failed_handshakes") > 0)
        state += fmt::format(", {} TLS failures (last: {})", number(log, "failed_handshakes"),
                             text(log, "last_failure"));
    return state;
}

std::string blindness_of(const Json& blindness) {
    std::string since =
        blindness.contains("since") ? " since " + local_time(text(blindness, "since")) : "";
    if (text(blindness, "kind") == "tag") return "no line with the filter's tag came" + since;
    std::string who = "the filter";
    if (blindness.contains("pattern")) who = "pattern " + text(blindness, "pattern");
    return fmt::format("{} is blind{}: {} looked like failures, and nothing matches them", who,
                       since, count(blindness, "lines", "line"));
}

std::string error_of(const Json& action) {
    std::string error = text(action, "error");
    if (number(action, "missing") > 0)
        error += "; " + count(action, "missing", "ban") +
                 (number(action, "missing") == 1 ? " is" : " are") + " missing in it";
    return error;
}

void print_blindness(const Json& jail) {
    if (number(jail, "near_misses") > 0)
        print_wrapped("  {} looked like failures and are no hits, of those that were looked at\n",
                      count(jail, "near_misses", "line"));
    auto blindness = jail.find("blindness");
    if (blindness == jail.end()) return;
    print_wrapped("  {}\n", yellow(blindness_of(*blindness)));
    if (blindness->contains("example")) fmt::print("    {}\n", text(*blindness, "example"));
}

int print_jail(const Json& jail) {
    print_wrapped("{}  {}\n", bold(text(jail, "jail")), text(jail, "description"));
    print_wrapped("  bans {} active, {} pending, {} in all; hits {}; counting {} addresses\n",
                  text(jail, "bans"), text(jail, "pending"), text(jail, "total_bans"),
                  text(jail, "hits"), text(jail, "tracked"));
    print_wrapped("  ban after {} in {} for {}{}\n", count(jail, "maxretry", "hit"),
                  text(jail, "findtime"), text(jail, "bantime"),
                  jail.value("simulate", false) ? yellow("  (simulate: nothing is banned)") : "");
    const Json configured = jail.value("configured", Json::object());
    for (const auto& [key, value] : configured.items())
        print_wrapped("  {} was set by bandctl; the configuration says {}\n", key,
                      value.is_string() ? value.get<std::string>() : value.dump());
    print_wrapped("  not counted: {} ignored, {} too old, {} already banned\n",
                  text(jail, "ignored"), text(jail, "too_old"), text(jail, "already_banned"));
    print_blindness(jail);
    for (const Json& ports : list(jail, "ports"))
        print_wrapped("  bans close ports {}\n", ports.get<std::string>());
    if (jail.value("ports_left_open", 0) > 0)
        print_wrapped("  {}\n", yellow("its service listens on more ports: " +
                                       count(jail, "ports_left_open", "port") + " stay open"));
    for (const Json& log : list(jail, "logs")) {
        print_wrapped("  log {}: {}\n", text(log, "path"), state_of_log(log));
        for (const Json& clock : list(log, "dates_off"))
            print_wrapped("    {}: {}\n", text(clock, "log"),
                          yellow("dated " + text(clock, "dates") +
                                 ", which is corrected: set \"timezone:\""));
        const Json& files = list(log, "files");
        for (const Json& file : files)
            if (text(file, "path") != text(log, "path") || files.size() > 1)
                print_wrapped("    {}: {} of {} bytes\n", text(file, "path"), text(file, "offset"),
                              text(file, "size"));
    }
    for (const Json& action : list(jail, "actions")) {
        if (action.contains("error"))
            print_wrapped("  action {}: {} ({} waiting)\n", text(action, "action"),
                          red(error_of(action)), text(action, "waiting"));
        else
            print_wrapped("  action {}: working, {} orders done\n", text(action, "action"),
                          text(action, "applied"));
    }
    return exit_done;
}

// What bit, and what was lost: nothing is printed where all is well.
void print_troubles(const Json& status) {
    static constexpr std::pair<const char*, const char*> counters[] = {
        {"cut_lines", "lines were over the limit and cut"},
        {"cut_matches", "matches in lines that were cut are no hits"},
        {"cut_archives", "compressed logs held too much and were not read to their end"},
        {"forgotten_files", "rotated logs are not known any more: there were too many of one log"},
        {"unsettled_looks", "times a log was rotated again and again while it was looked at"},
        {"no_address", "lines matched with no address in them"},
        {"undated", "hits had no date and count at arrival"},
        {"matcher_fallbacks", "times the matcher ran out of memory and went on more slowly"},
        {"lost_notices", "times inotify lost events, and all logs were looked at"},
        {"refused_bans", "bans were refused: ban_limit is reached"},
        {"memory_evicted", "addresses that are counted were forgotten: memory_limit is reached"},
        {"lost_log_lines", "lines of bandd's own log could not be written"}};
    for (const auto& [key, what] : counters)
        if (auto count = number(status, key); count > 0)
            print_wrapped("{}\n", yellow(fmt::format("{} {}", count, what)));
}

void print_logins(const Json& status) {
    const Json decisions = status.value("decisions", Json::object());
    for (const auto& [name, one] : decisions.items()) {
        print_wrapped("{}: {} logins passed, {} refused by country, {} by account\n", name,
                      text(one, "passed"), text(one, "refused_country"),
                      text(one, "refused_account"));
        if (auto count = number(one, "refused_broadband"); count > 0)
            print_wrapped("{}: mail of {} end users' hosts refused\n", name, count);
        if (number(one, "simulated_country") + number(one, "simulated_account") > 0)
            print_wrapped("{}\n",
                          yellow(fmt::format("{}: of those that passed, {} would be refused by "
                                             "country, {} by account (simulate)",
                                             name, text(one, "simulated_country"),
                                             text(one, "simulated_account"))));
        if (auto count = number(one, "refused_unchecked"); count > 0)
            print_wrapped("{}\n", yellow(fmt::format("{}: {} logins refused, as nobody is known to "
                                                     "check their password (http: auth)",
                                                     name, count)));
        if (auto count = number(one, "wrong_password"); count > 0)
            print_wrapped("{}: {} wrong passwords\n", name, count);
        if (auto count = number(one, "not_checked"); count > 0)
            print_wrapped("{}\n",
                          yellow(fmt::format("{}: {} logins put off, as the mail server did not "
                                             "say whether their password is right",
                                             name, count)));
    }
    for (const Json& one : list(status, "endpoints"))
        if (number(one, "refused") + number(one, "too_many") + number(one, "made_room") +
                number(one, "cut_off") + number(one, "bad_tls") >
            0)
            print_wrapped("{}\n",
                          yellow(fmt::format(
                              "{} at {}: {} refused, {} too many, {} made room, {} cut off, "
                              "{} TLS failures (last: {})",
                              text(one, "what"), text(one, "listen"), text(one, "refused"),
                              text(one, "too_many"), text(one, "made_room"), text(one, "cut_off"),
                              text(one, "bad_tls"), text(one, "last_failure"))));
}

void print_geoblocks_status(const Json& status) {
    for (const Json& block : list(status, "geoblocks")) {
        std::string countries;
        for (const Json& code : list(block, "countries"))
            countries += (countries.empty() ? "" : ", ") + code.get<std::string>();
        print_wrapped("geoblock {}: {}{}: {}\n", text(block, "geoblock"),
                      block.value("all_but", false) ? "all but " : "", countries,
                      block.contains("networks") ? count(block, "networks", "network") + " kept out"
                                                 : yellow("not in the kernel"));
    }
    if (status.contains("geoblock_error"))
        print_wrapped("{}\n", red(text(status, "geoblock_error")));
}

std::string state_of_jail(const Json& jail) {
    // One of several logs is enough: distributions differ in where they put them.
    const Json& logs = list(jail, "logs");
    bool reads =
        std::ranges::any_of(logs, [](const Json& log) { return !log.value("waiting", false); });
    std::string state = "ok";
    for (const Json& log : logs) {
        if (log.contains("error"))
            state = red(text(log, "error"));
        else if (!reads && state == "ok")
            state = yellow("waiting for " + text(log, "path"));
        else if (state == "ok" && log.contains("dates_off"))
            state = yellow("dated " + text(log["dates_off"][0], "dates"));
    }
    for (const Json& action : list(jail, "actions"))
        if (action.contains("error")) state = red(error_of(action));
    if (auto blindness = jail.find("blindness"); blindness != jail.end() && state == "ok")
        if (text(*blindness, "kind") != "tag") state = yellow(blindness_of(*blindness));
    return state == "ok" && jail.value("simulate", false) ? "simulating" : state;
}

int print_stopped(const Json& status) {
    for (const Json& jail : list(status, "stopped"))
        print_wrapped("{}\n", yellow(fmt::format("jail {0} is stopped: bandctl start {0}",
                                                 jail.get<std::string>())));
    return exit_done;
}

int print_status(const Json& status) {
    print_wrapped("bandd {}, process {}, since {}\n", text(status, "version"), text(status, "pid"),
                  local_time(text(status, "started")));
    print_wrapped("{} lines read, {} looked at closely\n", text(status, "lines"),
                  text(status, "candidates"));
    if (status.contains("state_error")) print_wrapped("{}\n", red(text(status, "state_error")));
    print_troubles(status);
    print_logins(status);
    print_geoblocks_status(status);
    print_stopped(status);
    if (number(status, "allowed") > 0)
        print_wrapped("{} by hand: bandctl allow list\n",
                      count(status, "allowed", "block") + " allowed");
    std::vector<std::vector<std::string>> rows;
    for (const Json& jail : list(status, "jails"))
        rows.push_back({text(jail, "jail"), text(jail, "bans"), text(jail, "pending"),
                        text(jail, "total_bans"), text(jail, "hits"), text(jail, "tracked"),
                        state_of_jail(jail)});
    print_wrapped("\n");
    print_table({"JAIL", "BANS", "PENDING", "TOTAL", "HITS", "COUNTING", "STATE"}, rows,
                {"COUNTING", "TOTAL", "PENDING"});
    return exit_done;
}

}  // namespace

Run status_command(CommandLine& line) {
    auto jail = std::make_shared<std::string>();
    line.text("jail", *jail, "only this jail, in detail");
    return [jail](const CommonOptions& common) {
        return call(common, "status", {{"jail", *jail}}, [&](const Json& status) {
            if (jail->empty()) return print_status(status);
            for (const Json& one : list(status, "jails")) return print_jail(one);
            if (!list(status, "stopped").empty()) return print_stopped(status);
            return static_cast<int>(exit_said_no);
        });
    };
}

}  // namespace bandd
