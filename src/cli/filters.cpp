// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/filters.h"

#include <fmt/format.h>

#include <filesystem>

#include "cli/output.h"
#include "config/load.h"
#include "core/base/printable.h"

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

int filters(const CommonOptions& common) {
    Json list = Json::array();
    std::vector<std::vector<std::string>> rows;
    for (const auto& [name, file] : filter_files(common)) {
        const FilterConfig filter = load_filter(file).filter;
        list.push_back({{"filter", name},
                        {"description", filter.description},
                        {"patterns", filter.failregex.size()},
                        {"samples", filter.samples.size()},
                        {"dialect", filter.dialect == Dialect::fail2ban ? "fail2ban" : "bandd"},
                        {"file", filter.where.file}});
        rows.push_back({name, std::to_string(filter.failregex.size()),
                        std::to_string(filter.samples.size()), printable(filter.description)});
    }
    if (common.json)
        print_json(list);
    else
        print_table({"FILTER", "PATTERNS", "SAMPLES", "DESCRIPTION"}, rows);
    return rows.empty() ? exit_said_no : exit_done;
}

}  // namespace

Run filters_command(CommandLine&) { return filters; }

}  // namespace bandd
