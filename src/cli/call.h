// SPDX-License-Identifier: GPL-2.0-or-later
// Requests to the running daemon.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <string_view>

#include "cli/command.h"
#include "control/client.h"

namespace bandd {

// What bandd.yaml names by `key`, else `standard`, whether or not the rest of that file is right.
// An error if that cannot be told: a guess might be another daemon's.
Result<std::string> find_path(const CommonOptions& common, std::string_view key,
                              const std::string& standard);
Result<std::string> find_socket(const CommonOptions& common);

// Sends one request and gives its result to `print`, whose exit code is bandctl's. With --json the
// result is printed as it came instead. What fails is said.
//   return call(common, "flush", Json::object(), [](const Json& result) { …; return exit_done; });
using Print = std::function<int(const Json& result)>;
int call(const CommonOptions& common, const std::string& command, const Json& arguments,
         const Print& print);

// The same for a command that goes on answering: a connection whose first reply was "ok". What
// failed was said; the exit code is the error.
struct Call {
    ControlClient client;
    Json result;
};
std::expected<Call, int> begin_call(const CommonOptions& common, const std::string& command,
                                    const Json& arguments);

// exit_done; or it is said that what was ordered is not saved, and the exit code says so.
int say_unsaved(const Json& result);

// Whether a daemon runs on this configuration, or at the socket that was named.
bool is_running(const CommonOptions& common);

// One more request on such a connection, and its result.
std::expected<Json, int> ask(ControlClient& client, const std::string& command,
                             const Json& arguments);

// What can be seen to be wrong without the daemon: false, and said. An empty text is right.
bool is_prefix(const std::string& text);
bool is_duration(const std::string& text);

}  // namespace bandd
