// SPDX-License-Identifier: GPL-2.0-or-later
// What each of bandd's processes keeps of root's rights: the one table, which docs/security.md
// shows.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "os/credentials.h"
#include "os/landlock.h"
#include "os/roles.h"

namespace bandd {

// What the kernel could not forbid, one line each; empty if all is in force.
using Missing = std::vector<std::string>;

// The first call of a role's program: its own system user ("nobody" if that does not exist), no
// capabilities but those of its row, no new privileges, limits, files, calls. Started without root,
// it stays who it is, and gives up the rest. An error: it must not go on.
Result<> enter_role(Role role);
// The same. False: why is said on standard error, which the daemon logs.
bool enters_role(Role role);

// Of these roles, whose user does not exist: one line each, to be said at a start.
std::vector<Error> missing_role_users(std::span<const Role> roles);

// The daemon's: becomes `account`, with what it needs to read logs. Files: it reads all that its
// account may, writes in `writes` only. Call before any thread is started.
Result<Missing> enter_daemon(const SystemUser& account, const std::vector<std::string>& writes);

}  // namespace bandd
