// SPDX-License-Identifier: GPL-2.0-or-later
// One map of the configuration, and one key of it with its value. Whatever is wrong is reported
// with its place, and reading goes on: all faults of a configuration are found at once.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/document.h"
#include "core/base/address.h"
#include "core/base/instant.h"

namespace bandd {

// What all maps of one configuration share while they are read.
struct Reading {
    std::string directory;  // relative paths are below it
    // Found so far. A configuration with warnings can be used.
    std::vector<Error> errors, warnings;
    TextReader read_file = read_text;  // of files that others name

    std::string absolute(const std::string& path) const;  // an empty path stays empty
};

class Section {
  public:
    // Reports keys that are not among `known`, with the one that may be meant. `what` is what the
    // user calls the map: `jail "sshd"`. A null value is an empty map.
    Section(const Value& map, std::span<const std::string_view> known, std::string what,
            Reading& reading);

    const Value* find(std::string_view key) const;  // nullptr if it is absent, or null
    const Value& map() const { return map_; }
    const std::string& what() const { return what_; }
    Reading& reading() const { return reading_; }

    void error(const Value& at, std::string what, std::string reason, std::string hint = {}) const;
    // Of the whole map.
    void error(std::string reason, std::string hint = {}) const {
        error(map_, what_, std::move(reason), std::move(hint));
    }

    // Of the whole map, which can be used.
    void warning(std::string reason, std::string hint = {}) const;

  private:
    const Value& map_;
    std::string what_;
    Reading& reading_;
};

// Both ends included.
struct Range {
    std::int64_t least, most;
};
enum class MayBeForever { no, yes };

// A word of a list, or a line of a file that the list names.
struct ListItem {
    std::string text;
    const Value* word = nullptr;  // where it stands, or where its file is named
    Place in_file;                // of a line
};

// A key that is present, with its value. Each reader but `words` gives nothing if the value is not
// what it wants, and has reported that.
class Field {
  public:
    Field(const Section& section, std::string_view key, const Value& value)
        : section_(section), key_(key), value_(value) {}

    std::optional<std::string> text() const;
    std::optional<bool> boolean() const;
    std::optional<Duration> duration(MayBeForever may_be_forever) const;
    std::optional<std::int64_t> whole_number(Range range) const;
    std::optional<double> number(Range range) const;
    // A single value, or a list of them.
    std::vector<const Value*> words() const;
    // The same, and `file:PATH` stands for the lines of that file: one item each; `#` begins a
    // comment, and empty lines do not count.
    std::vector<ListItem> items() const;
    // `text`, which is all or a part of a word; of `file:PATH` the lines of the file.
    std::vector<ListItem> items_of(const Value& word, std::string_view text) const;
    // Addresses and CIDR blocks, from files, too.
    std::vector<Prefix> prefixes() const;

    // `"key: value": reason; hint`, or `"key": reason; hint` if the value is a list or a map.
    void error(std::string reason, std::string hint = {}) const {
        error(value_, std::move(reason), std::move(hint));
    }
    // The same, of one word of a list.
    void error(const Value& word, std::string reason, std::string hint = {}) const;
    // The same, of one item.
    void error(const ListItem& item, std::string reason, std::string hint = {}) const;
    // The same, of one item of several that a word holds: "25,smtp".
    void item_error(const Value& word, std::string_view item, std::string reason,
                    std::string hint = {}) const;
    // The same, without the value: it is long, or secret.
    void error_without_value(std::string reason, std::string hint = {}) const;
    // "must be one of …".
    void not_one_of(const Value& word, std::span<const std::string_view> names) const;

    std::string_view key() const { return key_; }
    const Value& value() const { return value_; }
    const Section& section() const { return section_; }
    Reading& reading() const { return section_.reading(); }

  private:
    const Value* scalar() const;

    const Section& section_;
    std::string_view key_;
    const Value& value_;
};

}  // namespace bandd
