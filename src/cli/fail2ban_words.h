// SPDX-License-Identifier: GPL-2.0-or-later
// fail2ban-client's words, answered as fail2ban-client answers them: for scripts. bandctl knows
// some of them; called by the name fail2ban-client, it knows these alone.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"

namespace bandd {

// What `get JAIL` is asked for.
inline constexpr std::array<std::string_view, 6> words_of_get{"banip",    "bantime",  "findtime",
                                                              "ignoreip", "maxretry", "logpath"};

inline constexpr const char* fail2ban_client_name = "fail2ban-client";

// The whole command line, without the program. fail2ban-client's exit codes: 0, or 255.
int run_fail2ban_client(const std::vector<std::string>& words);

}  // namespace bandd
