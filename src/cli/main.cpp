// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <iostream>
#include <system_error>

#include "cli/command.h"
#include "cli/output.h"
#include "core/base/suggest.h"

namespace {

using namespace bandd;

struct RemoteCommand {
    const char* name;
    const char* help;
    int (*run)(const CommonOptions&, const RemoteOptions&);
};

constexpr RemoteCommand remote_commands[] = {
    {"status", "what is watched, and how it goes", run_status},
    {"bans", "who is banned", run_bans},
    {"ban", "ban an address or a CIDR block", run_ban},
    {"unban", "lift the bans of an address, of a block, or all", run_unban},
    {"explain", "why an address is banned, or how near it is: lines, patterns, jails", run_explain},
    {"history", "who was banned, when, why and how often", run_history},
    {"accounts", "accounts, and from where they were used", run_accounts},
    {"account", "one account: its places, or clear, block, allow it", run_account},
    {"reload", "load the configuration anew; a bad one changes nothing", run_reload},
    {"watch", "show events as they happen, until interrupted", run_watch},
    {"flush", "lift every ban", run_flush},
    {"version", "versions of bandctl and of the running bandd", run_version},
};

int refuse_leftovers(const CLI::App& app) {
    std::vector<std::string> leftovers = app.remaining();
    if (!app.get_subcommands().empty()) {
        if (leftovers.empty()) return exit_done;
        std::string name = app.get_subcommands().front()->get_name();
        print_error({"\"" + leftovers.front() + "\"",
                     "is not understood by " + name,
                     "see bandctl " + name + " --help",
                     {}});
    } else if (leftovers.empty()) {
        std::cerr << app.help();
    } else {
        std::vector<std::string> names;
        for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
            names.push_back(sub->get_name());
        std::vector<std::string_view> views(names.begin(), names.end());
        std::string near = did_you_mean(leftovers.front(), views);
        print_error({"\"" + leftovers.front() + "\"",
                     "is no command of bandctl",
                     near.empty() ? "see bandctl --help" : near,
                     {}});
    }
    return exit_usage;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"bandctl drives bandd, the ban daemon."};
    app.set_version_flag("-V,--version", "bandctl " BANDD_VERSION);
    CommonOptions common;
    app.add_option("-c,--config", common.config, "configuration: a directory or a file")
        ->capture_default_str();
    app.add_option("-s,--socket", common.socket, "the daemon's socket, if not the configuration's");
    app.add_flag("--json", common.json, "answer as JSON, one object a line");
    app.add_option("--remote", common.network.host,
                   "another machine's bandd, HOST[:PORT], for ban, unban and explain");
    app.add_option("--token-file", common.network.token_file,
                   "with --remote: a file with the token that it knows this machine by");
    app.add_option("--certificate", common.network.certificate,
                   "with --remote: or a certificate (PEM)");
    app.add_option("--key", common.network.key, "with --remote: that certificate's key");
    app.add_option("--authority", common.network.authority,
                   "with --remote: who signed its certificate (PEM)");
    app.fallthrough();
    app.footer(
        "Exit codes: 0 done, 1 the answer is no, 2 usage or configuration, 3 no daemon.\n"
        "Manual: bandctl(8)\n");

    RemoteOptions remote;
    std::map<std::string, int (*)(const CommonOptions&, const RemoteOptions&)> run;
    for (const RemoteCommand& command : remote_commands) {
        CLI::App* sub = app.add_subcommand(command.name, command.help);
        std::string name = command.name;
        run[name] = command.run;
        if (name == "status") sub->add_option("jail", remote.jail, "only this jail, in detail");
        if (name == "bans") {
            sub->add_option("-j,--jail", remote.jail, "only of this jail");
            sub->add_option("-p,--prefix", remote.prefix, "only within this CIDR block");
            sub->add_option("--sort", remote.sort, "from, until, ip, jail or hits")
                ->check(CLI::IsMember({"from", "until", "ip", "jail", "hits"}))
                ->capture_default_str();
            sub->add_option("--limit", remote.limit, "show at most so many")->capture_default_str();
        }
        if (name == "ban") {
            sub->add_option("ip", remote.ip, "address or CIDR block")->required();
            sub->add_option("-j,--jail", remote.jail, "with this jail's actions (default: manual)");
            sub->add_option("--for", remote.bantime,
                            "10m, 2h, 1d12h, forever (default: the jail's bantime)");
            sub->add_option("-r,--reason", remote.reason, "kept with the ban");
            sub->add_flag("--force", remote.force, "even if ignoreip holds it");
        }
        if (name == "unban") {
            sub->add_option("ip", remote.ip, "address or CIDR block");
            sub->add_option("-j,--jail", remote.jail, "only of this jail");
            sub->add_flag("--all", remote.all, "every ban");
        }
        if (name == "history") {
            sub->add_option("ip", remote.ip, "only of this address or CIDR block");
            sub->add_option("-j,--jail", remote.jail, "only of this jail");
            sub->add_option("--since", remote.since, "2d, 12h, or 2026-11-21[ 03:05:50]");
            sub->add_option("--limit", remote.limit, "show at most so many")->capture_default_str();
        }
        if (name == "accounts") {
            sub->add_option("--sort", remote.sort, "countries, addresses, count, last or user")
                ->check(CLI::IsMember({"countries", "addresses", "count", "last", "user"}));
            sub->add_option("--limit", remote.limit, "show at most so many")->capture_default_str();
        }
        if (name == "account") {
            sub->add_option("name", remote.user, "its name, as it logs on")->required();
            sub->add_option("verb", remote.verb,
                            "clear: forget its logins and what was said of it; block: refuse it; "
                            "allow: from any number of places")
                ->check(CLI::IsMember({"clear", "block", "allow"}));
        }
        if (name == "explain") sub->add_option("ip", remote.ip, "address")->required();
    }

    std::string directory;
    CLI::App* check = app.add_subcommand(
        "check", "check configuration, filters and their samples, without a daemon");
    check->add_option("dir", directory, "configuration (default: --config)");

    TestOptions test_options;
    CLI::App* test = app.add_subcommand(
        "test", "which lines of a log a filter matches, and why not, without a daemon");
    test->add_option("filter", test_options.filter, "a filter's name or file");
    test->add_option("--regex", test_options.regex, "a single failregex instead of a filter");
    test->add_flag("--fail2ban", test_options.fail2ban, "it is in fail2ban's dialect");
    test->add_option("--line", test_options.lines, "a line instead of a log; may be repeated");
    test->add_option("file", test_options.file,
                     "log to read, - for standard input (default: the filter's own samples)");
    test->add_option("-m,--mode", test_options.modes, "use the filter's optional parts");
    test->add_option("--timezone", test_options.timezone, "of dates that name none");
    test->add_flag("-a,--all", test_options.all, "show lines that do not match, too, and why");

    std::vector<std::string> geo_addresses;
    CLI::App* geo = app.add_subcommand(
        "geo", "country and network of an address, by the databases of \"geoip\"");
    geo->add_option("ip", geo_addresses, "addresses (default: which databases there are)");

    CLI::App* filters =
        app.add_subcommand("filters", "the filters there are, and what they are for");

    ReplayOptions replay_options;
    CLI::App* replay = app.add_subcommand(
        "replay", "who would have been banned by old logs, and why, without daemon and kernel");
    replay->add_option("log", replay_options.logs, "logs, also .gz and .zst")->required();
    replay->add_option("-j,--jail", replay_options.jail,
                       "through this jail (default: those whose logpath names the log, or all)");

    ImportOptions import_options;
    CLI::App* import = app.add_subcommand("import", "another program's configuration to bandd's");
    std::string import_what;
    import->add_option("what", import_what, "fail2ban")
        ->required()
        ->check(CLI::IsMember({"fail2ban"}));
    import->add_option("--from", import_options.from, "its configuration directory")
        ->capture_default_str();
    import->add_option("--to", import_options.to, "where bandd's is written")
        ->capture_default_str();
    import->add_flag("-a,--all", import_options.all, "jails that are not enabled, too");
    import->add_flag("--force", import_options.force, "write over what is there");

    StateOptions state_options;
    CLI::App* state = app.add_subcommand(
        "state",
        "export the state as JSON (also beside a running bandd), or import it (stop bandd first)");
    state->add_option("verb", state_options.verb, "export or import")
        ->required()
        ->check(CLI::IsMember({"export", "import"}));
    state->add_option("file", state_options.file, "file (default: standard output or input)");

    bool as_man_page = false;
    CLI::App* keys =
        app.add_subcommand("keys", "all configuration keys, as Markdown, JSON or a man page");
    keys->add_flag("--man", as_man_page, "the section KEYS of bandd.yaml(5)");
    app.allow_extras();  // to say better than CLI11 what is wrong with them

    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp& help) {
        return app.exit(help);
    } catch (const CLI::Success& done) {
        return app.exit(done);
    } catch (const CLI::ParseError& error) {
        app.exit(error);
        return exit_usage;
    }
    if (int refused = refuse_leftovers(app); refused != exit_done) return refused;
    if (!common.network.host.empty() && !app.get_subcommand("ban")->parsed() &&
        !app.get_subcommand("unban")->parsed() && !app.get_subcommand("explain")->parsed()) {
        print_error({"--remote", "is for ban, unban and explain", "log in there for the rest", {}});
        return exit_usage;
    }
    auto command = [&]() -> int {
        if (check->parsed()) return run_check(common, directory);
        if (test->parsed()) return run_test(common, test_options);
        if (filters->parsed()) return run_filters(common);
        if (geo->parsed()) return run_geo(common, geo_addresses);
        if (replay->parsed()) return run_replay(common, replay_options);
        if (import->parsed()) return run_import(common, import_options);
        if (state->parsed()) return run_state(common, state_options);
        if (keys->parsed()) return run_keys(common, as_man_page);
        for (const auto& [name, function] : run)
            if (app.get_subcommand(name)->parsed()) return function(common, remote);
        return exit_usage;
    };
    try {
        int code = command();
        if (std::fflush(stdout) != 0)
            throw fmt::system_error(errno, "cannot write to standard output");
        return code;
    } catch (const std::system_error& error) {
        print_error({"bandctl", error.what(), {}, {}});
        return exit_said_no;
    }
}
