// SPDX-License-Identifier: GPL-2.0-or-later
// What bandctl fleet does with a fleet that runs.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "fleet/membership.h"

namespace bandd {

// How the node on this machine is; the exit code.
int print_fleet_status(const CommonOptions& common);
// Lifts bans of all nodes, as the operator, by bandd-fleet; the exit code. Without a jail: those
// that the daemon of this machine knows of.
int lift_for_all(const CommonOptions& common, const Membership& head,
                 const std::vector<std::string>& prefixes, const std::string& jail);

}  // namespace bandd
