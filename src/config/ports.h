// SPDX-License-Identifier: GPL-2.0-or-later
// `port:` and `protocol:` of jails, actions and geoblocks.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "config/section.h"
#include "config/types.h"

namespace bandd {

// A number from 1 to 65535, or the name of a service that jails are about.
std::optional<std::uint16_t> parse_port(std::string_view text);

// 25, smtp, 1000-2000, "25,465", [25, smtp]: sorted, and merged where they meet. Empty for `all`.
// An empty list, too, leaves `ports` alone. `automatic`: whether "auto" is among them.
void read_ports(const Field& field, std::vector<PortRange>& ports, bool& automatic);
bool contains(const std::vector<PortRange>& ports, std::uint16_t port);
std::vector<PortRange> sorted_and_merged(std::vector<PortRange> ports);
// "22, 1000-2000"; "all" if there is none.
std::string to_string(const std::vector<PortRange>& ports);
// tcp, udp, or both. An empty list leaves `protocols` alone.
void read_protocols(const Field& field, std::vector<Protocol>& protocols);

}  // namespace bandd
