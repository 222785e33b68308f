// SPDX-License-Identifier: GPL-2.0-or-later
// Who is in a fleet: what `bandctl fleet` keeps in fleet.yaml, and writes the server's
// configuration from. Public keys only; nothing here reads or writes a file.
#pragma once

#include <string>
#include <vector>

#include "core/base/instant.h"
#include "core/base/result.h"
#include "fleet/membership.h"

namespace bandd {

struct FleetKey {
    std::string nkey;       // public
    Instant until = never;  // an old one holds until then
};
struct FleetNode {
    std::string name;
    bool counts = false;
    std::vector<FleetKey> keys;  // the newest last
};
struct FleetPlan {
    std::string name;
    std::vector<FleetServer> servers;
    std::string key;                         // in hexadecimal
    std::string server_files = "/etc/nats";  // where the server finds its certificate
    std::string store = "/var/lib/nats";     // where it keeps its streams
    std::vector<FleetNode> nodes;
    FleetNode head;  // the operator

    FleetNode* find(std::string_view node);
    std::vector<std::string> counting() const;
};

std::string to_text(const FleetPlan& plan);
Result<FleetPlan> parse_fleet_plan(const std::string& text, const std::string& name);

// nats-server's. Keys that no longer hold at `now` are not in it.
std::string to_server_config(const FleetPlan& plan, Instant now);

}  // namespace bandd
