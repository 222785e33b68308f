// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/configuration.h"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "config/document.h"
#include "config/load.h"
#include "os/log.h"
#include "os/trusted_path.h"
#include "os/zoneinfo.h"

namespace bandd {

std::expected<Configuration, Errors> load_configuration(const std::string& path, Samples samples) {
    Loaded loaded = load_config(path, data_directories(), read_zone, samples);
    if (!loaded.errors.empty()) return std::unexpected(std::move(loaded.errors));
    Configuration made{std::move(loaded.config), {}};
    made.compiled = compile(made.config);
    if (!made.compiled.errors.empty()) return std::unexpected(std::move(made.compiled.errors));
    if (samples == Samples::read)
        for (const auto& [name, filter] : made.config.filters)
            if (auto wrong = check_samples(filter, Zone{}); !wrong.empty())
                return std::unexpected(std::move(wrong));
    std::ranges::move(loaded.warnings, std::back_inserter(made.compiled.warnings));
    return made;
}

std::vector<std::string> keep_until_restart(Config& fresh, const Config& held) {
    std::vector<std::string> waiting;
    auto keep = [&](const std::string& key, auto member) {
        if (fresh.*member == held.*member) return;
        fresh.*member = held.*member;
        waiting.push_back(key);
        auto& settings = fresh.settings;
        auto place = std::ranges::find(settings, key, &Setting::key) - settings.begin();
        std::erase_if(settings, [&](const Setting& one) { return one.key == key; });
        std::ranges::copy_if(held.settings, std::inserter(settings, settings.begin() + place),
                             [&](const Setting& one) { return one.key == key; });
    };
    keep("state", &Config::state);
    keep("socket", &Config::socket);
    keep("user", &Config::user);
    keep("group", &Config::group);
    keep("dns_servers", &Config::dns_servers);
    keep("line_limit", &Config::line_limit);
    if (fresh.fleet.join != held.fleet.join) {
        fresh.fleet.join = held.fleet.join;
        waiting.emplace_back("fleet");
    }
    return waiting;
}

std::optional<Error> written_by_others(const std::string& path) {
    if (geteuid() != 0) return {};
    namespace fs = std::filesystem;
    std::error_code fault;
    fs::path file = fs::absolute(path, fault).lexically_normal();
    if (fs::is_directory(file, fault)) file /= "bandd.yaml";
    if (!fs::exists(file, fault)) return {};
    auto text = read_trusted_file(file.string(), largest_text);
    if (text) return {};
    return text.error();
}

Error summary_of(const Errors& errors) {
    Error error = errors.front();
    if (errors.size() > 1)
        error.hint += (error.hint.empty() ? "" : "; ") +
                      fmt::format("and {} more: see bandctl check", errors.size() - 1);
    return error;
}

Result<> open_log(Log& log, const LogConfig& config) {
    auto level =
        static_cast<Severity>(static_cast<int>(config.level) + static_cast<int>(Severity::error));
    return log.open(config.target, level);
}

bool is_file(const LogConfig& config) { return config.target.find('/') != std::string::npos; }

}  // namespace bandd
