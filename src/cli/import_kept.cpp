// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/import_kept.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <vector>

#include "config/document.h"

namespace bandd {
namespace {

using fail2ban::Fate;

// A list, or one text.
std::vector<std::string> texts_of(const Value* value) {
    std::vector<std::string> texts;
    if (value == nullptr) return texts;
    if (value->kind == Value::Kind::scalar) texts.push_back(value->text);
    for (const Value& item : value->items)
        if (item.kind == Value::Kind::scalar) texts.push_back(item.text);
    return texts;
}

// Those of `old` that hold no more: "http, defaults: maxretry".
std::vector<std::string> keys_lost(const Value& old, const Value& fresh) {
    std::vector<std::string> lost;
    for (const Entry& entry : old.entries) {
        const std::string& key = entry.first.text;
        if (key != "defaults") {
            if (fresh.find(key) == nullptr) lost.push_back(key);
            continue;
        }
        for (const Entry& inner : entry.second.entries)
            if (inner.first.text != "ignoreip") lost.push_back("defaults: " + inner.first.text);
    }
    return lost;
}

}  // namespace

void keep_ignored(fail2ban::Imported& imported, const std::filesystem::path& directory) {
    const char* name = "bandd.yaml";
    std::filesystem::path file = directory / name;
    std::error_code fault;
    if (!std::filesystem::exists(file, fault)) return;
    auto old = read_document(file.string());
    auto fresh = parse_document(imported.files[name], name);
    if (!old || !fresh) {
        imported.notes.add(Fate::undecided, "",
                           "the old bandd.yaml cannot be read: whom its ignoreip exempted, if it "
                           "had one, is not exempt any more");
        return;
    }
    const Value* defaults = old->find("defaults");
    auto ignored = texts_of(defaults == nullptr ? nullptr : defaults->find("ignoreip"));
    if (!ignored.empty()) {
        std::vector<std::string> quoted;
        std::ranges::transform(ignored, std::back_inserter(quoted), fail2ban::yaml_text);
        imported.files[name] +=
            fmt::format("defaults:\n  ignoreip: [{}]\n", fmt::join(quoted, ", "));
        imported.notes.add(
            Fate::carried, "",
            fmt::format("ignoreip [{}], which bandd.yaml had, is kept", fmt::join(ignored, ", ")));
    }
    if (auto lost = keys_lost(*old, *fresh); !lost.empty())
        imported.notes.add(Fate::lost, "",
                           fmt::format("what the old bandd.yaml said of {}: it is in the copy that "
                                       "is kept of it",
                                       fmt::join(lost, ", ")));
}

}  // namespace bandd
