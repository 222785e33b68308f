// SPDX-License-Identifier: GPL-2.0-or-later
// Checks a configuration with the very code that the daemon loads it with, and runs all filters
// over their samples.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "cli/check.h"
#include "cli/check_machine.h"
#include "cli/check_words.h"
#include "cli/command.h"
#include "cli/output.h"
#include "config/access.h"
#include "config/actions.h"
#include "config/compile.h"
#include "config/forgeable.h"
#include "config/load.h"
#include "config/root.h"
#include "core/base/printable.h"
#include "facts/databases.h"
#include "os/zoneinfo.h"

namespace bandd {

namespace {

void check_filter(const FilterConfig& filter, const std::string& file, Findings& found) {
    std::vector<Error> errors;
    auto compiled =
        compile_filter(filter, {{"aggressive"}, filter.sample_lists}, errors, found.warnings);
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
        if (filter.dialect == Dialect::fail2ban)
            std::ranges::move(forgeable_patterns(filter), std::back_inserter(found.warnings));
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

// Nobody who reads this far wants a daemon that does nothing.
void check_something_is_done(const Config& config, Findings& found) {
    bool serves = !config.geoblocks.empty() || !config.policy.listen.empty() ||
                  config.http.listen || !config.remote.listen.empty();
    if (found.jails > 0 || serves) return;
    std::string idle;
    for (const JailSettings& jail : config.jail_settings)
        if (jail.use == JailUse::idle) idle += (idle.empty() ? "" : ", ") + jail.name;
    Place where{config.file, 0, 0};
    // These wait for their logs, as on a machine that was just set up.
    if (!idle.empty())
        found.warnings.push_back({"nobody would be banned",
                                  "there is nothing to read here for " + idle,
                                  "bandctl setup finds the services of this machine", where});
    else
        found.errors.push_back({"nobody would be banned", "no jail is in use",
                                "bandctl setup finds the services of this machine; --allow-empty, "
                                "if that is meant",
                                where});
}

// bandd.yaml and the files of jails/, as text.
void check_variables(const Config& config, Findings& found) {
    std::vector<std::string> files = glob_files(config.directory + "/jails/*.yaml");
    files.push_back(config.file);
    for (const std::string& file : files)
        if (auto document = read_document(file)) find_variables(*document, found.errors);
}

enum class Empty : std::uint8_t { is_refused, is_allowed };

void check_words(const Config& config, Findings& found) {
    check_variables(config, found);
    find_missing_programs(config, found.errors);
    find_unknown_tags(config, found.errors, found.warnings);
}

std::size_t written_jails(const Config& config) {
    // The jail for bans by hand is there without having been written.
    return static_cast<std::size_t>(std::ranges::count_if(
        config.jails, [](const JailConfig& jail) { return !jail.where.file.empty(); }));
}

// Without that bandd does not start.
void check_usable(const Config& config, Findings& found) {
    if (found.errors.empty()) found.errors = compile(config).errors;
    if (found.errors.empty())
        if (auto databases = GeoDatabases::open(config.geoip); !databases)
            found.errors.push_back(databases.error());
    found.jails = written_jails(config);
}

void check_loaded(const Config& config, Findings& found) {
    check_usable(config, found);
    std::vector<Error> bad_lines;
    if (auto users = read_users(config.access, bad_lines); !users)
        found.warnings.push_back(users.error());  // bandd goes on without, and watches for it
    std::ranges::move(bad_lines, std::back_inserter(found.warnings));
    check_on_machine(config, found);
    note_places(config.access.rules, found);
}

void finish(Findings& found) {
    if (!found.errors.empty()) found.notes.clear();
    // One fault can be found in two ways.
    std::set<std::string> said;
    drop_repeated(found.errors, said);
    drop_repeated(found.warnings, said);
}

Findings check_configuration(const std::string& path, Empty empty) {
    Loaded loaded = load_config(path, data_directories(), read_zone, Samples::read);
    const Config& config = loaded.config;
    Findings found{std::move(loaded.errors), std::move(loaded.warnings), {}};
    check_loaded(config, found);
    check_words(config, found);
    find_passed_over(config.directory, found.errors);
    find_inner_configurations(config.directory, found.warnings);
    check_filters(config, found);
    if (found.errors.empty()) check_owners(path, config, found);
    if (found.errors.empty() && empty == Empty::is_refused) check_something_is_done(config, found);
    finish(found);
    return found;
}

Findings check_start(const std::string& path) {
    Loaded loaded = load_config(path, data_directories(), read_zone);
    Findings found{std::move(loaded.errors), std::move(loaded.warnings), {}};
    check_usable(loaded.config, found);
    found.filters = loaded.config.filters.size();
    finish(found);
    return found;
}

// One file, which may be under a name that it is not to keep.
enum class FileOf : std::uint8_t { filter, action, configuration, jails };

template <class T>
bool has_key(const Table<T>& table, std::string_view name) {
    return std::ranges::any_of(table.keys(), [&](const Key<T>& key) { return key.name == name; });
}

FileOf kind_of(const Value& file) {
    if (file.find("failregex") != nullptr || file.find("prefregex") != nullptr)
        return FileOf::filter;
    // A jail's keys are a map, or nothing.
    auto is_jail = [](const Entry& entry) {
        return !has_key(root_keys(), entry.first.text) &&
               (entry.second.kind == Value::Kind::map || entry.second.kind == Value::Kind::null);
    };
    const Value* action = file.find("action");
    if (action != nullptr && action->kind != Value::Kind::map) return FileOf::action;
    bool names_jails = file.find("jails") != nullptr || file.find("defaults") != nullptr;
    bool any_jail = std::ranges::any_of(file.entries, is_jail);
    return any_jail && !names_jails ? FileOf::jails : FileOf::configuration;
}

Findings check_filter_file(const std::string& path) {
    Findings found;
    LoadedFilter filter = load_filter(path);
    found.errors = std::move(filter.errors);
    if (found.errors.empty()) check_filter(filter.filter, path, found);
    found.filters = 1;
    finish(found);
    return found;
}

// As a part of the configuration. Only what concerns the file is said of it.
Findings check_candidate(const Candidate& candidate, const std::string& path) {
    Loaded loaded = load_config_with(candidate, path, data_directories(), read_zone, Samples::read);
    Config& config = loaded.config;
    Findings found{std::move(loaded.errors), std::move(loaded.warnings), {}};
    bool of_jails = candidate.place == Candidate::For::jails;
    auto is_other = [&](const Place& where) { return of_jails && where.file != candidate.file; };
    std::erase_if(config.jails, [&](const JailConfig& jail) { return is_other(jail.where); });
    std::erase_if(found.errors, [&](const Error& error) { return is_other(error.where); });
    check_loaded(config, found);
    if (auto document = read_document(candidate.file)) find_variables(*document, found.errors);
    find_missing_programs(config, found.errors);
    find_unknown_tags(config, found.errors, found.warnings);
    std::erase_if(found.warnings, [&](const Error& warning) { return is_other(warning.where); });
    finish(found);
    return found;
}

Findings check_action_file(const std::string& file, const std::string& path) {
    // By a jail that uses it.
    Findings found;
    auto document = read_document(file);
    if (!document) return {{document.error()}, {}, {}};
    Reading reading;
    reading.directory = path;
    ActionFile read;
    action_file_keys().read(*document, "action", reading, read);
    ActionContext context;
    context.jail = manual_jail;
    context.service_known = true;
    context.directories = data_directories();
    context.directories.insert(context.directories.begin(), path);
    Config config;
    JailConfig& jail = config.jails.emplace_back();
    jail.rules.name = manual_jail;
    jail.where = {file, 0, 0};
    if (read.action != nullptr) jail.actions = parse_actions(*read.action, context, reading);
    found.errors = std::move(reading.errors);
    find_variables(*document, found.errors);
    find_missing_programs(config, found.errors);
    find_unknown_tags(config, found.errors, found.warnings);
    finish(found);
    return found;
}

// `what`: a configuration, or one file of one.
Findings check(const CommonOptions& common, const std::string& what, Empty empty) {
    std::error_code ignored;
    std::filesystem::path path = what.empty() ? common.config : what;
    if (what.empty() || !std::filesystem::is_regular_file(path, ignored))
        return check_configuration(path, empty);
    auto document = read_document(path);
    if (!document) return {{document.error()}, {}, {}};
    switch (kind_of(*document)) {
        case FileOf::filter:
            return check_filter_file(path);
        case FileOf::action:
            return check_action_file(path, common.config);
        case FileOf::jails:
            return check_candidate({Candidate::For::jails, path}, common.config);
        case FileOf::configuration:
            break;
    }
    // By itself it is a configuration. It is to become one's bandd.yaml if that is named, or if its
    // name is one for the time being.
    bool for_later = path.extension() != ".yaml" || path.filename().string().starts_with('.');
    if (!common.config_given && !for_later) return check_configuration(path, empty);
    return check_candidate({Candidate::For::configuration, path}, common.config);
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
        for (const Error& error : errors)
            print_wrapped("{}: {}\n", kind, printable(to_line(error)));
    };
    print_all("error", found.errors);
    print_all("warning", found.warnings);
    print_all("note", found.notes);
    if (found.errors.empty())
        print_wrapped("{}: {}, {}, {}\n", found.warnings.empty() ? "all is well" : "usable",
                      count_of(found.jails, "jail"), count_of(found.filters, "filter"),
                      count_of(found.samples, "sample"));
    else
        print_wrapped("{}: bandd would not take this configuration\n",
                      count_of(found.errors.size(), "error"));
}

int say(const CommonOptions& common, const Findings& found) {
    if (common.json)
        print_json(to_json(found));
    else
        print(found);
    return found.errors.empty() ? exit_done : exit_usage;
}

}  // namespace

int check_and_print(const CommonOptions& common) {
    return say(common, check(common, {}, Empty::is_refused));
}

Run check_command(CommandLine& line) {
    auto what = std::make_shared<std::string>();
    auto allow_empty = std::make_shared<bool>(false);
    auto for_start = std::make_shared<bool>(false);
    line.text("what", *what,
              "configuration, or a file of jails, a filter or an action (default: --config)");
    line.flag("--allow-empty", *allow_empty, "a configuration without a jail in use is no fault");
    line.flag("--for-start", *for_start,
              "only what bandd itself would refuse: for scripts that start it");
    return [=](const CommonOptions& common) -> int {
        if (*for_start) return say(common, check_start(what->empty() ? common.config : *what));
        return say(common,
                   check(common, *what, *allow_empty ? Empty::is_allowed : Empty::is_refused));
    };
}

}  // namespace bandd
