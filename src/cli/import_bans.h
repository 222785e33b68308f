// SPDX-License-Identifier: GPL-2.0-or-later
// fail2ban's bans and offences, for a bandd that runs or for the state of one that does not.
#pragma once

#include <string>

#include "cli/command.h"

namespace bandd {

struct BansImport {
    std::string database;  // fail2ban's
    std::string jail;      // for bans of jails that bandd has not; empty: they are left out
};

int import_bans(const CommonOptions& common, const BansImport& options);

}  // namespace bandd
