// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>

#include "core/base/address.h"
#include "core/base/result.h"

namespace bandd {

// Both ends of a connection, as the server sees it.
struct TcpConnection {
    Address theirs, ours;
    std::uint16_t their_port = 0, our_port = 0;
};
// Of a connected socket.
Result<TcpConnection> connection_of(int socket);

}  // namespace bandd
