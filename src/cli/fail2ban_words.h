// SPDX-License-Identifier: GPL-2.0-or-later
// fail2ban-client's words, answered as fail2ban-client answers them: for scripts. bandctl knows
// some of them; called by the name fail2ban-client, it knows these alone.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace bandd {

inline constexpr const char* fail2ban_client_name = "fail2ban-client";

// The whole command line, without the program. fail2ban-client's exit codes: 0, or 255.
int run_fail2ban_client(const std::vector<std::string>& words);

}  // namespace bandd
