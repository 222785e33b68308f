// SPDX-License-Identifier: GPL-2.0-or-later
// What a jail of fail2ban's does at a ban, as `action:`, `port:` and `protocol:` of bandd.
#pragma once

#include <functional>
#include <string>

#include "import/fail2ban_reader.h"
#include "import/notes.h"

namespace bandd::fail2ban {

// What becomes of an action.
using Tell = std::function<void(Fate fate, const std::string& what)>;

// The lines of the jail's map, indented by two. Actions that fill the machine's own packet filter
// become one `nftables`, all others an `exec` each.
std::string actions_to_yaml(const JailDefinition& jail, const Tell& tell);

}  // namespace bandd::fail2ban
