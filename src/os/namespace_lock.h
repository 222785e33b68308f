// SPDX-License-Identifier: GPL-2.0-or-later
// What only one process of a network namespace may have: its tables in the kernel, say.
#pragma once

#include <sys/types.h>

#include <string>

#include "core/base/result.h"
#include "os/fd.h"

namespace bandd {

// Held while the descriptor is open; the kernel gives it back when the process ends, however it
// does. An error: a process of root or of `our_user` holds it. Anybody can take such a name, so one
// that a stranger holds is no reason not to start: then the descriptor is empty.
Result<Fd> lock_in_namespace(const std::string& name, uid_t our_user);

}  // namespace bandd
