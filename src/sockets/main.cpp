// SPDX-License-Identifier: GPL-2.0-or-later
// bandd-sockets: opens the sockets that a reload needs, as the daemon may no longer: ports below
// 1024, Unix sockets in others' directories. It is started for one reload, as root, reads the
// configuration for itself, hands the sockets over and ends. Of the daemon it takes nothing but the
// names of those that are open already.
//
//   bandd-sockets CONFIGURATION      descriptor 3: the daemon
#include "config/load.h"
#include "net/listening_sockets.h"
#include "os/zoneinfo.h"

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    auto loaded = bandd::load_config(argv[1], bandd::data_directories(), bandd::read_zone);
    if (!loaded.errors.empty()) return 2;  // the daemon has read it, too, and said what is wrong
    bandd::serve_sockets(bandd::role_socket, bandd::wanted_sockets(loaded.config));
}
