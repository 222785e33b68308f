// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/section.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "config/keys.h"
#include "core/base/suggest.h"

namespace bandd {

Section::Section(const Value& value, std::string_view section, std::string what,
                 std::vector<Error>& errors)
    : value_(value), what_(std::move(what)), errors_(errors) {
    if (value.kind == Value::Kind::null) return;
    if (value.kind != Value::Kind::map) {
        error(value, what_, "must be a map, not " + std::string(kind_name(value.kind)));
        return;
    }
    auto known = keys_of(section);
    for (const auto& [key, content] : value.entries) {
        if (std::ranges::find(known, key.text) != known.end()) continue;
        error(key, "unknown key \"" + key.text + "\"", "in " + what_,
              did_you_mean(key.text, known));
    }
}

void Section::error(const Value& at, std::string what, std::string reason, std::string hint) const {
    errors_.push_back({std::move(what), std::move(reason), std::move(hint), at.where});
}

const Value* Section::find(std::string_view key) const {
    const Value* value = value_.find(key);
    return value != nullptr && value->kind != Value::Kind::null ? value : nullptr;
}

const Value* Section::scalar(std::string_view key) const {
    const Value* value = find(key);
    if (value == nullptr) return nullptr;
    if (value->kind == Value::Kind::scalar) return value;
    error(*value, fmt::format("\"{}\"", key),
          "must be a single value, not " + std::string(kind_name(value->kind)));
    return nullptr;
}

void Section::text(std::string_view key, std::string& target) const {
    if (const Value* value = scalar(key)) target = value->text;
}

void Section::boolean(std::string_view key, bool& target) const {
    const Value* value = scalar(key);
    if (value == nullptr) return;
    for (auto yes : {"true", "yes", "on"})
        if (value->text == yes) {
            target = true;
            return;
        }
    for (auto no : {"false", "no", "off"})
        if (value->text == no) {
            target = false;
            return;
        }
    error(*value, fmt::format("\"{}: {}\"", key, value->text), "must be true or false");
}

void Section::duration(std::string_view key, Duration& target, bool may_be_forever) const {
    const Value* value = scalar(key);
    if (value == nullptr) return;
    auto parsed = parse_duration(value->text);
    std::string what = fmt::format("\"{}: {}\"", key, value->text);
    if (!parsed)
        error(*value, what, "is not a duration", "write 90, 10m, 1h, 1d12h or 2w");
    else if (*parsed == forever && !may_be_forever)
        error(*value, what, "must end at some time");
    else if (*parsed <= Duration{0})
        error(*value, what, "must be longer than nothing");
    else
        target = *parsed;
}

bool Section::whole(std::string_view key, std::int64_t& target, std::int64_t least,
                    std::int64_t most) const {
    const Value* value = scalar(key);
    if (value == nullptr) return false;
    std::int64_t number = 0;
    const char* end = value->text.data() + value->text.size();
    auto [rest, fault] = std::from_chars(value->text.data(), end, number);
    if (fault != std::errc{} || rest != end || number < least || number > most) {
        error(*value, fmt::format("\"{}: {}\"", key, value->text),
              fmt::format("must be a number from {} to {}", least, most));
        return false;
    }
    target = number;
    return true;
}

void Section::real(std::string_view key, double& target, double least, double most) const {
    const Value* value = scalar(key);
    if (value == nullptr) return;
    double number = 0;
    const char* end = value->text.data() + value->text.size();
    auto [rest, fault] = std::from_chars(value->text.data(), end, number);
    if (fault != std::errc{} || rest != end || number < least || number > most)
        error(*value, fmt::format("\"{}: {}\"", key, value->text),
              fmt::format("must be a number from {} to {}", least, most));
    else
        target = number;
}

std::vector<const Value*> Section::words(std::string_view key) const {
    const Value* value = find(key);
    if (value == nullptr) return {};
    if (value->kind == Value::Kind::scalar) return {value};
    std::vector<const Value*> words;
    if (value->kind == Value::Kind::map) {
        error(*value, fmt::format("\"{}\"", key), "must be a word or a list, not a map");
        return {};
    }
    for (const Value& item : value->items) {
        if (item.kind == Value::Kind::scalar)
            words.push_back(&item);
        else
            error(item, fmt::format("\"{}\"", key), "must hold single values only");
    }
    return words;
}

void Section::wrong_choice(std::string_view key, const Value& value,
                           const std::vector<std::string_view>& names) const {
    std::string hint = did_you_mean(value.text, names);
    error(value, fmt::format("\"{}: {}\"", key, value.text),
          fmt::format("must be one of {}", fmt::join(names, ", ")), hint);
}

}  // namespace bandd
