// SPDX-License-Identifier: GPL-2.0-or-later
// An abstract Unix socket: its name belongs to the network namespace, and goes with the process.
#include "os/namespace_lock.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace bandd {

Result<Fd> lock_in_namespace(const std::string& name, uid_t our_user) {
    constexpr int most_tries = 10;  // the one that held it may end meanwhile
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (name.size() + 1 >= sizeof address.sun_path) return fail("lock " + name, "is too long");
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    for (int i = 0; i < most_tries; ++i) {
        Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!fd) return fail_errno("lock " + name);
        // Who asks is told who holds it.
        if (bind(fd.get(), generic, size) == 0 && listen(fd.get(), 8) == 0) return fd;
        if (errno != EADDRINUSE) return fail_errno("lock " + name);
        Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (connect(probe.get(), generic, size) != 0) {
            if (errno == ECONNREFUSED) continue;
            return Fd();
        }
        ucred holder{};
        socklen_t length = sizeof holder;
        if (getsockopt(probe.get(), SOL_SOCKET, SO_PEERCRED, &holder, &length) != 0) return Fd();
        if (holder.uid != 0 && holder.uid != our_user) return Fd();
        return fail(name, "process " + std::to_string(holder.pid));
    }
    return Fd();
}

}  // namespace bandd
