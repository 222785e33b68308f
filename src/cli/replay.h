// SPDX-License-Identifier: GPL-2.0-or-later
// Old logs through the jails, for `bandctl replay` and whoever wants its decisions.
#pragma once

#include <expected>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cli/command.h"
#include "config/types.h"
#include "core/base/address.h"
#include "core/base/instant.h"
#include "core/base/result.h"
#include "core/decide/engine.h"

namespace bandd {

struct ReplayOptions {
    std::vector<std::string> logs;
    std::string jail;  // empty if not given
    bool all = false;
    std::string offset = "0";                     // if not given
    std::map<std::string, std::string> of_jails;  // logs that one jail reads: by their path
};

// Gets each event instead of the report that replay prints.
using Hear = std::function<void(const Engine& engine, const Event& event)>;
// Gives bandctl's exit code, after what failed was said.
int replay(const CommonOptions& common, const ReplayOptions& options, const Hear& hear = {});

// Whom each jail of the configuration would have banned since then, by logs that jails read;
// nothing is printed. Or all that is wrong with configuration or logs.
using WouldBeBanned = std::map<std::string, std::set<Prefix>>;
// `of_jails`: logs that one jail reads, by their path, whatever its `logpath` says.
std::expected<WouldBeBanned, std::vector<Error>> replay_quietly(
    const CommonOptions& common, const std::vector<std::string>& logs,
    const std::map<std::string, std::string>& of_jails, Instant since);

// Whether `path` is one of its logs, or was before it was rotated.
bool names_log(const JailConfig& jail, const std::string& path);

}  // namespace bandd
