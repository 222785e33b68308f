// SPDX-License-Identifier: GPL-2.0-or-later
// What `bandctl config` tells: each key, its value, and the file and line that said it.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "config/document.h"
#include "config/table.h"
#include "config/types.h"

namespace bandd {

// "(secret)" in place of what a token, or an argument like `--password=x`, is, and of each argument
// in a file that not everybody may read: the daemon answers a group, and people send on what they
// see. The name of a file that holds a secret is none.
inline constexpr std::string_view secret_value = "(secret)";

// The key's value as its map says it, one setting for each key of maps within.
void add_settings(const Entry& said, const std::string& prefix, std::vector<Setting>& settings);

// The value in one line: `[a, {b: c}]`.
std::string to_flow(const Value& value);

// All keys of a table: each as the first of `maps` that has it says it, else by its default.
// Keys that add up are told of each map.
template <class T>
std::vector<Setting> settings_of(const Table<T>& table, std::initializer_list<const Value*> maps,
                                 std::initializer_list<std::string_view> that_add_up = {}) {
    std::vector<Setting> settings;
    T unread{};
    for (const Key<T>& key : table.keys()) {
        bool adds_up =
            std::find(that_add_up.begin(), that_add_up.end(), key.name) != that_add_up.end();
        std::size_t before = settings.size();
        for (const Value* map : maps) {
            if (map == nullptr || (settings.size() > before && !adds_up)) continue;
            for (const Entry& entry : map->entries)
                if (entry.first.text == key.name && entry.second.kind != Value::Kind::null)
                    add_settings(entry, "", settings);
        }
        if (settings.size() > before) continue;
        if (std::string value = key.default_value(unread); !value.empty())
            settings.push_back({std::string(key.name), std::move(value), {}});
    }
    return settings;
}

}  // namespace bandd
