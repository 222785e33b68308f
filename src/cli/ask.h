// SPDX-License-Identifier: GPL-2.0-or-later
// Questions to the running daemon, and what of its answers is shown.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cli/command.h"

namespace bandd {

// The socket named in bandd.yaml, whether or not the rest of it is right.
std::string find_socket(const CommonOptions& common);

// Asks once. On failure it is said, and the exit code is set; with --json, so is the answer.
std::optional<Json> ask(const CommonOptions& common, const std::string& command,
                        const Json& arguments, int& exit_code);

std::string count(const Json& json, const char* key, std::string_view thing);  // "3 hits"
std::string text(const Json& json, const char* key);                           // printable

// As `ask`, but another machine's bandd, by its `remote:`; tells what came of it.
int ask_network(const CommonOptions& common, const std::string& verb, const RemoteOptions& options);

}  // namespace bandd
