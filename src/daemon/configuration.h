// SPDX-License-Identifier: GPL-2.0-or-later
// The configuration as the daemon takes it, at its start and at a reload: read, and compiled.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "config/compile.h"
#include "config/filter_file.h"
#include "config/types.h"

namespace bandd {

class Log;

// Why something was not done: all of it. Whoever gets them says them, once.
using Errors = std::vector<Error>;

struct Configuration {
    Config config;
    Compiled compiled;  // without errors
};
// `path` is what --config names. A reload asks the filters' samples, too, as `bandctl check` does,
// and refuses what check refuses. A start does not: it protects with what there is.
std::expected<Configuration, Errors> load_configuration(const std::string& path, Samples samples);

// Keys of bandd.yaml that a running daemon cannot change stay in `fresh` as they are in `held`, and
// what `bandctl config` shows of them, too. Those that wait for a restart are returned.
std::vector<std::string> keep_until_restart(Config& fresh, const Config& held);

// As root: why bandd.yaml, or a directory on the way to it, is not root's alone. Nothing if it is.
std::optional<Error> written_by_others(const std::string& path);

// For those who show one error: the first, and how many there are besides.
Error summary_of(const Errors& errors);

Result<> open_log(Log& log, const LogConfig& config);
// Its target is a file, and neither syslog nor the journal.
bool is_file(const LogConfig& config);

}  // namespace bandd
