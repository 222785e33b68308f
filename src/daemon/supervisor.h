// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

namespace bandd {

// Tells a supervisor (systemd's notify protocol) how things are: "READY=1". Does nothing where
// there is none.
void notify_supervisor(const std::string& state);

}  // namespace bandd
