// SPDX-License-Identifier: GPL-2.0-or-later
// Filters of JSON logs: what stands where in a line's object, and what fields must be.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/address.h"
#include "core/base/zone.h"
#include "core/match/fields.h"
#include "core/text/json_line.h"

namespace bandd {

// The numbers are of `paths`.
struct JsonLayout {
    JsonPaths paths;
    std::vector<std::size_t> ip;  // the first that a line has
    std::optional<std::size_t> time, message;
    // A hit's, by name; of those with the same name the first that a line has.
    std::vector<std::pair<std::string, std::size_t>> fields;
    bool operator==(const JsonLayout&) const = default;
};

// An address as logs write it beside text: with a port (`192.0.2.1:5`, `[::1]:5`), or without.
std::optional<Address> parse_peer(std::string_view text);

// The address that the line gives; empty if it gives none, or no address.
std::optional<Address> json_address(const JsonLayout& layout, const JsonReader& line);

// Adds what the line has of the layout's fields, but for those that are there.
void add_json_fields(const JsonLayout& layout, const JsonReader& line, Fields& fields);

// What the line says of its time. Empty if it says nothing that can be read.
std::optional<Instant> json_time(const JsonLayout& layout, const JsonReader& line, const Zone& zone,
                                 Instant arrival);

}  // namespace bandd
