// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/tcp_connection.h"

#include <sys/socket.h>

#include "os/fd.h"
#include "os/socket_address.h"

namespace bandd {

Result<TcpConnection> connection_of(int socket) {
    sockaddr_storage ours{}, theirs{};
    socklen_t size = sizeof ours;
    if (::getsockname(socket, reinterpret_cast<sockaddr*>(&ours), &size) != 0)
        return fail_errno("getsockname");
    size = sizeof theirs;
    if (::getpeername(socket, reinterpret_cast<sockaddr*>(&theirs), &size) != 0)
        return fail_errno("getpeername");
    return TcpConnection{address_of(theirs), address_of(ours), port_of(theirs), port_of(ours)};
}

}  // namespace bandd
