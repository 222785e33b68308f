// SPDX-License-Identifier: GPL-2.0-or-later
// What changes the running configuration until it is taken back: allow, set, stop, start.
#include <fmt/format.h>

#include <algorithm>

#include "cli/call.h"
#include "cli/output.h"

namespace bandd {
namespace {

std::string for_jail(const Json& allowed) {
    return allowed.contains("jail") ? " in jail " + text(allowed, "jail") : "";
}

int print_list(const Json& result) {
    const Json& allowed = list(result, "allowed");
    if (allowed.empty()) print_wrapped("nobody is allowed by hand\n");
    std::vector<std::vector<std::string>> rows;
    for (const Json& one : allowed)
        rows.push_back({text(one, "ip"), one.contains("jail") ? text(one, "jail") : "all",
                        local_time(text(one, "since")), local_time(text(one, "until")),
                        text(one, "reason")});
    print_table({"ADDRESS", "JAIL", "SINCE", "UNTIL", "REASON"}, rows, {"SINCE"});
    return exit_done;
}

int print_allowed(const Json& result) {
    std::string until = text(result, "until");
    print_wrapped("{} is allowed{}, {}\n", text(result, "ip"), for_jail(result),
                  until.empty() ? "until it is removed" : "until " + local_time(until));
    for (const Json& ban : list(result, "bans"))
        print_wrapped("{} is free (jail {})\n", text(ban, "ip"), text(ban, "jail"));
    const Json& over = list(result, "covered_by");
    for (const Json& ban : over)
        print_wrapped("{}\n",
                      yellow(fmt::format("it stays banned by {} (jail {}), which was made with "
                                         "--force: bandctl unban {}",
                                         text(ban, "ip"), text(ban, "jail"), text(ban, "ip"))));
    return over.empty() ? exit_done : exit_said_no;
}

struct AllowOptions {
    std::vector<std::string> words;
    std::string jail, span, reason;
};

int for_each(const std::vector<std::string>& ips,
             const std::function<int(const std::string&)>& run) {
    if (!std::ranges::all_of(ips, is_prefix)) return exit_usage;
    int worst = exit_done;
    for (const std::string& ip : ips) worst = std::max(worst, run(ip));
    return worst;
}

int allow_all(const CommonOptions& common, const AllowOptions& options) {
    if (!is_duration(options.span)) return exit_usage;
    return for_each(options.words, [&](const std::string& ip) {
        return call(
            common, "allow",
            {{"ip", ip}, {"jail", options.jail}, {"for", options.span}, {"reason", options.reason}},
            print_allowed);
    });
}

int remove_all(const CommonOptions& common, const std::string& jail,
               const std::vector<std::string>& ips) {
    return for_each(ips, [&](const std::string& ip) {
        return call(common, "allow remove", {{"ip", ip}, {"jail", jail}}, [](const Json& result) {
            print_wrapped("{} is not allowed by hand any more\n", text(result, "ip"));
            return static_cast<int>(exit_done);
        });
    });
}

int allow(const CommonOptions& common, AllowOptions options) {
    std::string verb = options.words.front();
    if (verb == "list" && options.words.size() == 1)
        return call(common, "allow list", Json::object(), print_list);
    if (verb != "remove") return allow_all(common, options);
    options.words.erase(options.words.begin());
    if (!options.words.empty()) return remove_all(common, options.jail, options.words);
    print_error({"allow remove", "needs an address or CIDR block", "see bandctl help allow", {}});
    return exit_usage;
}

int print_limits(const Json& result) {
    if (result.value("reset", false)) {
        print_wrapped("jail {} does not run; once it does, its {} is what its file says\n",
                      text(result, "jail"), text(result, "key"));
        return exit_done;
    }
    print_wrapped("jail {} bans after {} in {} for {}\n", text(result, "jail"),
                  count(result, "maxretry", "hit"), text(result, "findtime"),
                  text(result, "bantime"));
    return exit_done;
}

struct SetOptions {
    std::string jail, key;
    std::vector<std::string> values;
};

// fail2ban's words for what has a command of its own here.
std::optional<int> run_other(const CommonOptions& common, const SetOptions& options) {
    auto each = [&](const char* command, const Print& print) {
        return for_each(options.values, [&](const std::string& ip) {
            return call(common, command, {{"ip", ip}, {"jail", options.jail}}, print);
        });
    };
    auto print_ip = [](const char* what) {
        return [what](const Json& result) {
            print_wrapped("{} {}\n", text(result, "ip"), what);
            return static_cast<int>(exit_done);
        };
    };
    if (options.key == "banip") return each("ban", print_ip("is banned"));
    if (options.key == "unbanip")
        return each("unban", [](const Json& result) {
            for (const Json& ban : list(result, "bans"))
                print_wrapped("{} is free\n", text(ban, "ip"));
            return static_cast<int>(exit_done);
        });
    if (options.key == "addignoreip") return each("allow", print_allowed);
    if (options.key == "delignoreip") return remove_all(common, options.jail, options.values);
    return {};
}

int set(const CommonOptions& common, const SetOptions& options) {
    if (auto done = run_other(common, options)) return *done;
    if (options.values.size() != 1) {
        print_error({options.key, "takes one value", "see bandctl help set", {}});
        return exit_usage;
    }
    return call(common, "set",
                {{"jail", options.jail}, {"key", options.key}, {"value", options.values.front()}},
                print_limits);
}

Run stop_or_start(CommandLine& line, const char* command) {
    auto jail = std::make_shared<std::string>();
    line.text("jail", *jail, "its name", Must::be_given);
    return [jail, command](const CommonOptions& common) {
        return call(common, command, {{"jail", *jail}}, [](const Json& result) -> int {
            if (!result.value("configured", true)) {
                print_wrapped("jail {} is stopped no more, but no file has such a jail\n",
                              text(result, "jail"));
                return exit_done;
            }
            bool stopped = result.value("stopped", false);
            print_wrapped("jail {} {}\n", text(result, "jail"),
                          stopped ? "is stopped, until bandctl start; " +
                                        count(result, "unbanned", "ban") + " lifted"
                                  : std::string("is started"));
            return exit_done;
        });
    };
}

}  // namespace

Run allow_command(CommandLine& line) {
    auto options = std::make_shared<AllowOptions>();
    line.texts("ip", options->words,
               "addresses or CIDR blocks; list: show who is; remove IP: no longer", Must::be_given);
    line.text("-j,--jail", options->jail, "only by this jail");
    line.text("--for", options->span, "10m, 2h, 1d12h (default: until it is removed)");
    line.words("-r,--reason", options->reason, "kept with it");
    return [options](const CommonOptions& common) { return allow(common, *options); };
}

Run set_command(CommandLine& line) {
    auto options = std::make_shared<SetOptions>();
    line.text("jail", options->jail, "its name", Must::be_given);
    line.choice(
        "key", options->key,
        {"bantime", "findtime", "maxretry", "banip", "unbanip", "addignoreip", "delignoreip"},
        "a limit, or fail2ban's word for ban, unban and allow", Must::be_given);
    line.texts("value", options->values,
               "a time, a number, or default: what the configuration says; addresses",
               Must::be_given);
    return [options](const CommonOptions& common) { return set(common, *options); };
}

Run stop_command(CommandLine& line) { return stop_or_start(line, "stop"); }
Run start_command(CommandLine& line) { return stop_or_start(line, "start"); }

}  // namespace bandd
