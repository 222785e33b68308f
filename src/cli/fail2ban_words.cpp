// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/fail2ban_words.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>
#include <map>
#include <span>

#include "cli/bulk.h"
#include "cli/call.h"
#include "cli/check.h"
#include "cli/output.h"
#include "core/text/datetime.h"
#include "import/words.h"
#include "os/clock.h"

namespace bandd {
namespace {

using Words = std::span<const std::string>;

constexpr int exit_refused = 255;  // fail2ban-client's only other exit code

int refuse(const Error& error) {
    print_error(error);
    return exit_usage;
}

// The bans of a jail, or of all, as `bandctl bans --json` has them.
std::expected<std::vector<Json>, int> bans_of(const CommonOptions& common,
                                              const std::string& jail) {
    Json arguments{{"jail", jail}, {"from", 0}};
    auto begun = begin_call(common, "bans", arguments);
    if (!begun) return std::unexpected(begun.error());
    std::vector<Json> bans;
    Json page = std::move(begun->result);
    while (true) {
        for (Json& ban : page["bans"]) bans.push_back(std::move(ban));
        if (!page.contains("next")) return bans;
        arguments["from"] = page["next"];
        auto next = ask(begun->client, "bans", arguments);
        if (!next) return std::unexpected(next.error());
        page = std::move(*next);
    }
}

std::string addresses_of(const std::vector<Json>& bans, std::string_view between = " ") {
    std::string text;
    for (const Json& ban : bans)
        text += (text.empty() ? "" : std::string(between)) + bandd::text(ban, "ip");
    return text;
}

std::expected<Json, int> status_of(const CommonOptions& common, const std::string& jail) {
    auto call = begin_call(common, "status", {{"jail", jail}});
    if (!call) return std::unexpected(call.error());
    if (jail.empty()) return std::move(call->result);
    for (const Json& one : list(call->result, "jails"))
        if (bandd::text(one, "jail") == jail) return one;
    print_error({"jail \"" + jail + "\"", "is stopped", "bandctl start " + jail, {}});
    return std::unexpected<int>(exit_said_no);
}

std::vector<std::string> logs_of(const Json& jail) {
    std::vector<std::string> paths;
    for (const Json& log : list(jail, "logs")) paths.push_back(text(log, "path"));
    return paths;
}

int ping(const CommonOptions& common, Words) {
    return call(common, "version", Json::object(), [](const Json&) {
        fmt::print("Server replied: pong\n");
        return static_cast<int>(exit_done);
    });
}

int version(const CommonOptions& common, Words) {
    return call(common, "version", Json::object(), [](const Json& result) {
        fmt::print("{}\n", text(result, "version"));
        return static_cast<int>(exit_done);
    });
}

// Of logrotate, after it has moved fail2ban's own log, which bandd does not write.
int flush_logs(const CommonOptions& common, Words) {
    return call(common, "version", Json::object(), [](const Json&) {
        fmt::print("logs: flushed\n");
        return static_cast<int>(exit_done);
    });
}

int test_configuration(const CommonOptions& common) {
    int code = check_and_print(common);
    if (code == exit_done) fmt::print("OK: configuration test is successful\n");
    return code;
}

int status_of_all(const CommonOptions& common) {
    auto status = status_of(common, "");
    if (!status) return status.error();
    std::vector<std::string> names;
    for (const Json& jail : list(*status, "jails")) names.push_back(text(jail, "jail"));
    std::ranges::sort(names);
    std::string all;
    for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
    fmt::print("Status\n|- Number of jail:\t{}\n`- Jail list:\t{}\n", names.size(), all);
    return exit_done;
}

int status(const CommonOptions& common, Words words) {
    if (words.empty()) return status_of_all(common);
    const std::string& name = words.front();
    auto jail = status_of(common, name);
    if (!jail) return jail.error();
    auto bans = bans_of(common, name);
    if (!bans) return bans.error();
    std::string files;
    for (const std::string& path : logs_of(*jail)) files += (files.empty() ? "" : " ") + path;
    auto number = [&](const char* key) { return jail->value(key, std::uint64_t{0}); };
    fmt::print(
        "Status for the jail: {}\n"
        "|- Filter\n|  |- Currently failed:\t{}\n|  |- Total failed:\t{}\n|  `- File list:\t{}\n"
        "`- Actions\n   |- Currently banned:\t{}\n   |- Total banned:\t{}\n"
        "   `- Banned IP list:\t{}\n",
        name, number("tracked"), number("hits"), files, bans->size(), number("total_bans"),
        addresses_of(*bans));
    return exit_done;
}

// Python's way to write lists down, which scripts take apart.
std::string python_list(const std::vector<std::string>& words) {
    std::string text = "[";
    for (const std::string& word : words) text += (text.size() > 1 ? ", '" : "'") + word + "'";
    return text + "]";
}

// Without words: whom each jail bans; else which jails ban each of these.
int banned(const CommonOptions& common, Words words) {
    auto bans = bans_of(common, "");
    if (!bans) return bans.error();
    if (!words.empty()) {
        std::string all;
        for (const std::string& ip : words) {
            if (!is_prefix(ip)) return exit_usage;
            std::vector<std::string> jails;
            for (const Json& ban : *bans) {
                auto theirs = parse_prefix(text(ban, "ip"));
                auto wanted = parse_prefix(ip);
                if (theirs && wanted && contains(*theirs, wanted->network) &&
                    theirs->length <= wanted->length)
                    jails.push_back(text(ban, "jail"));
            }
            all += (all.empty() ? "" : ", ") + python_list(jails);
        }
        fmt::print("[{}]\n", all);
        return exit_done;
    }
    auto status = status_of(common, "");
    if (!status) return status.error();
    std::map<std::string, std::vector<std::string>> by_jail;
    for (const Json& ban : *bans) by_jail[text(ban, "jail")].push_back(text(ban, "ip"));
    std::string all;
    for (const Json& jail : list(*status, "jails")) {
        std::string name = text(jail, "jail");
        all += (all.empty() ? "{'" : ", {'") + name + "': " + python_list(by_jail[name]) + "}";
    }
    fmt::print("[{}]\n", all);
    return exit_done;
}

std::optional<Instant> parse_time(const std::string& rfc3339) {
    auto date = scan_iso_date(rfc3339);
    return date ? std::optional(resolve(*date, Zone{}, never)) : std::nullopt;
}

// "--with-time": a line each; else what stands between two.
int get_banned(const CommonOptions& common, const std::string& jail, Words words) {
    auto bans = bans_of(common, jail);
    if (!bans) return bans.error();
    if (words.empty() || words.front() != "--with-time") {
        fmt::print("{}\n", addresses_of(*bans, words.empty() ? " " : words.front()));
        return exit_done;
    }
    for (const Json& ban : *bans) {
        std::string from = text(ban, "from"), until = text(ban, "until");
        auto begin = parse_time(from), end = parse_time(until);
        std::int64_t seconds = begin && end ? (end->us - begin->us) / 1'000'000 : -1;
        fmt::print("{} \t{} + {} = {}\n", text(ban, "ip"), local_time(from), seconds,
                   until.empty() ? "9999-12-31 23:59:59" : local_time(until));
    }
    return exit_done;
}

// Of the configuration and by hand, as `bandctl config` has them.
int get_ignored(const CommonOptions& common, const std::string& jail) {
    auto config = begin_call(common, "config", {{"jail", jail}});
    if (!config) return config.error();
    std::vector<std::string> ips;
    for (const Json& one : list(config->result, "settings")) {
        if (text(one, "key") != "ignoreip") continue;
        std::string value = text(one, "value");
        std::erase_if(value, [](char c) { return c == '[' || c == ']' || c == '"' || c == '\''; });
        std::ranges::move(fail2ban::words_of(value), std::back_inserter(ips));
    }
    if (ips.empty()) fmt::print("No IP address/network is ignored\n");
    for (std::size_t i = 0; i < ips.size(); ++i)
        fmt::print("{}{}- {}\n", i == 0 ? "These IP addresses/networks are ignored:\n" : "",
                   i + 1 == ips.size() ? "`" : "|", ips[i]);
    return exit_done;
}

int get(const CommonOptions& common, Words words) {
    if (words.size() < 2)
        return refuse({"get", "needs a jail and what is asked for", "get sshd banip", {}});
    const std::string& jail = words[0];
    const std::string& key = words[1];
    if (key == "banip") return get_banned(common, jail, words.subspan(2));
    if (key == "ignoreip") return get_ignored(common, jail);
    auto status = status_of(common, jail);
    if (!status) return status.error();
    const Json seconds = status->value("seconds", Json::object());
    if (key == "maxretry") {
        fmt::print("{}\n", text(*status, "maxretry"));
    } else if (key == "bantime" || key == "findtime") {
        fmt::print("{}\n", text(seconds, key.c_str()));
    } else if (key == "logpath") {
        auto paths = logs_of(*status);
        if (paths.empty()) fmt::print("No file is currently monitored\n");
        for (std::size_t i = 0; i < paths.size(); ++i)
            fmt::print("{}{}- {}\n", i == 0 ? "Current monitored log file(s):\n" : "",
                       i + 1 == paths.size() ? "`" : "|", paths[i]);
    } else {
        return refuse({"get JAIL " + key,
                       "is not known to bandd",
                       fmt::format("{} are", fmt::join(words_of_get, ", ")),
                       {}});
    }
    return exit_done;
}

// How many of them were new, or lifted.
int many(const CommonOptions& common, const std::string& jail, const char* command,
         const char* count, Words ips) {
    Bulk bulk = read_bulk(std::vector<std::string>(ips.begin(), ips.end()), now());
    if (int bad = refuse_bad(bulk.bad); bad != exit_done) return bad;
    std::vector<Error> refused;
    auto sums = send_orders(common, command, bulk.orders, {{"jail", jail}}, refused);
    if (!sums) return sums.error();
    if (refuse_bad(refused) != exit_done) return exit_said_no;
    fmt::print("{}\n", sums->value(count, std::size_t{0}));
    return say_unsaved(*sums);
}

// Those of `ips` that the jail does not ban.
int not_banned(const CommonOptions& common, const std::string& jail, Words ips,
               std::vector<std::string>& absent) {
    auto bans = bans_of(common, jail);
    if (!bans) return bans.error();
    for (const std::string& ip : ips) {
        auto wanted = parse_prefix(ip);
        bool banned = wanted && std::ranges::any_of(*bans, [&](const Json& ban) {
                          auto theirs = parse_prefix(text(ban, "ip"));
                          return theirs && contains(*theirs, wanted->network) &&
                                 theirs->length <= wanted->length;
                      });
        if (!banned) absent.push_back(ip);
    }
    return exit_done;
}

int set(const CommonOptions& common, Words words) {
    if (words.size() < 3)
        return refuse({"set", "needs a jail, a word and a value", "set sshd banip 192.0.2.1", {}});
    const std::string& jail = words[0];
    const std::string& key = words[1];
    Words values = words.subspan(2);
    if (key == "banip") return many(common, jail, "ban many", "banned", values);
    if (key == "unbanip") {
        bool report = values.front() == "--report-absent";
        if (report) values = values.subspan(1);
        std::vector<std::string> absent;
        if (report)
            if (auto known = not_banned(common, jail, values, absent); known != exit_done)
                return known;
        int done = many(common, jail, "unban many", "unbanned", values);
        if (done != exit_done || absent.empty()) return done;
        print_error({"not banned", python_list(absent), {}, {}});
        return exit_said_no;
    }
    if (key == "addignoreip" || key == "delignoreip") {
        const char* command = key == "addignoreip" ? "allow" : "allow remove";
        for (const std::string& ip : values) {
            if (!is_prefix(ip)) return exit_usage;
            auto done = begin_call(common, command, {{"ip", ip}, {"jail", jail}});
            if (!done) return done.error();
            if (int saved = say_unsaved(done->result); saved != exit_done) return saved;
        }
        return get_ignored(common, jail);
    }
    auto done = begin_call(common, "set", {{"jail", jail}, {"key", key}, {"value", values[0]}});
    if (!done) return done.error();
    std::array question{jail, key};
    return std::max(get(common, question), say_unsaved(done->result));
}

int unban(const CommonOptions& common, Words words) {
    if (words.empty()) return refuse({"unban", "needs addresses or --all", {}, {}});
    if (words.front() != "--all") return many(common, "", "unban many", "unbanned", words);
    return call(common, "flush", Json::object(), [](const Json& result) {
        fmt::print("{}\n", text(result, "unbanned"));
        return static_cast<int>(exit_done);
    });
}

int lift(const CommonOptions& common, const std::string& jail) {
    auto bans = bans_of(common, jail);
    if (!bans) return bans.error();
    std::vector<std::string> ips;
    for (const Json& ban : *bans) ips.push_back(text(ban, "ip"));
    std::vector<Error> refused;
    auto sums =
        send_orders(common, "unban many", read_bulk(ips, now()).orders, {{"jail", jail}}, refused);
    return sums ? say_unsaved(*sums) : sums.error();
}

// fail2ban reloads or restarts one jail, bandd loads all that changed; both answer OK. What a jail
// has counted stays, and so do its bans but for `--unban`.
int reload(const CommonOptions& common, Words words) {
    bool lifts = false, if_exists = false;
    std::string jail;
    for (const std::string& word : words) {
        if (word == "--unban")
            lifts = true;
        else if (word == "--if-exists")
            if_exists = true;
        else if (word == "--all" || word == "--restart")
            continue;
        else if (word.starts_with('-') || !jail.empty())
            return refuse({"reload " + word,
                           "is not known to bandd",
                           "reload [--restart] [--unban] [--if-exists] [JAIL] is",
                           {}});
        else
            jail = word;
    }
    auto reloaded = begin_call(common, "reload", Json::object());
    if (!reloaded) return reloaded.error();
    if (!jail.empty()) {
        auto all = status_of(common, "");
        if (!all) return all.error();
        bool is_there = std::ranges::any_of(
            list(*all, "jails"), [&](const Json& one) { return text(one, "jail") == jail; });
        if (!is_there && !if_exists) return status_of(common, jail).error();
        if (is_there && lifts)
            if (int lifted = lift(common, jail); lifted != exit_done) return lifted;
    } else if (lifts) {
        auto flushed = begin_call(common, "flush", Json::object());
        if (!flushed) return flushed.error();
        if (int saved = say_unsaved(flushed->result); saved != exit_done) return saved;
    }
    fmt::print("OK\n");
    return exit_done;
}

int restart(const CommonOptions& common, Words words) {
    bool names_jail =
        std::ranges::any_of(words, [](const std::string& word) { return !word.starts_with('-'); });
    if (names_jail) return reload(common, words);
    return refuse({"restart",
                   "needs a jail here",
                   "bandd itself is a service: systemctl restart bandd; reload loads its "
                   "configuration",
                   {}});
}

int stop_or_start(const CommonOptions& common, const char* command, Words words) {
    if (words.size() != 1)
        return refuse({command,
                       "needs a jail here",
                       fmt::format("bandd itself is a service: systemctl {} bandd", command),
                       {}});
    return call(common, command, {{"jail", words.front()}}, [&](const Json& result) {
        fmt::print("Jail {}\n", result.value("stopped", false) ? "stopped" : "started");
        return static_cast<int>(exit_done);
    });
}
int stop(const CommonOptions& common, Words words) { return stop_or_start(common, "stop", words); }
int start(const CommonOptions& common, Words words) {
    return stop_or_start(common, "start", words);
}

constexpr const char* known_words =
    "ping, version, status, banned, get, set, unban, reload, restart, stop, start and flushlogs "
    "are known; see also bandctl help";

struct Row {
    std::string_view word;
    int (*run)(const CommonOptions& common, Words words);
};
constexpr Row rows[] = {{"ping", ping},     {"version", version}, {"status", status},
                        {"banned", banned}, {"get", get},         {"set", set},
                        {"unban", unban},   {"reload", reload},   {"restart", restart},
                        {"stop", stop},     {"start", start},     {"flushlogs", flush_logs}};

// What stands before the words: -s SOCKET, -c DIR.
std::optional<Error> take_options(Words& words, CommonOptions& common, bool& only_test) {
    while (!words.empty() && words.front().starts_with('-')) {
        std::string option = words.front();
        words = words.subspan(1);
        if (option == "-q" || option == "-x" || option.find_first_not_of("-v") == option.npos)
            continue;
        if (option == "-t" || option == "--test") {
            only_test = true;
            continue;
        }
        bool is_pid_file = option == "-p" || option == "--pidfile";
        if (option.starts_with("--pidfile=")) continue;  // bandd writes none
        if ((option != "-s" && option != "-c" && !is_pid_file) || words.empty())
            return Error{option,
                         "is no option that bandctl knows by the name fail2ban-client",
                         "-c, -s, -p, -q, -t, -v, -x, -V and -h are",
                         {}};
        std::string value = words.front();
        words = words.subspan(1);
        if (is_pid_file) continue;
        // fail2ban's own, as /var/run/fail2ban/fail2ban.sock.
        if (value.find("/fail2ban") != std::string::npos) continue;
        (option == "-s" ? common.socket : common.config) = value;
        common.config_given = common.config_given || option == "-c";
    }
    return {};
}

}  // namespace

int run_fail2ban_client(const std::vector<std::string>& all) {
    CommonOptions common;
    Words words = all;
    std::string first = all.empty() ? "" : all.front();
    if (first == "-V" || first == "--version" || first == "-h" || first == "--help") {
        if (first == "-V")
            fmt::print("{}\n", BANDD_VERSION);
        else if (first == "--version")
            fmt::print("bandd {}, by the name fail2ban-client\n", BANDD_VERSION);
        else
            fmt::print("usage: fail2ban-client [-s SOCKET] [-c DIRECTORY] WORD…\n{}\n",
                       known_words);
        flush_output();
        return 0;
    }
    bool only_test = false;
    if (auto bad = take_options(words, common, only_test)) {
        print_error(*bad);
        return exit_refused;
    }
    if (only_test) {
        int code = test_configuration(common);
        flush_output();
        return code == exit_done ? 0 : exit_refused;
    }
    auto row = words.empty() ? std::end(rows) : std::ranges::find(rows, words.front(), &Row::word);
    if (row == std::end(rows)) {
        print_error({"\"" + (words.empty() ? "" : words.front()) + "\"",
                     "is no word that bandctl knows by the name fail2ban-client",
                     known_words,
                     {}});
        return exit_refused;
    }
    int code = row->run(common, words.subspan(1));
    flush_output();
    return code == exit_done ? 0 : exit_refused;
}

Run get_command(CommandLine& line) {
    struct Options {
        std::vector<std::string> words;
        bool with_time = false;
    };
    auto options = std::make_shared<Options>();
    line.texts("words", options->words,
               "a jail, and banip, bantime, findtime, ignoreip, maxretry or logpath",
               Must::be_given);
    line.flag("--with-time", options->with_time, "with banip: since when and how long, too");
    return [options](const CommonOptions& common) {
        std::vector<std::string> words = options->words;
        if (options->with_time) words.emplace_back("--with-time");
        return get(common, words);
    };
}

Run banned_command(CommandLine& line) {
    auto ips = std::make_shared<std::vector<std::string>>();
    line.texts("ip", *ips, "addresses (default: whom each jail bans)");
    return [ips](const CommonOptions& common) { return banned(common, *ips); };
}

Run ping_command(CommandLine&) {
    return [](const CommonOptions& common) { return ping(common, {}); };
}

}  // namespace bandd
