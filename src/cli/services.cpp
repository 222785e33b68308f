// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/services.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>

namespace bandd {
namespace {

namespace fs = std::filesystem;

// Logs that many programs write to.
constexpr std::array<std::string_view, 9> shared_logs{
    "/var/log/auth.log",   "/var/log/secure",   "/var/log/mail.log",
    "/var/log/maillog",    "/var/log/syslog",   "/var/log/messages",
    "/var/log/daemon.log", "/var/log/user.log", "/var/log/kern.log"};

constexpr std::array<std::string_view, 5> unit_directories{
    "/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system", "/lib/systemd/system"};

constexpr std::string_view identifier = "SYSLOG_IDENTIFIER=";

std::vector<std::string> words_of(const Value* value) {
    if (value == nullptr) return {};
    if (value->kind == Value::Kind::scalar) return {value->text};
    std::vector<std::string> words;
    for (const Value& item : value->items) words.push_back(item.text);
    return words;
}

std::vector<std::string> words_of(const Value* map, std::string_view key) {
    return map == nullptr ? std::vector<std::string>() : words_of(map->find(key));
}

bool exists(const std::string& pattern) { return !glob_files(pattern).empty(); }

// "postfix@-" is an instance of postfix@.service.
bool has_unit(std::string name) {
    if (name.ends_with(".service")) name.resize(name.size() - std::string(".service").size());
    std::error_code ignored;
    if (fs::exists("/etc/init.d/" + name, ignored)) return true;
    if (auto at = name.find('@'); at != std::string::npos) name.resize(at + 1);
    return std::ranges::any_of(unit_directories, [&](std::string_view directory) {
        // A unit that is masked is a link to /dev/null.
        std::string path = std::string(directory) + "/" + name + ".service";
        return fs::exists(path, ignored) && !fs::is_character_file(path, ignored);
    });
}

// What the journal's entries are known by.
std::vector<std::string> identifiers_of(const Value* journal) {
    std::vector<std::string> names;
    for (const std::string& match : words_of(journal, "match"))
        for (auto at = match.find(identifier); at != std::string::npos;
             at = match.find(identifier, at + 1)) {
            auto begin = at + identifier.size();
            names.push_back(match.substr(begin, match.find(' ', begin) - begin));
        }
    return names;
}

// Units that are this software, and not the web server in front of it.
std::vector<std::string> units_of(const Value& jail) {
    std::vector<std::string> units = words_of(jail.find("journal"), "unit");
    std::ranges::move(identifiers_of(jail.find("journal")), std::back_inserter(units));
    std::vector<std::string> service = words_of(jail.find("service"), "unit");
    bool in_front = service.size() > 1 && std::ranges::find(service, "nginx") != service.end();
    if (!in_front) std::ranges::move(service, std::back_inserter(units));
    return units;
}

bool is_installed(const Value& jail) {
    if (const Value* software = jail.find("software"))
        return std::ranges::any_of(words_of(software), exists);
    for (const std::string& log : words_of(jail.find("logpath")))
        if (std::ranges::find(shared_logs, log) == shared_logs.end() && exists(log)) return true;
    return std::ranges::any_of(units_of(jail), has_unit);
}

// As the daemon chooses: the journal where there is no log.
std::string reads_of(const Value& jail) {
    std::string logs;
    for (const std::string& log : words_of(jail.find("logpath")))
        if (exists(log)) logs += (logs.empty() ? "" : ", ") + log;
    std::error_code ignored;
    bool journal = jail.find("journal") != nullptr;
    if (logs.empty() && journal && fs::exists("/run/systemd/journal/socket", ignored))
        return "the journal";
    return logs;
}

std::string text_of(const Value& jail, std::string_view key) {
    const Value* value = jail.find(key);
    return value == nullptr ? "" : value->text;
}

}  // namespace

std::vector<Service> find_services(const std::map<std::string, const Value*>& shipped) {
    std::vector<Service> services;
    for (const auto& [name, jail] : shipped)
        if (is_installed(*jail))
            services.push_back({name, text_of(*jail, "description"), jail->where.file,
                                reads_of(*jail), text_of(*jail, "enabled") == "false"});
    return services;
}

}  // namespace bandd
