// SPDX-License-Identifier: GPL-2.0-or-later
// The one file that a node of a fleet gets: who it is, where the servers are, whom to believe, and
// its secrets. `bandctl fleet` writes it, the daemon reads it.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"
#include "fleet/packets.h"

namespace bandd {

struct Membership {
    FleetAccess access;
    std::string key;  // the fleet's, in hexadecimal: names are hashed with it
    bool operator==(const Membership&) const = default;
};

std::string to_join_file(const Membership& membership);
// `name` is the file's, for errors.
Result<Membership> parse_join_file(const std::string& text, const std::string& name);

// A fleet's name or a host's: letters, digits, dots, `-` and `_`.
bool is_fleet_name(std::string_view name);
// HOST:PORT, or HOST with the port of NATS. An IPv6 address is in brackets.
struct FleetServer {
    std::string host;  // without brackets
    std::string port;
};
Result<FleetServer> parse_fleet_server(const std::string& text);
std::string to_string(const FleetServer& server);

}  // namespace bandd
