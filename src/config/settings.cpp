// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/settings.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "core/base/ascii.h"

namespace bandd {
namespace {

constexpr std::string_view file_prefix = "file:";

bool names_secret(std::string_view text) {
    constexpr std::array<std::string_view, 7> words{"token",   "secret",  "passw",        "apikey",
                                                    "api_key", "api-key", "authorization"};
    std::string small = ascii_lower(text);
    return std::ranges::any_of(
        words, [&](std::string_view word) { return small.find(word) != std::string::npos; });
}

// Plain if YAML reads it back as the same word.
std::string quoted(const Value& value) {
    constexpr std::string_view special = ",[]{}#&*!|>'\"%@`: ";
    const std::string& text = value.text;
    bool plain = !text.empty() && !value.quoted && text.front() != ' ' && text.back() != ' ' &&
                 text.find_first_of(",[]{}\n") == std::string::npos &&
                 text.find(": ") == std::string::npos && text.find(" #") == std::string::npos &&
                 special.find(text.front()) == std::string_view::npos;
    if (plain) return text;
    std::string out = "'";
    for (char c : text) out += c == '\'' ? "''" : std::string(1, c);
    return out + "'";
}

// Whether everybody on this machine may read the file, and come to it.
bool may_be_read_by_all(const std::string& file) {
    namespace fs = std::filesystem;
    std::error_code fault;
    auto may = [&](const fs::path& path, fs::perms right) {
        fs::perms rights = fs::status(path, fault).permissions();
        return !fault && (rights & right) != fs::perms::none;
    };
    fs::path path = fs::canonical(file, fault);
    if (fault || !may(path, fs::perms::others_read)) return false;
    while (path.has_relative_path()) {
        path = path.parent_path();
        if (!may(path, fs::perms::others_exec)) return false;
    }
    return true;
}

// A program and its arguments. What of them is secret no list of words can say: if the file is not
// for all eyes, each may be.
bool is_secret_program(const Entry& entry) {
    constexpr std::array<std::string_view, 5> keys{"ban", "unban", "run", "action",
                                                   "ignorecommand"};
    const std::vector<Value>& words = entry.second.items;
    return std::ranges::find(keys, entry.first.text) != keys.end() && !words.empty() &&
           words.front().text.starts_with('/') && !may_be_read_by_all(words.front().where.file);
}
std::string flow_of_secret_program(const Value& argv) {
    std::string out = "[";
    for (const Value& word : argv.items)
        out += out.size() == 1 ? to_flow(word) : ", " + std::string(secret_value);
    return out + "]";
}

// An argument of a program: `--password=x` and `Authorization: x` keep what comes first. Whole if
// the one before it names a secret: `--token x`.
std::string argument(const Value& value, bool after_name) {
    const std::string& text = value.text;
    if (text.starts_with(file_prefix)) return quoted(value);
    if (after_name) return std::string(secret_value);
    if (auto user = text.find("://"), at = text.find('@', user == text.npos ? 0 : user);
        user != text.npos && at != text.npos && text.find('/', user + 3) > at)
        return text.substr(0, user + 3) + std::string(secret_value) + text.substr(at);
    auto end = text.find_first_of("=:");
    if (end == text.npos || text.front() == '<' || !names_secret(text)) return quoted(value);
    // Of several, all from the first one on.
    return text.substr(0, end + 1) + std::string(secret_value);
}

std::string flow_of_list(const Value& list) {
    std::string out = "[";
    bool after_name = false;
    for (const Value& item : list.items) {
        if (out.size() > 1) out += ", ";
        bool scalar = item.kind == Value::Kind::scalar;
        out += scalar ? argument(item, after_name) : to_flow(item);
        after_name = scalar && item.text.starts_with('-') && names_secret(item.text) &&
                     item.text.find('=') == std::string::npos;
    }
    return out + "]";
}

std::string flow_of_entry(const Entry& entry) {
    const Value& value = entry.second;
    if (value.kind == Value::Kind::scalar && entry.first.text == "token" &&
        !value.text.starts_with(file_prefix))
        return std::string(secret_value);
    if (is_secret_program(entry)) return flow_of_secret_program(value);
    return to_flow(value);
}

}  // namespace

std::string to_flow(const Value& value) {
    switch (value.kind) {
        case Value::Kind::null:
            return "";
        case Value::Kind::scalar:
            return quoted(value);
        case Value::Kind::list:
            return flow_of_list(value);
        case Value::Kind::map:
            break;
    }
    std::string out = "{";
    for (const Entry& entry : value.entries)
        out += (out.size() > 1 ? ", " : "") + entry.first.text + ": " + flow_of_entry(entry);
    return out + "}";
}

void add_settings(const Entry& said, const std::string& prefix, std::vector<Setting>& settings) {
    std::string key = prefix + said.first.text;
    if (said.second.kind != Value::Kind::map) {
        settings.push_back({key, flow_of_entry(said), said.first.where});
        return;
    }
    for (const Entry& inner : said.second.entries) add_settings(inner, key + ".", settings);
}

}  // namespace bandd
