// SPDX-License-Identifier: GPL-2.0-or-later
// What bandctl prints: tables that fit the terminal, times that a person reads, and colour only on
// a terminal without NO_COLOR.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/protocol.h"
#include "core/base/count_of.h"
#include "core/base/instant.h"
#include "core/base/result.h"

namespace bandd {

bool colour_wanted();
std::string bold(std::string_view text);
std::string red(std::string_view text);
std::string yellow(std::string_view text);
std::string green(std::string_view text);

// Sentences, as fmt::print does: of a line that is wider than the terminal, what is too much goes
// to further ones, indented by two more. Not for what is to be copied or compared: lines of logs,
// what programs read.
void put_wrapped(const std::string& text);
template <class... T>
void print_wrapped(fmt::format_string<T...> format, T&&... values) {
    put_wrapped(fmt::format(format, std::forward<T>(values)...));
}
std::string wrapped(std::string_view text, std::size_t width);

// Columns as wide as their widest cell. If that is wider than the terminal, those of `may_go` are
// left out, one by one, then the last column is cut. Nothing is printed of no rows.
void print_table(const std::vector<std::string>& head,
                 const std::vector<std::vector<std::string>>& rows,
                 const std::vector<std::string>& may_go = {});

// RFC 3339 as "2026-11-21 04:05:50" in the machine's zone; "for ever" if it is empty.
std::string local_time(std::string_view rfc3339);
// RFC 3339 as "in 59m" or "5m ago"; "never" if it is empty.
std::string relative_time(std::string_view rfc3339, Instant now);

// Members of an object, safe to print: a text without its quotes, anything else as JSON; empty if
// there is no such member, or null.
std::string text(const Json& json, const char* key);
std::string count(const Json& json, const char* key, std::string_view thing);  // "3 hits"
// The elements of an array; none if there is no such member, or it is no array.
const Json& list(const Json& json, const char* key);

// One line on standard output. Throws std::system_error if it can't be written, as fmt::print does.
void print_json(const Json& json);

// Throws std::system_error if what was printed can't be written.
void flush_output();

// How many more there are than the `shown` ones, if `result` has a "total".
std::size_t rest_of(const Json& result, std::size_t shown);
// That an answer was cut at --limit, if it was: `result` has its "total".
void print_rest(const Json& result, std::size_t shown);

// Errors are also said as JSON from then on: {"error": {"what", "reason", "hint", "where"}} on
// standard output.
void want_json();
// One line on standard error, in red on a terminal.
void print_error(const Error& error);

// What the databases know of an address, as `geo` and `explain` show it.
void print_origin(const Json& origin);
// Of what holds "blocked_by": the geoblocks that keep the address out.
void print_geoblocks(const Json& known);

}  // namespace bandd
