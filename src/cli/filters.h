// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <map>
#include <string>

#include "cli/command.h"
#include "config/types.h"

namespace bandd {

// The file of each filter by its name: of those beside the configuration and the shipped ones, the
// one that a jail would get.
std::map<std::string, std::string> filter_files(const CommonOptions& common);

// Which of its filter's patterns a jail uses, and what they count as: "only a (counts 5), b"; empty
// if all of them, alike.
std::string pattern_use(const JailConfig& jail);
// The same of all jails, by the filter's file (its whole path) and the jail's name. A configuration
// that cannot be read has none.
using PatternUses = std::map<std::string, std::map<std::string, std::string>>;
PatternUses pattern_uses(const CommonOptions& common);
void print_uses(const PatternUses& uses, const std::string& file);

}  // namespace bandd
