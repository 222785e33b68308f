// SPDX-License-Identifier: GPL-2.0-or-later
// YAML files as plain values that remember where they were read. Only this file's source knows
// yaml-cpp.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace bandd {

struct Entry;
struct Value {
    enum class Kind { null, scalar, list, map };
    Kind kind = Kind::null;
    std::string text;            // of a scalar
    bool quoted = false;         // "…" or '…': never a number or a boolean
    std::vector<Value> items;    // of a list
    std::vector<Entry> entries;  // of a map, in the file's order
    Place where;
    std::shared_ptr<const std::string> source;  // of a scalar: what it was read from,
    std::size_t position = 0;                   // and where it begins in that

    const Value* find(std::string_view key) const;
};
struct Entry {
    Value first, second;  // key, value
};

// The place of the `offset`-th byte of a scalar's text. A text with escapes in it is all at the
// place where it begins.
Place place_within(const Value& value, std::size_t offset);

std::string_view kind_name(Value::Kind kind);  // "a list", …

// The text of a file. Whoever runs as root gives one that trusts only root's files
// (`os/trusted_path`).
using TextReader = std::function<Result<std::string>(const std::string& path)>;
Result<std::string> read_text(const std::string& path);  // up to largest_text

inline constexpr std::size_t largest_text = 16 << 20;  // a list of a million addresses

// `!include GLOB` (relative to the file that says it) means the content of those files; several are
// joined, which takes maps. A key given twice is an error.
Result<Value> read_document(const std::string& path, const TextReader& read = read_text);
// The same without what is under the key `last`, if that is the last one of the file's map: it is
// not parsed, nor are faults in it found.
Result<Value> read_document_without(std::string_view last, const std::string& path);
Result<Value> parse_document(const std::string& text, const std::string& name);

// Files that match, sorted; empty if none.
std::vector<std::string> glob_files(const std::string& pattern);
// A directory that is there and cannot be read: to `glob_files` it looks like an empty one.
std::optional<Error> unreadable_directory(const std::string& path);

}  // namespace bandd
