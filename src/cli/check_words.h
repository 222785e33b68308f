// SPDX-License-Identifier: GPL-2.0-or-later
// What `bandctl check` finds wrong although bandd would take it: words that mean nothing, programs
// and files that are not there. Most are slips that are noticed only once somebody is to be banned.
#pragma once

#include <string>
#include <vector>

#include "config/document.h"
#include "config/types.h"

namespace bandd {

// Files that end in .yml or .YAML lie where only those that end in .yaml are read.
void find_passed_over(const std::string& directory, std::vector<Error>& errors);
// Configurations within this one, as `cp -r` into a directory that is there makes them. Copies may
// be meant.
void find_inner_configurations(const std::string& directory, std::vector<Error>& warnings);

// Programs that do not exist, or that nobody may run.
void find_missing_programs(const Config& config, std::vector<Error>& errors);

// <tags> that nobody fills in: of programs' arguments and of lines for syslog.
void find_unknown_tags(const Config& config, std::vector<Error>& errors,
                       std::vector<Error>& warnings);

// ${NAME}: bandd knows no variables. The text of a shell does.
void find_variables(const Value& document, std::vector<Error>& errors);

}  // namespace bandd
