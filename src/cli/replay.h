// SPDX-License-Identifier: GPL-2.0-or-later
// Old logs through the jails, for `bandctl replay` and whoever wants its decisions.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "config/types.h"
#include "core/decide/engine.h"

namespace bandd {

struct ReplayOptions {
    std::vector<std::string> logs;
    std::string jail;  // empty if not given
    bool all = false;
    std::string offset = "0";  // if not given
};

// Gets each event instead of the report that replay prints.
using Hear = std::function<void(const Engine& engine, const Event& event)>;
// Gives bandctl's exit code, after what failed was said.
int replay(const CommonOptions& common, const ReplayOptions& options, const Hear& hear = {});

// Whether `path` is one of its logs, or was before it was rotated.
bool names_log(const JailConfig& jail, const std::string& path);

}  // namespace bandd
