// SPDX-License-Identifier: GPL-2.0-or-later
// bandd-programs: runs the programs that the configuration names. It is root's, so it believes
// bandd nothing: it reads the configuration itself, files of root's only, and takes numbers and
// values.
//   bandd-programs CONFIGURATION      with its end of the socket as descriptor 3
#include <csignal>
#include <cstdio>

#include "config/load.h"
#include "core/base/result.h"
#include "os/memory.h"
#include "os/roles.h"
#include "os/trusted_path.h"
#include "programs/server.h"

namespace bandd {
namespace {

Result<ProgramTable> read_table(const std::string& path) {
    auto config = load_keys(path, data_directories(), [](const std::string& file) {
        return read_trusted_file(file, largest_text);
    });
    release_start_memory();
    if (config) return ProgramTable(std::move(config->programs));
    Error first = config.error().front();
    first.what = "bandd-programs: " + first.what;
    return std::unexpected(first);
}

int run(const std::string& path) {
    // Terminal signals are for the daemon; the socket's end tells us when to leave.
    for (int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, SIG_IGN);
    ProgramServer server(Fd(role_socket), [&] { return read_table(path); });
    if (auto ended = server.run(); !ended) {
        std::fprintf(stderr, "bandd-programs: %s\n", to_line(ended.error()).c_str());
        return 1;
    }
    return 0;
}

}  // namespace
}  // namespace bandd

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("bandd-programs is started by bandd, which gives it a socket\n", stderr);
        return 2;
    }
    return bandd::run(argv[1]);
}
