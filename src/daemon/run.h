// SPDX-License-Identifier: GPL-2.0-or-later
// What bandd's main does.
#pragma once

#include <string>

namespace bandd {

struct DaemonOptions {
    std::string config = "/etc/bandd";
    bool read_stdin = false;
};

// 0 after SIGTERM; 2 if the configuration or something it names cannot be used, which was said.
int run_daemon(const DaemonOptions& options);

}  // namespace bandd
