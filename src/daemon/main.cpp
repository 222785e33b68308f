// SPDX-License-Identifier: GPL-2.0-or-later
#include <CLI/CLI.hpp>
#include <cstdio>
#include <new>

#include "control/protocol.h"
#include "core/regex/pcre.h"
#include "daemon/run.h"
#include "os/clock.h"
#include "os/random.h"

int main(int argc, char** argv) {
    bandd::seed_tables();
    bandd::Pcre::measure_with(bandd::thread_seconds);
    CLI::App app{"bandd watches logs and bans what attacks you. bandctl drives it."};
    bandd::DaemonOptions options;
    bool foreground = false;
    app.add_option("-c,--config", options.config,
                   "directory with bandd.yaml and jails/, or a file in place of bandd.yaml")
        ->capture_default_str();
    app.add_flag(
        "-f,--foreground", foreground,
        "stay in the foreground (which bandd always does: for those who expect the option)");
    app.add_flag("--stdin", options.read_stdin,
                 "jails with \"source: stdin\" read standard input; bandd ends with it");
    app.set_version_flag("-V,--version", "bandd " BANDD_VERSION);
    app.footer(
        "Signals: SIGHUP loads the configuration anew, SIGUSR1 opens the log anew,\n"
        "SIGTERM ends (bans stay in the kernel unless \"stop: flush\").\n"
        "Exit codes: 0 ended by a signal or with standard input, 1 out of memory, 2 usage or "
        "configuration.\n"
        "Manual: bandd(8), bandctl(8), bandd.yaml(5)\n");
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& done) {
        return app.exit(done);
    } catch (const CLI::ParseError& error) {
        app.exit(error);
        return bandd::exit_usage;
    }
    try {
        return bandd::run_daemon(options);
    } catch (const std::bad_alloc&) {
        // Nothing is half done in the kernel or in the state; a supervisor starts us again.
        std::fputs("bandd: out of memory\n", stderr);
        return 1;
    }
}
