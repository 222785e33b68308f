// SPDX-License-Identifier: GPL-2.0-or-later
// Who may ask: other machines by their address, processes of this machine by their user, which the
// kernel tells. That somebody asks from 127.0.0.1 says nothing: any user of this machine can.
#pragma once

#include <optional>
#include <vector>

#include "core/base/prefix_set.h"
#include "os/tcp_owner.h"

namespace bandd {

struct Askers {
    PrefixSet machines;
    std::vector<uid_t> users;    // of this machine
    std::optional<gid_t> group;  // the same, by Unix sockets
};

// The asker's user, if it is a process of this machine. An error: it may not ask, and why.
Result<std::optional<uid_t>> check_asker(const Askers& askers, TcpOwners& owners,
                                         const TcpConnection& connection);
Result<std::optional<uid_t>> check_asker(const Askers& askers, const Fd& unix_socket);

}  // namespace bandd
