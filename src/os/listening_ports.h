// SPDX-License-Identifier: GPL-2.0-or-later
// At which ports processes of this machine listen, and whose they are: the kernel tells the user
// and the control group of each socket (sock_diag(7)). No right is needed for that.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "os/netlink.h"

namespace bandd {

struct ListeningPort {
    std::uint8_t protocol = 0;  // IPPROTO_TCP, IPPROTO_UDP
    std::uint16_t port = 0;
    uid_t user = 0;
    std::uint64_t group = 0;  // number of its control group; 0: the kernel does not tell
    auto operator<=>(const ListeningPort&) const = default;
};

// `port: auto` closes so many of a jail; more is no service that has ports of its own.
inline constexpr std::size_t most_ports_of_service = 64;

// TCP sockets that listen, and UDP sockets that are bound and not connected. Those of loopback
// addresses are left out: nobody else can reach them.
Result<std::vector<ListeningPort>> listening_ports();

// The numbers of a unit's control groups, as systemd and OpenRC name them, and of the socket unit
// that starts it; empty if it does not run, or this machine has no control groups.
std::vector<std::uint64_t> control_groups_of(const std::string& unit);

// The numbers of users, without root and those that do not exist. May wait for a directory service.
std::vector<uid_t> numbers_of(const std::vector<std::string>& users);
// Those of `all` that belong to a unit or to a user. UDP's ephemeral ports are left out: with most
// of them a question was asked.
std::vector<ListeningPort> ports_of(const std::vector<ListeningPort>& all,
                                    const std::vector<std::string>& units,
                                    const std::vector<uid_t>& users, std::uint16_t first_ephemeral);

// This machine hands packets on for others.
bool forwards_packets();

// The kernel takes ports from here on for sockets that ask for any.
std::uint16_t first_ephemeral_port();

}  // namespace bandd
