// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/section.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iterator>

#include "core/base/ascii.h"
#include "core/base/suggest.h"

namespace bandd {

std::string Reading::absolute(const std::string& path) const {
    if (path.empty() || path.starts_with('/')) return path;
    return (std::filesystem::path(directory) / path).lexically_normal().string();
}

Section::Section(const Value& map, std::span<const std::string_view> known, std::string what,
                 Reading& reading)
    : map_(map), what_(std::move(what)), reading_(reading) {
    if (map.kind == Value::Kind::null) return;
    if (map.kind != Value::Kind::map) {
        error("must be a map, not " + std::string(kind_name(map.kind)));
        return;
    }
    for (const auto& [key, content] : map.entries)
        if (std::ranges::find(known, key.text) == known.end())
            error(key, "unknown key \"" + key.text + "\"", "in " + what_,
                  did_you_mean(key.text, known));
}

void Section::error(const Value& at, std::string what, std::string reason, std::string hint) const {
    reading_.errors.push_back({std::move(what), std::move(reason), std::move(hint), at.where});
}

void Section::warning(std::string reason, std::string hint) const {
    reading_.warnings.push_back({what_, std::move(reason), std::move(hint), map_.where});
}

const Value* Section::find(std::string_view key) const {
    const Value* value = map_.find(key);
    return value != nullptr && value->kind != Value::Kind::null ? value : nullptr;
}

void Field::error(const Value& word, std::string reason, std::string hint) const {
    std::string what = word.kind == Value::Kind::scalar ? fmt::format("\"{}: {}\"", key_, word.text)
                                                        : fmt::format("\"{}\"", key_);
    section_.error(word, std::move(what), std::move(reason), std::move(hint));
}

void Field::error(const ListItem& item, std::string reason, std::string hint) const {
    if (item.in_file.file.empty())
        return item_error(*item.word, item.text, std::move(reason), std::move(hint));
    reading().errors.push_back(
        {fmt::format("\"{}\"", item.text), std::move(reason), std::move(hint), item.in_file});
}

void Field::item_error(const Value& word, std::string_view item, std::string reason,
                       std::string hint) const {
    section_.error(word, fmt::format("\"{}: {}\"", key_, item), std::move(reason), std::move(hint));
}

void Field::error_without_value(std::string reason, std::string hint) const {
    section_.error(value_, fmt::format("\"{}\"", key_), std::move(reason), std::move(hint));
}

void Field::not_one_of(const Value& word, std::span<const std::string_view> names) const {
    error(word, fmt::format("must be one of {}", fmt::join(names, ", ")),
          did_you_mean(word.text, names));
}

const Value* Field::scalar() const {
    if (value_.kind == Value::Kind::scalar) return &value_;
    error("must be a single value, not " + std::string(kind_name(value_.kind)));
    return nullptr;
}

std::optional<std::string> Field::text() const {
    const Value* value = scalar();
    return value == nullptr ? std::nullopt : std::optional(value->text);
}

std::optional<bool> Field::boolean() const {
    const Value* value = scalar();
    if (value == nullptr) return {};
    for (auto yes : {"true", "yes", "on"})
        if (value->text == yes) return true;
    for (auto no : {"false", "no", "off"})
        if (value->text == no) return false;
    error("must be true or false");
    return {};
}

std::optional<Duration> Field::duration(MayBeForever may_be_forever) const {
    const Value* value = scalar();
    if (value == nullptr) return {};
    auto parsed = parse_duration(value->text);
    if (!parsed)
        error("is not a duration", "write 90, 10m, 1h, 1d12h or 2w");
    else if (*parsed == forever && may_be_forever == MayBeForever::no)
        error("must end at some time");
    else if (*parsed <= Duration{0})
        error("must be longer than nothing");
    else
        return parsed;
    return {};
}

namespace {

template <class Number>
std::optional<Number> parse_number(const Field& field, const Value& value, Range range) {
    Number number{};
    const char* end = value.text.data() + value.text.size();
    auto [rest, fault] = std::from_chars(value.text.data(), end, number);
    if (fault == std::errc{} && rest == end && number >= static_cast<Number>(range.least) &&
        number <= static_cast<Number>(range.most))
        return number;
    field.error(fmt::format("must be a number from {} to {}", range.least, range.most));
    return {};
}

}  // namespace

std::optional<std::int64_t> Field::whole_number(Range range) const {
    const Value* value = scalar();
    return value == nullptr ? std::nullopt : parse_number<std::int64_t>(*this, *value, range);
}

std::optional<double> Field::number(Range range) const {
    const Value* value = scalar();
    return value == nullptr ? std::nullopt : parse_number<double>(*this, *value, range);
}

std::vector<const Value*> Field::words() const {
    if (value_.kind == Value::Kind::scalar) return {&value_};
    std::vector<const Value*> words;
    if (value_.kind == Value::Kind::map) {
        error("must be a word or a list, not a map");
        return {};
    }
    for (const Value& item : value_.items) {
        if (item.kind == Value::Kind::scalar)
            words.push_back(&item);
        else
            error(item, "must hold single values only");
    }
    return words;
}

std::vector<ListItem> Field::items_of(const Value& word, std::string_view text) const {
    constexpr std::string_view file_prefix = "file:";
    constexpr std::string_view blanks = " \t\r";
    if (!text.starts_with(file_prefix)) return {{std::string(text), &word, {}}};
    std::string path = reading().absolute(std::string(text.substr(file_prefix.size())));
    auto content = read_text(path);
    if (!content) {
        item_error(word, text, to_line(content.error()));
        return {};
    }
    std::vector<ListItem> items;
    std::string_view rest = without_mark(*content);
    for (int number = 1; !rest.empty(); ++number) {
        std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        line = line.substr(0, line.find('#'));
        auto first = line.find_first_not_of(blanks);
        if (first == std::string_view::npos) continue;
        line = line.substr(first, line.find_last_not_of(blanks) - first + 1);
        items.push_back({std::string(line), &word, {path, number, static_cast<int>(first) + 1}});
    }
    return items;
}

std::vector<ListItem> Field::items() const {
    std::vector<ListItem> items;
    for (const Value* word : words())
        std::ranges::move(items_of(*word, word->text), std::back_inserter(items));
    return items;
}

std::vector<Prefix> Field::prefixes() const {
    std::vector<Prefix> prefixes;
    for (const ListItem& item : items()) {
        if (auto prefix = parse_prefix(item.text))
            prefixes.push_back(*prefix);
        else
            error(item, "is no address and no CIDR block");
    }
    return prefixes;
}

}  // namespace bandd
