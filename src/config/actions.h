// SPDX-License-Identifier: GPL-2.0-or-later
// `action:` of a jail, and the keys of each kind of action.
#pragma once

#include <string>
#include <vector>

#include "config/document.h"
#include "config/table.h"
#include "config/types.h"

namespace bandd {

// What an action takes from its jail.
struct ActionContext {
    std::string jail;
    std::vector<PortRange> ports;
    bool auto_ports = false;
    std::vector<Protocol> protocols;
    bool service_known = false;                    // that auto_ports needs
    std::vector<std::string> directories;          // with actions/ in them
    int widest4 = 32, widest6 = ipv6_host_length;  // as in IpsetAction
};

// Reads `action:`: a name, a map of one action with its keys, or a list of these. A name that is no
// kind of action is a file of actions/.
std::vector<ActionConfig> parse_actions(const Value& value, const ActionContext& context,
                                        Reading& reading);

// Which packets, where, and what becomes of them: all of `action nftables` but its ports. Geoblocks
// have these keys, too.
std::vector<Key<NftablesAction>> packet_keys();
void read_packet_ports(const Field& field, NftablesAction& action);
void read_packet_protocols(const Field& field, NftablesAction& action);
// Ports without a protocol are TCP's.
void default_to_tcp(NftablesAction& action);

// actions/NAME.yaml.
struct ActionFile {
    std::string description;
    const Value* action = nullptr;
};

const Table<NftablesAction>& nftables_keys();
const Table<IpsetAction>& ipset_keys();
const Table<ExecAction>& exec_keys();
const Table<SyslogAction>& syslog_action_keys();
const Table<ActionFile>& action_file_keys();

}  // namespace bandd
