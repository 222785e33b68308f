// SPDX-License-Identifier: GPL-2.0-or-later
// Checks a configuration with the very code that the daemon loads it with, and runs all filters
// over their samples.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "cli/command.h"
#include "cli/output.h"
#include "config/access.h"
#include "config/compile.h"
#include "config/load.h"
#include "config/program_needs.h"
#include "config/program_table.h"
#include "core/base/printable.h"
#include "facts/databases.h"
#include "os/credentials.h"
#include "os/trusted_path.h"
#include "os/zoneinfo.h"

namespace bandd {

namespace {

// What is wrong, what is suspicious, what is only worth knowing; and what was looked at.
struct Findings {
    std::vector<Error> errors, warnings, notes;
    std::size_t jails = 0, filters = 0, samples = 0;
};

void check_filter(const FilterConfig& filter, const std::string& file, Findings& found) {
    std::vector<Error> errors;
    auto compiled =
        compile_filter(filter, {"aggressive"}, filter.sample_lists, errors, found.warnings);
    if (errors.empty()) {
        if (auto ids = patterns_without_literal(*compiled); !ids.empty())
            found.notes.push_back({"filter \"" + filter.name + "\"",
                                   filter.maxlines > 1
                                       ? "looks at several lines at once, so it sees every line"
                                       : fmt::format("no text is in all lines that pattern \"{}\" "
                                                     "matches, so it is tried on every line",
                                                     fmt::join(ids, "\", \"")),
                                   {},
                                   {file, 0, 0}});
        errors = check_samples(filter, Zone{});
    }
    std::ranges::move(errors, std::back_inserter(found.errors));
    // Imported filters have their samples where they come from.
    if (filter.samples.empty() && filter.dialect == Dialect::bandd)
        found.warnings.push_back(
            {"filter \"" + filter.name + "\"",
             "has no samples",
             "add lines under \"samples:\", some that must match and some that "
             "must not",
             {file, 1, 1}});
    found.samples += filter.samples.size();
}

// Filters that the jails use, and those in the directory beside them.
void check_filters(const Config& config, Findings& found) {
    std::map<std::string, FilterConfig> filters;
    for (const auto& [name, filter] : config.filters) filters[filter.where.file] = filter;
    for (const std::string& file : glob_files(config.directory + "/filters/*.yaml")) {
        if (filters.contains(file)) continue;
        LoadedFilter filter = load_filter(file);
        std::ranges::move(filter.errors, std::back_inserter(found.errors));
        filters[file] = std::move(filter.filter);
    }
    for (const auto& [file, filter] : filters) check_filter(filter, file, found);
    found.filters = filters.size();
}

void drop_repeated(std::vector<Error>& errors, std::set<std::string>& said) {
    std::erase_if(errors, [&](const Error& e) { return !said.insert(to_line(e)).second; });
}

// Programs run without root's rights unless the configuration gives them.
void check_programs(const Config& config, Findings& found) {
    std::set<std::string> users;  // that are missing
    auto check = [&](const JailConfig* jail, const char* what, const ProgramConfig& program) {
        if (program.argv.empty()) return;
        Place where = jail != nullptr ? jail->where : config.access.accounts_where;
        std::string name = (jail != nullptr ? "jail \"" + jail->rules.name + "\", " : "") +
                           std::string(what) + " \"" + program.argv.front() + "\"";
        if (auto need = unmet_need(program))
            found.warnings.push_back(
                {name,
                 fmt::format("\"{}\" does nothing for the user {} without rights", need->command,
                             program.user),
                 fmt::format("write \"{}\"", fmt::join(keys_for(*need), "\" and \"")), where});
        bool known = program.user == default_program_user || find_user(program.user).has_value();
        if (!known && users.insert(program.user).second)
            found.warnings.push_back(
                {name, "there is no user \"" + program.user + "\" here", {}, where});
    };
    for (const JailConfig& jail : config.jails) {
        for (const ActionConfig& action : jail.actions)
            if (const auto* exec = std::get_if<ExecAction>(&action)) {
                check(&jail, "action exec", ban_program(*exec, jail.rules.name).program);
                check(&jail, "action exec", unban_program(*exec, jail.rules.name).program);
            }
        check(&jail, "ignorecommand", jail.ignorecommand);
    }
    check(nullptr, "accounts: action", config.access.action);
}

// bandd-programs, which is root, believes files only that nobody else can write.
void check_owners(const std::string& path, const Config& config, Findings& found) {
    if (!runs_programs(config)) return;
    std::error_code fault;
    std::string absolute = std::filesystem::absolute(path, fault).string();
    auto keys = load_keys(absolute, data_directories(), [](const std::string& file) {
        return read_trusted_file(file, largest_text);
    });
    if (!keys)
        found.warnings.push_back({"programs are not run", to_line(keys.error().front()), {}, {}});
}

// What counts as a place of an account is not what everybody would guess.
void note_places(const AccessRules& rules, Findings& found) {
    const AccountLimits& limits = rules.accounts;
    if (limits.addresses == 0 && limits.countries == 0) return;
    std::vector<std::string> parts;
    if (limits.addresses > 0) parts.push_back(fmt::format("{} addresses", limits.addresses));
    if (limits.countries > 0) parts.push_back(fmt::format("{} countries", limits.countries));
    found.notes.push_back(
        {"accounts",
         fmt::format("an account may be used from {} within {}; private addresses, this "
                     "machine's own and those in its \"ignoreip\" do not count, and an "
                     "IPv6 /64 is one",
                     fmt::join(parts, " and "), format_duration(limits.findtime)),
         {},
         {}});
}

Findings check_configuration(const std::string& path) {
    Loaded loaded = load_config(path, data_directories(), read_zone, Samples::read);
    Findings found{std::move(loaded.errors), std::move(loaded.warnings), {}};
    if (found.errors.empty()) found.errors = compile(loaded.config).errors;
    if (found.errors.empty())
        if (auto databases = GeoDatabases::open(loaded.config.geoip); !databases)
            found.errors.push_back(databases.error());
    std::vector<Error> bad_lines;
    if (auto users = read_users(loaded.config.access, bad_lines); !users)
        found.warnings.push_back(users.error());  // bandd goes on without, and watches for it
    std::ranges::move(bad_lines, std::back_inserter(found.warnings));
    check_filters(loaded.config, found);
    check_programs(loaded.config, found);
    note_places(loaded.config.access.rules, found);
    if (found.errors.empty()) check_owners(path, loaded.config, found);
    if (!found.errors.empty()) found.notes.clear();
    // One fault can be found in two ways.
    std::set<std::string> said;
    drop_repeated(found.errors, said);
    drop_repeated(found.warnings, said);
    // The jail for bans by hand is there without having been written.
    found.jails = static_cast<std::size_t>(std::ranges::count_if(
        loaded.config.jails, [](const JailConfig& jail) { return !jail.where.file.empty(); }));
    return found;
}

Json to_json(const Findings& found) {
    auto listed = [](const std::vector<Error>& errors) {
        Json json = Json::array();
        for (const Error& error : errors) json.push_back(error_to_json(error));
        return json;
    };
    return {{"errors", listed(found.errors)}, {"warnings", listed(found.warnings)},
            {"notes", listed(found.notes)},   {"jails", found.jails},
            {"filters", found.filters},       {"samples", found.samples}};
}

void print(const Findings& found) {
    auto print_all = [](const char* kind, const std::vector<Error>& errors) {
        for (const Error& error : errors) fmt::print("{}: {}\n", kind, printable(to_line(error)));
    };
    print_all("error", found.errors);
    print_all("warning", found.warnings);
    print_all("note", found.notes);
    if (found.errors.empty())
        fmt::print("{}: {}, {}, {}\n", found.warnings.empty() ? "all is well" : "usable",
                   count_of(found.jails, "jail"), count_of(found.filters, "filter"),
                   count_of(found.samples, "sample"));
    else
        fmt::print("{}: bandd would not take this configuration\n",
                   count_of(found.errors.size(), "error"));
}

}  // namespace

Run check_command(CommandLine& line) {
    auto directory = std::make_shared<std::string>();
    line.text("dir", *directory, "configuration (default: --config)");
    return [directory](const CommonOptions& common) -> int {
        Findings found = check_configuration(directory->empty() ? common.config : *directory);
        if (common.json)
            print_json(to_json(found));
        else
            print(found);
        return found.errors.empty() ? exit_done : exit_usage;
    };
}

}  // namespace bandd
