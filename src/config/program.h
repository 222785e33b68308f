// SPDX-License-Identifier: GPL-2.0-or-later
// Keys that name a program to run.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/table.h"
#include "config/types.h"

namespace bandd {

// A list: an absolute path, then arguments, in which <tags> are replaced. There is no shell.
// Empty if it is wrong.
std::vector<std::string> read_argv(const Field& field);

// Such a list, or a map with the keys of `table`.
ProgramConfig read_program(const Field& field, const Table<ProgramConfig>& table);

const Table<ProgramConfig>& ignorecommand_keys();
const Table<ProgramConfig>& accounts_action_keys();

// A list of names: net_admin, or CAP_NET_ADMIN. Nothing if it is wrong.
std::optional<Capabilities> read_capabilities(const Field& field);

namespace key {

inline constexpr std::string_view program_user_help =
    "as whom, if the daemon was started by root; the user nobody if there is no bandd-exec; root: "
    "with all rights, unless `capabilities` is given";

template <class T>
Key<T> capabilities(std::optional<Capabilities> T::* member) {
    auto read = [member](const Field& field, T& target) {
        target.*member = read_capabilities(field);
    };
    return {"capabilities", "list of capabilities",
            "the rights that the program has, net_admin for instance, whoever its user is", read,
            [](T&) { return std::string("none"); }};
}

template <class T>
Key<T> argv(std::string_view name, std::vector<std::string> T::* member, std::string_view help) {
    auto read = [member](const Field& field, T& target) { target.*member = read_argv(field); };
    return {name, "list: program and arguments", help, read, [](T&) { return std::string(); }};
}

}  // namespace key
}  // namespace bandd
