// SPDX-License-Identifier: GPL-2.0-or-later
// bandd-kernel: the daemon's hands in the kernel. It has CAP_NET_ADMIN and nothing else, and parses
// nothing but the daemon's packets. A program of its own also because libipset is under GPL 2 only,
// which libmaxminddb and OpenSSL (Apache 2.0) may not be linked with. Each kind of sets has a
// process of its own; which one this is, the first packet says.
#include "kernel/server.h"
#include "os/rights.h"

#ifdef BANDD_ADDRESS_SANITIZER
// It looks for leaks by files of /proc, of which a role may open none.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }
#endif

int main() {
    // All kinds have the same rights.
    if (!bandd::enters_role(bandd::Role::nftables)) return 1;
    return bandd::kernel::Server(bandd::Fd(bandd::role_socket)).run() ? 0 : 1;
}
