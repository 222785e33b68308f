// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

#include "config/document.h"
#include "config/section.h"
#include "config/types.h"

namespace bandd {

// What an action takes from its jail.
struct ActionContext {
    std::string jail;
    std::vector<PortRange> ports;
    std::vector<Protocol> protocols;
    std::vector<std::string> directories;  // with actions/ in them
};

// Reads `action:`: a name, a map of one action with its keys, or a list of these.
std::vector<ActionConfig> parse_actions(const Value& value, const ActionContext& context,
                                        std::vector<Error>& errors);

// hook, priority, verdict, log_prefix, port and protocol.
void read_packets(const Section& section, NftablesAction& action, std::vector<Error>& errors);

// Reads a program and its arguments; no shell.
std::vector<std::string> parse_argv(const Section& section, std::string_view key);

// Reads `port:` and `protocol:`: 25, smtp, 1000-2000, "25,465", [25, smtp].
// A number, or the name of a service that jails are about.
std::optional<std::uint16_t> parse_port(std::string_view text);
std::vector<PortRange> parse_ports(const std::vector<const Value*>& words,
                                   std::vector<Error>& errors);
std::vector<Protocol> parse_protocols(const std::vector<const Value*>& words,
                                      std::vector<Error>& errors);

}  // namespace bandd
