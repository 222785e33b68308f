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
#include "config/keys.h"
#include "config/load.h"
#include "core/base/printable.h"
#include "facts/databases.h"
#include "os/zoneinfo.h"

namespace bandd {

int run_check(const CommonOptions& common, const std::string& directory) {
    std::string path = directory.empty() ? common.config : directory;
    Loaded loaded = load_config(path, data_directories(), read_zone, Samples::read);
    std::vector<Error> errors = std::move(loaded.errors);
    std::vector<Error> warnings = std::move(loaded.warnings);
    if (errors.empty()) {
        Compiled compiled = compile(loaded.config);
        std::ranges::move(compiled.errors, std::back_inserter(errors));
    }
    if (errors.empty())
        if (auto databases = GeoDatabases::open(loaded.config.geoip); !databases)
            errors.push_back(databases.error());
    std::vector<Error> bad_lines;
    if (auto users = read_users(loaded.config.access, bad_lines); !users)
        errors.push_back(users.error());
    std::ranges::move(bad_lines, std::back_inserter(warnings));
    std::vector<Error> notes;
    // Filters that the jails use, and those that lie in the directory beside them.
    std::map<std::string, FilterConfig> filters;
    for (const auto& [name, filter] : loaded.config.filters) filters[filter.where.file] = filter;
    for (const std::string& file : glob_files(loaded.config.directory + "/filters/*.yaml")) {
        if (filters.contains(file)) continue;
        LoadedFilter filter = load_filter(file);
        std::ranges::move(filter.errors, std::back_inserter(errors));
        filters[file] = std::move(filter.filter);
    }
    std::size_t samples = 0;
    for (const auto& [file, filter] : filters) {
        std::vector<Error> ignored;
        auto compiled =
            compile_filter(filter, {"aggressive"}, filter.sample_lists, ignored, warnings);
        if (ignored.empty())
            if (auto ids = patterns_without_literal(*compiled); !ids.empty())
                notes.push_back(
                    {"filter \"" + filter.name + "\"",
                     filter.maxlines > 1
                         ? "looks at several lines at once, so it sees every line"
                         : fmt::format("no text stands in all lines that pattern \"{}\" "
                                       "matches, so it is tried on every line",
                                       fmt::join(ids, "\", \"")),
                     {},
                     {file, 0, 0}});
        if (ignored.empty())
            std::ranges::move(check_samples(filter, Zone{}), std::back_inserter(errors));
        else
            std::ranges::move(ignored, std::back_inserter(errors));
        // Imported filters have their samples where they come from.
        if (filter.samples.empty() && filter.dialect == Dialect::bandd)
            warnings.push_back({"filter \"" + filter.name + "\"",
                                "has no samples",
                                "add lines under \"samples:\", some that must match and some that "
                                "must not",
                                {file, 1, 1}});
        samples += filter.samples.size();
    }
    if (!errors.empty()) notes.clear();
    // One fault can be found on two ways.
    std::set<std::string> said;
    std::erase_if(errors, [&](const Error& e) { return !said.insert(to_line(e)).second; });
    std::erase_if(warnings, [&](const Error& e) { return !said.insert(to_line(e)).second; });

    // The jail for bans by hand is there without having been written.
    auto jails = static_cast<std::size_t>(std::ranges::count_if(
        loaded.config.jails, [](const JailConfig& jail) { return !jail.where.file.empty(); }));

    if (common.json) {
        Json json{{"errors", Json::array()}, {"warnings", Json::array()}, {"notes", Json::array()}};
        for (const Error& error : errors) json["errors"].push_back(error_to_json(error));
        for (const Error& warning : warnings) json["warnings"].push_back(error_to_json(warning));
        for (const Error& note : notes) json["notes"].push_back(error_to_json(note));
        json["jails"] = jails;
        json["filters"] = filters.size();
        json["samples"] = samples;
        print_json(json);
    } else {
        for (const Error& error : errors) fmt::print("{}\n", printable("error: " + to_line(error)));
        for (const Error& warning : warnings)
            fmt::print("{}\n", printable("warning: " + to_line(warning)));
        for (const Error& note : notes) fmt::print("{}\n", printable("note: " + to_line(note)));
        if (errors.empty())
            fmt::print("{}: {}, {}, {}\n", warnings.empty() ? "all is well" : "usable",
                       count_of(jails, "jail"), count_of(filters.size(), "filter"),
                       count_of(samples, "sample"));
        else
            fmt::print("{}: bandd would not take this configuration\n",
                       count_of(errors.size(), "error"));
    }
    return errors.empty() ? exit_done : exit_usage;
}

int run_keys(const CommonOptions& common, bool as_man_page) {
    if (!common.json) {
        fmt::print("{}", as_man_page ? keys_man() : keys_markdown());
        return exit_done;
    }
    Json list = Json::array();
    for (const KeyHelp& key : all_keys())
        list.push_back({{"section", key.section},
                        {"key", key.name},
                        {"type", key.type},
                        {"default", key.fallback},
                        {"help", key.help}});
    print_json(list);
    return exit_done;
}

}  // namespace bandd
