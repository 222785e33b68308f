// SPDX-License-Identifier: GPL-2.0-or-later
// Old logs through the jails, for others than `bandctl replay`.
#pragma once

#include <expected>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cli/command.h"
#include "core/base/address.h"
#include "core/base/instant.h"
#include "core/base/result.h"

namespace bandd {

// Whom each jail of the configuration would have banned since then, by logs that jails read;
// nothing is printed. Or all that is wrong with configuration or logs.
using WouldBeBanned = std::map<std::string, std::set<Prefix>>;
// `of_jails`: logs that one jail reads, by their path, whatever its `logpath` says.
std::expected<WouldBeBanned, std::vector<Error>> replay_quietly(
    const CommonOptions& common, const std::vector<std::string>& logs,
    const std::map<std::string, std::string>& of_jails, Instant since);

}  // namespace bandd
