// SPDX-License-Identifier: GPL-2.0-or-later
// Errors are values. An Error says what failed, why, where in the user's files, and what to do.
#pragma once

#include <compare>
#include <expected>
#include <string>
#include <utility>

namespace bandd {

// A place in a file of the user's. Lines and columns count from 1; 0 means unknown.
struct Place {
    std::string file;
    int line = 0;
    int column = 0;
    auto operator<=>(const Place&) const = default;
};

struct Error {
    std::string what;    // the thing that failed, with its argument: `open "/var/log/x"`
    std::string reason;  // why: "Permission denied"; may be empty
    std::string hint;    // what to do about it; may be empty
    Place where;         // may be unknown
};

template <class T = void>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(std::string what, std::string reason = {}, std::string hint = {},
                                   Place where = {}) {
    return std::unexpected(
        Error{std::move(what), std::move(reason), std::move(hint), std::move(where)});
}

// One line for the user: `file:line:column: what: reason; hint`.
std::string to_line(const Error& error);

}  // namespace bandd
