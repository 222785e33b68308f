// SPDX-License-Identifier: GPL-2.0-or-later
// Whose a TCP connection is: the kernel tells which user of this machine made the socket at its
// other end (sock_diag(7)). No right is needed for that.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "os/netlink.h"
#include "os/tcp_connection.h"

namespace bandd {

class TcpOwners {
  public:
    static Result<TcpOwners> open();

    // The user whose process made the socket at the other end; nothing if that is no address of
    // this machine (of this network namespace, to be exact). An error: it is of this machine, and
    // the kernel does not say whose, mostly because the other side has closed it already.
    Result<std::optional<uid_t>> owner_of(const TcpConnection& connection);

  private:
    TcpOwners(Netlink sockets, Netlink routes)
        : sockets_(std::move(sockets)), routes_(std::move(routes)) {}
    // Of the socket between these ends, if some process has it open.
    std::optional<uid_t> find(const Address& from, std::uint16_t from_port, const Address& to,
                              std::uint16_t to_port);
    bool is_of_this_machine(const Address& address);

    Netlink sockets_, routes_;
};

}  // namespace bandd
