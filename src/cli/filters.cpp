// SPDX-License-Identifier: GPL-2.0-or-later
// The filters there are: beside the configuration, and shipped.
#include <fmt/format.h>

#include <filesystem>
#include <map>

#include "cli/command.h"
#include "cli/output.h"
#include "config/load.h"
#include "core/base/printable.h"

namespace bandd {
namespace fs = std::filesystem;

int run_filters(const CommonOptions& common) {
    std::vector<std::string> directories = data_directories();
    std::error_code ignored;
    fs::path config = common.config;
    directories.insert(
        directories.begin(),
        (fs::is_directory(config, ignored) ? config : config.parent_path()).string());
    std::map<std::string, FilterConfig> filters;
    for (const std::string& directory : directories)
        for (const std::string& file : glob_files(directory + "/filters/*.yaml")) {
            LoadedFilter loaded = load_filter(file);
            // The first one found is the one that a jail gets.
            filters.try_emplace(fs::path(file).stem().string(), std::move(loaded.filter));
        }
    Json list = Json::array();
    std::vector<std::vector<std::string>> rows;
    for (const auto& [name, filter] : filters) {
        std::string dialect = filter.dialect == Dialect::fail2ban ? "fail2ban" : "bandd";
        list.push_back({{"filter", name},
                        {"description", filter.description},
                        {"patterns", filter.failregex.size()},
                        {"samples", filter.samples.size()},
                        {"dialect", dialect},
                        {"file", filter.where.file}});
        rows.push_back({name, std::to_string(filter.failregex.size()),
                        std::to_string(filter.samples.size()), printable(filter.description)});
    }
    if (common.json)
        print_json(list);
    else
        print_table({"FILTER", "PATTERNS", "SAMPLES", "DESCRIPTION"}, rows);
    return filters.empty() ? exit_said_no : exit_done;
}

}  // namespace bandd
