// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <map>
#include <system_error>

#include "cli/command.h"
#include "cli/completion.h"
#include "cli/fail2ban_words.h"
#include "cli/output.h"
#include "core/base/suggest.h"
#include "core/regex/pcre.h"
#include "os/clock.h"
#include "os/random.h"

namespace {

using namespace bandd;

constexpr const char* program = "bandctl";  // whatever the path that it was called by

struct Row {
    const char* name;
    const char* help;
    Command* command;     // its options, and what runs it
    bool remote = false;  // may be asked of another machine: --remote
};

// Answered by main, which alone knows the help of all.
Run help_command(CommandLine& line) {
    static std::string command;
    line.text("command", command, "its name");
    return {};
}

constexpr Row rows[] = {
    {"status", "what is watched, and how it goes", status_command},
    {"bans", "who is banned", bans_command},
    {"ban", "ban an address or a CIDR block", ban_command, true},
    {"unban", "lift the bans of an address, of a block, or all", unban_command, true},
    {"explain", "why an address is banned, or how near it is: lines, patterns, jails",
     explain_command, true},
    {"history", "who was banned, when, why and how often", history_command},
    {"accounts", "accounts, and from where they were used", accounts_command},
    {"account", "one account: where it was used; clear, block or allow it", account_command},
    {"config", "what is in force, and which file and line, or command, said it", config_command},
    {"allow", "never ban an address or a CIDR block, until it is removed or a time is over",
     allow_command},
    {"set", "change a jail's bantime, findtime or maxretry until it is set back", set_command},
    {"get", "a jail's bans or limits, as fail2ban-client tells them", get_command},
    {"banned", "who is banned by which jail, as fail2ban-client tells it", banned_command},
    {"ping", "whether bandd answers", ping_command},
    {"stop", "stop a jail and lift its bans, until it is started", stop_command},
    {"start", "start a jail that was stopped", start_command},
    {"reload", "load the configuration again; a bad one changes nothing", reload_command},
    {"watch", "show events as they happen, until interrupted", watch_command},
    {"flush", "lift every ban", flush_command},
    {"version", "versions of bandctl and of the running bandd", version_command},
    {"check", "check configuration, filters and their samples, without a daemon", check_command},
    {"setup", "find services of this machine and their logs, and use their jails", setup_command},
    {"test", "which lines of a log a filter matches, and why not, without a daemon", test_command},
    {"geo", "country and network of an address, by the databases of \"geoip\"", geo_command},
    {"filters", "list the filters: shipped, and beside the configuration", filters_command},
    {"replay", "who would have been banned by old logs, and why, without daemon and kernel",
     replay_command},
    {"import", "write another program's configuration as bandd's", import_command},
    {"state", "export the state as JSON (bandd may run), or import it (stop bandd first)",
     state_command},
#ifdef BANDD_WITH_FLEET
    {"fleet", "machines that share bans: make a fleet, add, remove and rotate its nodes",
     fleet_command},
#endif
    {"help", "this help, or that of a command", help_command},
    {"keys", "all configuration keys, as Markdown, JSON or a man page", keys_command},
};

void declare_common(CLI::App& app, CommonOptions& common) {
    app.set_version_flag("-V,--version", "bandctl " BANDD_VERSION);
    CommandLine line(app);
    line.text("-c,--config", common.config, "configuration: a directory or a file");
    line.text("-s,--socket", common.socket, "the daemon's socket, if not the configuration's");
    line.flag("--json", common.json, "answer as JSON, one object a line");
    line.text("--remote", common.remote.host,
              "another machine's bandd, HOST[:PORT], for ban, unban and explain");
    line.text("--token-file", common.remote.token_file,
              "with --remote: a file with the token that it knows this machine by");
    line.text("--certificate", common.remote.certificate, "with --remote: or a certificate (PEM)");
    line.text("--key", common.remote.key, "with --remote: that certificate's key");
    line.text("--authority", common.remote.authority,
              "with --remote: who signed its certificate (PEM)");
    app.footer(
        "Exit codes: 0 done, 1 the answer is no, 2 usage or configuration, 3 no daemon.\n"
        "Manual: bandctl(8)\n");
}

Error no_such_command(const std::string& name) {
    std::vector<std::string_view> names;
    for (const Row& row : rows) names.emplace_back(row.name);
    std::string near = did_you_mean(name, names);
    return {"\"" + name + "\"",
            "is no command of bandctl",
            near.empty() ? "see bandctl help" : near,
            {}};
}

int print_help(const CLI::App& app) {
    std::string name;
    if (auto* word = app.get_subcommand("help")->get_option("command"); word->count() > 0)
        name = word->as<std::string>();
    if (name.empty()) {
        // App::help would be that of the command "help".
        std::cout << app.get_formatter()->make_help(&app, program, CLI::AppFormatMode::Normal);
        return exit_done;
    }
    auto named = [&](const CLI::App* sub) { return sub->get_name() == name; };
    if (auto found = app.get_subcommands(named); !found.empty()) {
        std::cout << found.front()->help(program);
        return exit_done;
    }
    print_error(no_such_command(name));
    return exit_usage;
}

// What the command line has and no command takes; exit_done if there is nothing.
int refuse_leftovers(const CLI::App& app) {
    std::vector<std::string> leftovers = app.remaining();
    if (!app.get_subcommands().empty()) {
        if (leftovers.empty()) return exit_done;
        std::string name = app.get_subcommands().front()->get_name();
        print_error({"\"" + leftovers.front() + "\"",
                     "is not understood by " + name,
                     "see bandctl help " + name,
                     {}});
    } else if (leftovers.empty()) {
        std::cerr << app.help();
    } else {
        print_error(no_such_command(leftovers.front()));
    }
    return exit_usage;
}

int run(const CommonOptions& common, const Row& row, const Run& command) {
    if (!common.remote.host.empty() && !row.remote) {
        print_error({"--remote", "is for ban, unban and explain", "log in there for the rest", {}});
        return exit_usage;
    }
    try {
        int code = command(common);
        flush_output();
        return code;
    } catch (const std::system_error& error) {
        print_error({"bandctl", error.what(), {}, {}});
        return exit_said_no;
    }
}

}  // namespace

int main(int argc, char** argv) {
    seed_tables();
    Pcre::measure_with(thread_seconds);
    // Before all is understood: what is not is said as JSON, too.
    std::vector<std::string_view> words(argv, argv + argc);
    // Only of who made a link of that name to bandctl.
    if (argc > 0 && words[0].substr(words[0].rfind('/') + 1) == fail2ban_client_name)
        return run_fail2ban_client({argv + 1, argv + argc});
    if (std::ranges::find(words, "--json") != words.end()) want_json();
    CLI::App app{"bandctl drives bandd, the ban daemon.", program};
    CommonOptions common;
    declare_common(app, common);
    app.fallthrough();             // common options, after the command, too
    app.require_subcommand(0, 1);  // `status test` is a jail called test, not a second command
    std::map<const CLI::App*, std::pair<const Row*, Run>> commands;
    for (const Row& row : rows) {
        CLI::App* sub = app.add_subcommand(row.name, row.help);
        CommandLine line(*sub);
        commands[sub] = {&row, row.command(line)};
    }
    if (argc > 1 && words[1] == "__complete")
        return complete(app, std::vector<std::string>(argv + 2, argv + argc));
    app.allow_extras();  // to say better than CLI11 what is wrong with them
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& asked) {  // help and version
        app.exit(asked);
        return exit_done;
    } catch (const CLI::ParseError& error) {
        auto parsed = app.get_subcommands();
        std::string name = parsed.empty() ? "" : " " + parsed.front()->get_name();
        print_error({program + name, error.what(), "see bandctl help" + name, {}});
        return exit_usage;
    }
    common.config_given = app.count("--config") > 0;
    if (int refused = refuse_leftovers(app); refused != exit_done) return refused;
    const auto& [row, command] = commands.at(app.get_subcommands().front());
    if (!command) return print_help(app);
    return run(common, *row, command);
}
