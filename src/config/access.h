// SPDX-License-Identifier: GPL-2.0-or-later
// `access:` and `accounts:`: who may log in from where, and from how many places.
#pragma once

#include <vector>

#include "config/table.h"
#include "config/types.h"

namespace bandd {

// The users of `access: users_file`, and those of the configuration. Lines that mean nothing are
// reported, and left out.
Result<UsersPlaces> read_users(const AccessConfig& access, std::vector<Error>& bad_lines);

const Table<AccessConfig>& access_keys();
const Table<AccessConfig>& accounts_keys();

}  // namespace bandd
