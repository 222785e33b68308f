// SPDX-License-Identifier: GPL-2.0-or-later
// What one place of the configuration says of another, looked at once all of it is read.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "config/types.h"

namespace bandd {

// Bans of other machines go to jails that there are. `names`: of all jails, disabled ones included.
void check_remote_jails(const Config& config, const std::set<std::string>& names,
                        std::vector<Error>& errors);

// Who checks passwords bans who guesses them.
void check_guessing(const Config& config, std::vector<Error>& warnings);

// Jails add to lists, and choose modes and patterns, that their filters have.
void check_filter_uses(const Config& config, std::vector<Error>& errors);

// Countries and networks take a database.
void check_databases(const Config& config, std::vector<Error>& errors);

// What a filter of logins finds counts to the accounts, whose limits are `accounts:`; the jail's
// `count` may only say so.
void take_logins(Config& config, std::vector<Error>& errors);

}  // namespace bandd
