// SPDX-License-Identifier: GPL-2.0-or-later
// What `bandctl check` finds where a configuration meets this machine: its users, its kernel's
// sets, its ports, who may write its files.
#pragma once

#include <string>
#include <vector>

#include "config/types.h"

namespace bandd {

// What is wrong, what is suspicious, what is only worth knowing; and what was looked at.
struct Findings {
    std::vector<Error> errors, warnings, notes;
    std::size_t jails = 0, filters = 0, samples = 0;
};

// Users of programs, ipset's sets, and what `port: auto` comes to.
void check_on_machine(const Config& config, Findings& found);

// bandd-programs, which is root, believes files only that nobody else can write. `path` is the
// configuration's.
void check_owners(const std::string& path, const Config& config, Findings& found);

}  // namespace bandd
