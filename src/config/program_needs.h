// SPDX-License-Identifier: GPL-2.0-or-later
// Programs of which it is known that they do nothing for a user without rights: those that change
// firewalls, routes or services.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/types.h"

namespace bandd {

struct ProgramNeed {
    std::string command;  // "iptables"
    bool root = false;    // it wants to be root: files of root's, or it asks who it is
    std::optional<Capabilities> capabilities;  // that are enough; nothing: all of root's
};

// Of the program itself, or of what a shell's text starts. The greatest need, if there are several.
std::optional<ProgramNeed> need_of(const std::vector<std::string>& argv);

// What `user` and `capabilities` do not give.
std::optional<ProgramNeed> unmet_need(const ProgramConfig& program);

// As the configuration says it: "user: root", "capabilities: [net_admin]", or both.
std::vector<std::string> keys_for(const ProgramNeed& need);

}  // namespace bandd
