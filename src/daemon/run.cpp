// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/run.h"

#include "control/protocol.h"
#include "daemon/daemon.h"
#include "os/log.h"

namespace bandd {

int run_daemon(const DaemonOptions& options) {
    Log log;
    // Until the configuration says another place: whatever keeps bandd from starting is to be read
    // somewhere.
    [[maybe_unused]] auto cannot_fail = log.open("auto", Severity::notice);
    auto say = [&](const Error& error) { log.put(Severity::error, to_line(error)); };
    auto opened = open_all(options, log);
    if (!opened) {
        for (const Error& error : opened.error()) say(error);
        return exit_usage;
    }
    Daemon daemon(options, std::move(*opened), log);
    if (auto begun = daemon.begin(); !begun) {
        say(begun.error());
        return exit_usage;
    }
    daemon.run();
    return exit_done;
}

}  // namespace bandd
