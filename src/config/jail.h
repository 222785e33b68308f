// SPDX-License-Identifier: GPL-2.0-or-later
// A jail's keys; `defaults:` has the same.
#pragma once

#include <string>
#include <vector>

#include "config/table.h"
#include "config/types.h"

namespace bandd {

// A jail while it is read. Each begins as a copy of the defaults, so that what it does not say it
// has from them.
struct JailDraft {
    JailConfig jail;
    std::vector<Prefix> ignored;      // ignoreip; JailRules has them as a set
    std::vector<PortRange> ports;     // what its actions take from it
    bool auto_ports = false;          // the same
    std::vector<Protocol> protocols;  // the same
    const Value* action = nullptr;    // nullptr: nftables
};

// Fills `draft` with what the map says. Its actions are left for later: they depend on the jail's
// name, so those of the defaults are made anew for each jail.
void read_jail(const Value& map, std::string what, Reading& reading, JailDraft& draft);

const Table<JailDraft>& jail_keys();
const Table<JailDraft>& ban_prefix_keys();
const Table<BantimePolicy>& increment_keys();
const Table<ServiceConfig>& service_keys();

}  // namespace bandd
