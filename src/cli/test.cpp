// SPDX-License-Identifier: GPL-2.0-or-later
// Which lines of a log does a filter match, and why not the others?
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

#include "cli/command.h"
#include "cli/nearest.h"
#include "cli/output.h"
#include "config/compile.h"
#include "config/load.h"
#include "core/base/printable.h"
#include "core/base/suggest.h"
#include "os/clock.h"
#include "os/zoneinfo.h"

namespace bandd {
namespace {

namespace fs = std::filesystem;

// A path, or the name of a filter beside the configuration or among the shipped ones.
Result<std::string> find_filter(const CommonOptions& common, const std::string& name) {
    std::error_code ignored;
    if (name.find('/') != std::string::npos || name.ends_with(".yaml")) {
        if (fs::exists(name, ignored)) return name;
        return fail("filter \"" + name + "\"", "there is no such file");
    }
    std::vector<std::string> directories = data_directories();
    fs::path config = common.config;
    directories.insert(
        directories.begin(),
        (fs::is_directory(config, ignored) ? config : config.parent_path()).string());
    std::vector<std::string> names;
    for (const std::string& directory : directories) {
        std::string path = directory + "/filters/" + name + ".yaml";
        if (fs::exists(path, ignored)) return path;
        for (const std::string& file : glob_files(directory + "/filters/*.yaml"))
            names.push_back(fs::path(file).stem().string());
    }
    std::vector<std::string_view> views(names.begin(), names.end());
    return fail("filter \"" + name + "\"", "there is no such filter", did_you_mean(name, views));
}

// The address, or the name, or that another line of the same connection tells it.
std::string host_of(const Captured& captured) {
    if (captured.address) return to_string(*captured.address);
    if (!captured.name.empty()) return captured.name;
    return "(address in another line of this connection)";
}

int test_samples(const CommonOptions& common, const FilterConfig& filter) {
    auto errors = check_samples(filter, Zone{});
    if (common.json) {
        Json json{{"samples", filter.samples.size()}, {"errors", Json::array()}};
        for (const Error& error : errors) json["errors"].push_back(error_to_json(error));
        print_json(json);
    } else {
        for (const Error& error : errors) fmt::print("{}\n", printable(to_line(error)));
        fmt::print("{} samples, {} not as they should be\n", filter.samples.size(), errors.size());
    }
    return errors.empty() ? exit_done : exit_said_no;
}

}  // namespace

int run_test(const CommonOptions& common, const TestOptions& given) {
    TestOptions options = given;
    LoadedFilter loaded;
    if (!options.regex.empty()) {
        // What stands in the filter's place is the log.
        if (options.file.empty()) options.file = std::exchange(options.filter, {});
        loaded.filter.name = "--regex";
        loaded.filter.dialect = options.fail2ban ? Dialect::fail2ban : Dialect::bandd;
        loaded.filter.failregex.push_back({"regex", options.regex, {}, {}});
    } else if (options.filter.empty()) {
        print_error({"test",
                     "names neither a filter nor a regex",
                     "write bandctl test FILTER [LOG], or bandctl test --regex REGEX [LOG]",
                     {}});
        return exit_usage;
    } else {
        auto path = find_filter(common, options.filter);
        if (!path) {
            print_error(path.error());
            return exit_usage;
        }
        loaded = load_filter(*path);
    }
    std::vector<Error> warnings;
    std::shared_ptr<const Filter> filter;
    if (loaded.errors.empty())
        filter = compile_filter(loaded.filter, options.modes, {}, loaded.errors, warnings);
    auto zone = read_zone(options.timezone);
    if (!zone) loaded.errors.push_back(zone.error());
    if (!loaded.errors.empty()) {
        for (const Error& error : loaded.errors) print_error(error);
        return exit_usage;
    }
    if (!options.regex.empty() && !common.json)
        for (const Error& warning : warnings)
            fmt::print("warning: {}\n", printable(to_line(warning)));
    if (options.file.empty() && options.lines.empty()) {
        if (options.regex.empty()) return test_samples(common, loaded.filter);
        print_error({"test", "has nothing to try the regex on", "add --line LINE, or a log", {}});
        return exit_usage;
    }

    std::ifstream file;
    if (options.file != "-" && !options.file.empty()) {
        file.open(options.file);
        if (!file || fs::is_directory(options.file)) {
            print_error({"cannot read \"" + options.file + "\"",
                         file ? "it is a directory" : std::strerror(errno),
                         {},
                         {}});
            return exit_usage;
        }
    }
    std::stringstream given_lines;
    for (const std::string& one : options.lines) given_lines << one << "\n";
    std::istream& in = !options.lines.empty() ? static_cast<std::istream&>(given_lines)
                       : options.file == "-"  ? std::cin
                                              : file;
    constexpr std::size_t most_misses = 20;
    constexpr std::size_t most_explained = 5;                 // each takes some milliseconds
    std::vector<std::pair<std::size_t, std::string>> misses;  // line number, why
    std::map<std::string, std::size_t> by_pattern;
    std::size_t lines = 0;
    std::size_t hits = 0;
    std::size_t undated = 0;
    std::string line;
    std::string buffer;
    while (std::getline(in, line)) {
        ++lines;
        Seen seen = see(*filter, line, *zone, now(), Escapes::automatic, buffer);
        if (!seen.time) ++undated;
        FilterMatch found = match(*filter, seen.tag, seen.text);
        std::string verdict;
        std::string why;
        switch (found.fate) {
            case LineFate::hit:
                ++hits;
                ++by_pattern[found.pattern->id];
                verdict = "hit";
                why = found.pattern->id + "  " + host_of(found.captured);
                for (const auto& [name, value] : found.captured.fields)
                    why += fmt::format("  {}={}", name, value);
                break;
            case LineFate::ignored:
                verdict = "ignored";
                why = found.pattern->id + " matches, and ignoreregex " + found.ignore->id + ", too";
                break;
            case LineFate::no_address:
                verdict = "no address";
                why = found.pattern->id + " matches, but there is no IP address at <HOST>";
                break;
            case LineFate::gave_up:
                verdict = "gave up";
                why = found.pattern->id + " took more steps than PCRE2 may take";
                break;
            case LineFate::wrong_tag:
                verdict = "no match";
                why = seen.tag.empty()
                          ? "the line has no syslog tag, the filter wants " + loaded.filter.tag
                          : "the tag is " + std::string(seen.tag) + ", the filter wants " +
                                loaded.filter.tag;
                break;
            case LineFate::no_match:
                verdict = "no match";
                why = "no pattern matches the " +
                      std::string(filter->dialect == Dialect::bandd ? "message" : "line") + ": " +
                      std::string(seen.text);
                if (misses.size() < most_explained)
                    if (auto nearest = nearest_pattern(loaded.filter, seen.text))
                        why += "; " + nearest->id + " comes nearest: it takes \"" + nearest->fits +
                               "\", but then wants " + nearest->wants;
                if (!seen.time) why += "; no date was found";
                break;
        }
        bool missed = found.fate == LineFate::no_match || found.fate == LineFate::wrong_tag;
        if (missed && !options.all && !common.json) {
            if (misses.size() < most_misses) misses.emplace_back(lines, why);
            continue;
        }
        if (common.json) {
            Json json{{"line", lines}, {"verdict", verdict}, {"text", line}};
            if (found.pattern != nullptr) json["pattern"] = found.pattern->id;
            if (found.fate == LineFate::hit) {
                json["ip"] = host_of(found.captured);
                for (const auto& [name, value] : found.captured.fields)
                    json["fields"][name] = value;
            }
            if (found.fate != LineFate::hit) json["why"] = why;
            if (seen.time) json["time"] = format_rfc3339(*seen.time);
            print_json(json);
        } else {
            std::string shown = verdict == "hit" ? green(verdict) : yellow(verdict);
            fmt::print("line {}: {}: {}\n", lines, shown, printable(why));
        }
    }
    if (!common.json) {
        for (const auto& [number, why] : misses)
            fmt::print("line {}: {}: {}\n", number, yellow("no match"), printable(why));
        if (misses.size() == most_misses)
            fmt::print("… of lines that do not match, the first {}; see all with --all\n",
                       most_misses);
        fmt::print("\n{}, {}{}\n", count_of(lines, "line"), count_of(hits, "hit"),
                   undated > 0 ? ", " + count_of(undated, "line") + " without a date" : "");
        for (const auto& [pattern, count] : by_pattern) fmt::print("  {:>7}  {}\n", count, pattern);
    } else {
        print_json(
            {{"summary",
              {{"lines", lines}, {"hits", hits}, {"undated", undated}, {"patterns", by_pattern}}}});
    }
    return hits > 0 ? exit_done : exit_said_no;
}

}  // namespace bandd
