// SPDX-License-Identifier: GPL-2.0-or-later
// bandd-kernel: the daemon's hands in the kernel. It has CAP_NET_ADMIN and nothing else, and parses
// nothing but the daemon's packets. A program of its own also because libipset is under GPL 2 only,
// which libmaxminddb and OpenSSL (Apache 2.0) may not be linked with.
//
// Descriptor 3: the daemon (SOCK_SEQPACKET).
#include <csignal>

#include "kernel/server.h"

int main() {
    constexpr int daemon_fd = 3;
    std::signal(SIGPIPE, SIG_IGN);
    return bandd::kernel::Server(bandd::Fd(daemon_fd)).run() ? 0 : 1;
}
