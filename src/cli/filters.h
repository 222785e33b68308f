// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <map>
#include <string>

#include "cli/command.h"

namespace bandd {

// The file of each filter by its name: of those beside the configuration and the shipped ones, the
// one that a jail would get.
std::map<std::string, std::string> filter_files(const CommonOptions& common);

}  // namespace bandd
