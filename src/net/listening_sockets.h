// SPDX-License-Identifier: GPL-2.0-or-later
// The sockets that bandd listens at, but for bandctl's: at a start the daemon opens them while it
// is root, but for those that a supervisor hands on; at a reload bandd-sockets does, which is
// started for that, reads the configuration for itself, and hands them over.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/types.h"
#include "net/inherited_sockets.h"
#include "os/fd.h"
#include "os/roles.h"

namespace bandd {

struct WantedSocket {
    ListenAddress address;
    std::string what;  // "policy"; begins an error's text
};
// All that the configuration names, each once.
std::vector<WantedSocket> wanted_sockets(const Config& config);

// By `to_string` of the address.
using ListeningSockets = std::map<std::string, Fd>;

// Those of `wanted` that a supervisor has opened.
ListeningSockets take_sockets(InheritedSockets& inherited, const std::vector<WantedSocket>& wanted);

// Opens those of `wanted` that are not in `known`.
Result<ListeningSockets> open_sockets(const std::vector<WantedSocket>& wanted,
                                      const std::vector<std::string>& known);

// The same by bandd-sockets, which gives what *its* reading of the configuration names. The loop
// waits for it: a reload ends with sockets or an error. At most so long in all.
inline constexpr double longest_wait_s = 5;  // seconds
Result<ListeningSockets> ask_for_sockets(Roles& roles, const std::vector<std::string>& known);

// As bandd-sockets: takes what is known, and gives the others. One packet each: the address, with
// the descriptor; or an empty field and what is wrong (what, reason, hint).
void serve_sockets(int socket, const Result<std::vector<WantedSocket>>& wanted);

}  // namespace bandd
