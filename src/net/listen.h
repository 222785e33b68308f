// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

#include "config/types.h"
#include "os/fd.h"

namespace bandd {

// A burst of datagrams of this much waits in the kernel until it is read (if net.core.rmem_max or
// our rights allow it).
inline constexpr int datagram_buffer = 8 << 20;  // bytes

// A socket that is bound, not blocking, and listening if it is one of streams. Network sockets and
// ports below 1024 are to be opened before rights are dropped. A Unix socket has the mode and the
// group that its address says; one that an earlier run left there is replaced. `what` (say
// "policy") begins the error's text.
Result<Fd> listen_at(const ListenAddress& address, const std::string& what);

// True if clients connect, false if messages simply come.
bool is_stream(const ListenAddress& address);

}  // namespace bandd
