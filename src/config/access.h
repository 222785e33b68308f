// SPDX-License-Identifier: GPL-2.0-or-later
// `access:` and `accounts:`: who may log in from where, and from how many places.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/table.h"
#include "config/types.h"

namespace bandd {

// The users of `access: users_file`, and those of the configuration. Lines that mean nothing are
// reported, and left out.
Result<UsersPlaces> read_users(const AccessConfig& access, std::vector<Error>& bad_lines);

// What Postfix may be told, as `message` keys give it; nothing, and a fault, if it is something
// else.
std::optional<std::string> read_postfix_answer(const Field& field);

const Table<AccessConfig>& access_keys();
const Table<AccessConfig>& accounts_keys();
const Table<LoginSyslog>& login_syslog_keys();
const Table<UserLimits>& user_limits_keys();

}  // namespace bandd
