// SPDX-License-Identifier: GPL-2.0-or-later
// What bandctl prints: tables that fit the terminal, times a person reads, colour only where it is
// wanted (a terminal, and no NO_COLOR).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/instant.h"
#include "core/base/result.h"

#include "control/protocol.h"

namespace bandd {

bool colour_wanted();
std::string bold(std::string_view text);
std::string red(std::string_view text);
std::string yellow(std::string_view text);
std::string green(std::string_view text);

// Columns as wide as their widest cell; if that is wider than the terminal, the last column is cut.
void print_table(const std::vector<std::string>& head,
                 const std::vector<std::vector<std::string>>& rows);

// "2026-11-21 04:05:50" in the machine's zone, out of RFC 3339; "for ever" for a missing time.
std::string local_time(std::string_view rfc3339);
// "in 59m", "5m ago"
std::string relative_time(std::string_view rfc3339, Instant now);

// "1 jail", "2 jails"
std::string count_of(std::size_t number, std::string_view thing);

// One line. Throws std::system_error if it can't be written, as fmt::print does.
void print_json(const Json& json);

int terminal_width();
void print_error(const Error& error);

// What databases know of an address, as `bandctl geo` and `explain` show it.
void print_origin(const Json& origin);

}  // namespace bandd
