// SPDX-License-Identifier: GPL-2.0-or-later
// Files are read once a jail is looked for, and parsed only if its name begins a line of them:
// there are a hundred, and most configurations want two.
#include "config/shipped_jails.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace bandd {
namespace {

// What says where lines come from: one of them, or a few together.
constexpr std::array<std::string_view, 4> sources{"logpath", "journal", "syslog", "source"};

bool says(const Value& jail, std::string_view key) {
    const Value* value = jail.find(key);
    return value != nullptr && value->kind != Value::Kind::null;
}

bool says_source(const Value& jail) {
    return std::ranges::any_of(sources, [&](std::string_view key) { return says(jail, key); });
}

bool belongs_to_source(std::string_view key) {
    return key == "enabled" || std::ranges::find(sources, key) != sources.end();
}

// Files in the order in which they are asked: the one of the jail's name first.
std::vector<std::string> files_for(const std::string& directory, std::string_view name) {
    std::vector<std::string> files = glob_files(directory + "/jails/*.yaml");
    std::string likely = directory + "/jails/" + std::string(name) + ".yaml";
    std::ranges::stable_partition(files, [&](const std::string& file) { return file == likely; });
    return files;
}

// A shipped file has its jails at the left margin.
bool may_have(std::string_view text, std::string_view name) {
    std::string line = std::string(name) + ":";
    return text.starts_with(line) || text.find("\n" + line) != std::string_view::npos;
}

// The journal's units are also those whose ports `port: auto` means, from whatever log the jail
// reads.
std::optional<Entry> service_of(const Value& shipped) {
    const Value* journal = shipped.find("journal");
    if (journal == nullptr || shipped.find("service") != nullptr) return {};
    for (const Entry& entry : journal->entries) {
        if (entry.first.text != "unit") continue;
        Entry service = entry;
        service.first.text = "service";
        service.second = Value{};
        service.second.kind = Value::Kind::map;
        service.second.where = entry.first.where;
        service.second.entries.push_back(entry);
        return service;
    }
    return {};
}

}  // namespace

bool stands_alone(const Value& jail) {
    // What is fed by bandd itself has no filter.
    return says(jail, "source") || (says_source(jail) && says(jail, "filter"));
}

Result<const Value*> ShippedJails::find(std::string_view name) {
    for (const std::string& directory : directories_)
        for (const std::string& file : files_for(directory, name)) {
            auto text = read_(file);
            if (!text) return std::unexpected(text.error());
            if (!may_have(*text, name)) continue;
            auto whole = document(file);
            if (!whole) return whole;
            if (const Value* jail = (*whole)->find(name)) return jail;
        }
    return nullptr;
}

Result<const Value*> ShippedJails::document(const std::string& file) {
    auto known = documents_.find(file);
    if (known == documents_.end())
        known = documents_.emplace(file, read_document(file, read_)).first;
    if (!known->second) return std::unexpected(known->second.error());
    return &*known->second;
}

Result<Value> ShippedJails::completed(std::string_view name, const Value& jail) {
    bool is_map = jail.kind == Value::Kind::map || jail.kind == Value::Kind::null;
    if (!is_map || stands_alone(jail)) return jail;
    auto shipped = find(name);
    if (!shipped) return std::unexpected(shipped.error());
    if (*shipped == nullptr) return jail;
    Value whole = jail;
    whole.kind = Value::Kind::map;
    bool own_source = says_source(jail);
    for (const Entry& entry : (*shipped)->entries) {
        const std::string& key = entry.first.text;
        if (jail.find(key) == nullptr && !(own_source && belongs_to_source(key)))
            whole.entries.push_back(entry);
    }
    if (own_source && jail.find("service") == nullptr)
        if (auto service = service_of(**shipped)) whole.entries.push_back(*service);
    return whole;
}

std::map<std::string, const Value*> ShippedJails::all() {
    std::map<std::string, const Value*> jails;
    for (const std::string& directory : directories_)
        for (const std::string& file : glob_files(directory + "/jails/*.yaml"))
            if (auto whole = document(file))
                for (const Entry& entry : (*whole)->entries)
                    jails.try_emplace(entry.first.text, &entry.second);
    return jails;
}

}  // namespace bandd
