// SPDX-License-Identifier: GPL-2.0-or-later
// Old logs through the jails, for `bandctl replay` and whoever wants its decisions.
#pragma once

#include <expected>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "cli/command.h"
#include "config/types.h"
#include "core/base/result.h"
#include "core/decide/engine.h"

namespace bandd {

struct ReplayOptions {
    std::vector<std::string> logs;
    std::string jail;  // empty if not given
    bool all = false;
    std::string offset = "0";                     // if not given
    std::map<std::string, std::string> of_jails;  // logs that one jail reads: by their path
    // What to do about a log that no jail reads.
    std::string if_unread = "give --jail NAME, or --all for every jail";
};

// Gets each event.
using Hear = std::function<void(const Engine& engine, const Event& event)>;
// Nothing is printed but how far it is. An error: all that is wrong with configuration or logs.
std::expected<void, std::vector<Error>> replay(const CommonOptions& common,
                                               const ReplayOptions& options, const Hear& hear);

// Whether `path` is one of its logs, or was before it was rotated.
bool names_log(const JailConfig& jail, const std::string& path);

}  // namespace bandd
