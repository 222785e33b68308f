// SPDX-License-Identifier: GPL-2.0-or-later
// What the daemon and bandd-fleet, which has the network, say to each other: a packet each, on
// SOCK_SEQPACKET. bandd-fleet hands on what came, with its own subject; whether a message may say
// what it says is the daemon's to judge.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/instant.h"
#include "fleet/subjects.h"

namespace bandd {

// What bandd-fleet needs of a join file (fleet/membership.h). The key of the fleet is not in it:
// who takes bandd-fleet over learns no names.
struct FleetAccess {
    std::string fleet, node;
    std::vector<std::string> servers;   // HOST:PORT
    std::vector<std::string> counting;  // nodes, which keep streams and consumers
    std::string authority;              // PEM
    std::string seed;                   // nkey

    bool counts() const;
    bool operator==(const FleetAccess&) const = default;
};

// Daemon to bandd-fleet. The first packet is the access; another one replaces it.
struct FleetPublish {
    std::uint64_t id = 0;  // the daemon's; comes back in `FleetPublished` or `FleetRefused`
    std::string subject, payload;
    bool operator==(const FleetPublish&) const = default;
};
// The messages with this ticket and all lower ones are done with: the server need not send them
// again.
struct FleetSettled {
    std::uint64_t ticket = 0;
    bool operator==(const FleetSettled&) const = default;
};
// There is such a node, for which a counting one is to keep consumers. Said whenever it is heard of
// anew: consumers that nobody used for a week are gone.
struct FleetKeep {
    std::string node;
    bool anew = false;  // its state was lost: it is to get all again
    bool operator==(const FleetKeep&) const = default;
};
using ToFleet = std::variant<FleetAccess, FleetPublish, FleetSettled, FleetKeep>;

// bandd-fleet to daemon.
struct FleetMessage {
    // Counts up from 1 in each process. 0: heard at once, beside the streams, which bring it again;
    // without stream, sequence and time then, and not to be settled.
    std::uint64_t ticket = 0;
    std::string subject, stream;
    std::uint64_t sequence = 0;
    Instant stored;  // by the server's clock
    std::string payload;
    bool operator==(const FleetMessage&) const = default;
};
struct FleetPublished {  // and stored
    std::uint64_t id = 0;
    bool operator==(const FleetPublished&) const = default;
};
struct FleetRefused {  // for good
    std::uint64_t id = 0;
    std::string why;
    bool operator==(const FleetRefused&) const = default;
};
inline constexpr std::string_view not_connected_yet = "not connected yet";
struct FleetState {
    bool connected = false;
    std::string server;                  // HOST:PORT, if connected
    std::string why_not;                 // or what is missing though it is connected
    std::vector<std::string> addresses;  // of the servers, as their names said last
    std::uint64_t lost = 0;     // heard at once, but not handed on, as the daemon was behind
    std::uint64_t foreign = 0;  // came by a way that no server of the fleet should let it come
    bool operator==(const FleetState&) const = default;
};
// How far this node is in a stream. Another `made`: the stream's consumer is another one than
// before, perhaps of a new stream, and all of it comes again.
struct FleetProgress {
    std::string stream, made;
    std::uint64_t pending = 0;  // messages that are still to come
    bool operator==(const FleetProgress&) const = default;
};
using FromFleet =
    std::variant<FleetMessage, FleetPublished, FleetRefused, FleetState, FleetProgress>;

std::string to_packet(const ToFleet& said);
std::string to_packet(const FromFleet& said);
// Nothing: it is none.
std::optional<ToFleet> parse_to_fleet(std::string_view packet);
std::optional<FromFleet> parse_from_fleet(std::string_view packet);

inline constexpr std::size_t largest_fleet_packet = 256 << 10;
inline constexpr std::size_t most_fleet_servers = 16, most_counting_nodes = 16;
inline constexpr std::size_t most_fleet_addresses = 64;
inline constexpr std::size_t longest_fleet_name = 253;  // of a fleet, a node, a server
inline constexpr std::size_t largest_authority = 64 << 10;
// Messages of streams that are not settled. Then no more are fetched.
inline constexpr std::size_t most_unsettled = 16'384;
// Publications without an answer. One more is refused, so the daemon keeps to it.
inline constexpr std::size_t most_publishing = 1024;

}  // namespace bandd
