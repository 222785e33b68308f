// SPDX-License-Identifier: GPL-2.0-or-later
// Whom fail2ban would have banned by old logs, and whom bandd, and why these differ.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "import/fail2ban_reader.h"

namespace bandd {

// `from`: fail2ban's configuration directory, which `definitions` were read from. bandd's is that
// of
// --config if it was given, else what is made of fail2ban's.
int compare_with_fail2ban(const CommonOptions& common, const std::string& from,
                          const fail2ban::Definitions& definitions,
                          const std::vector<std::string>& logs);

}  // namespace bandd
