// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/filters.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "cli/output.h"
#include "config/load.h"
#include "core/base/printable.h"
#include "os/zoneinfo.h"

namespace bandd {
namespace fs = std::filesystem;

std::map<std::string, std::string> filter_files(const CommonOptions& common) {
    std::error_code ignored;
    fs::path config = common.config;
    if (!fs::is_directory(config, ignored)) config = config.parent_path();
    std::vector<std::string> directories = data_directories();
    directories.insert(directories.begin(), config.string());
    std::map<std::string, std::string> files;
    for (const std::string& directory : directories)
        for (const std::string& file : glob_files(directory + "/filters/*.yaml"))
            files.try_emplace(fs::path(file).stem().string(), file);  // the first one is taken
    return files;
}

namespace {

// Of a filter that is in no file: none.
std::string whole_path(const std::string& file) {
    if (file.empty()) return {};
    return fs::absolute(file).lexically_normal().string();
}

}  // namespace

std::string pattern_use(const JailConfig& jail) {
    const auto& weights = jail.rules.weights;
    std::string text;
    auto add = [&](const std::string& id, std::uint32_t failures) {
        text += (text.empty() ? "" : ", ") + id;
        if (failures > 1) text += fmt::format(" (counts {})", failures);
    };
    if (jail.patterns.empty()) {
        for (const Weight& weight : weights) add(weight.pattern, weight.failures);
        return text.empty() ? text : "all; " + text;
    }
    for (const std::string& id : jail.patterns) {
        auto weight = std::ranges::find(weights, id, &Weight::pattern);
        add(id, weight == weights.end() ? 1 : weight->failures);
    }
    return "only " + text;
}

PatternUses pattern_uses(const CommonOptions& common) {
    Loaded loaded = load_config(common.config, data_directories(), read_zone);
    PatternUses uses;
    for (const JailConfig& jail : loaded.config.jails) {
        auto filter = loaded.config.filters.find(jail.filter);
        std::string use = pattern_use(jail);
        if (filter != loaded.config.filters.end() && !use.empty())
            uses[whole_path(filter->second.where.file)][jail.rules.name] = use;
    }
    return uses;
}

void print_uses(const PatternUses& uses, const std::string& file) {
    auto found = uses.find(whole_path(file));
    if (found == uses.end()) return;
    for (const auto& [jail, use] : found->second)
        print_wrapped("jail {} uses its patterns: {}\n", jail, printable(use));
}

namespace {

int filters(const CommonOptions& common) {
    PatternUses uses = pattern_uses(common);
    Json list = Json::array();
    std::vector<std::vector<std::string>> rows;
    for (const auto& [name, file] : filter_files(common)) {
        const FilterConfig filter = load_filter(file).filter;
        list.push_back({{"filter", name},
                        {"description", filter.description},
                        {"patterns", filter.failregex.size()},
                        {"samples", filter.samples.size()},
                        {"dialect", filter.dialect == Dialect::fail2ban ? "fail2ban" : "bandd"},
                        {"jails", uses[whole_path(filter.where.file)]},
                        {"file", filter.where.file}});
        rows.push_back({name, std::to_string(filter.failregex.size()),
                        std::to_string(filter.samples.size()), printable(filter.description)});
    }
    if (common.json)
        print_json(list);
    else
        print_table({"FILTER", "PATTERNS", "SAMPLES", "DESCRIPTION"}, rows);
    if (!common.json)
        for (const auto& [name, file] : filter_files(common))
            if (!uses[whole_path(file)].empty()) {
                print_wrapped("\nfilter {}:\n", name);
                print_uses(uses, file);
            }
    return rows.empty() ? exit_said_no : exit_done;
}

}  // namespace

Run filters_command(CommandLine&) { return filters; }

}  // namespace bandd
