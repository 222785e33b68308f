// SPDX-License-Identifier: GPL-2.0-or-later
// bandd-sockets: opens the sockets that a reload needs, as the daemon may no longer: ports below
// 1024, Unix sockets in others' directories. It is started for one reload, as root, reads the
// configuration for itself (files of root's only), hands the sockets over and ends. Of the daemon
// it takes nothing but the names of those that are open already.
//
//   bandd-sockets CONFIGURATION      descriptor 3: the daemon
#include "config/load.h"
#include "net/listening_sockets.h"
#include "os/trusted_path.h"

namespace bandd {
namespace {

Result<std::vector<WantedSocket>> read_wanted(const std::string& path) {
    auto config = load_keys(path, data_directories(), [](const std::string& file) {
        return read_trusted_file(file, largest_text);
    });
    if (config) return wanted_sockets(*config);
    Error first = config.error().front();
    first.what = "bandd-sockets: " + first.what;
    return std::unexpected(first);
}

}  // namespace
}  // namespace bandd

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    bandd::serve_sockets(bandd::role_socket, bandd::read_wanted(argv[1]));
}
