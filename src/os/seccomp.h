// SPDX-License-Identifier: GPL-2.0-or-later
// What the daemon will never ask of the kernel, refused from then on.
#pragma once

#include "core/base/result.h"

namespace bandd {

enum class Network : bool { forbidden, allowed };

// Forbids this process and its threads to start programs, trace others, load kernel code, mount,
// change identity, open network connections (unless allowed) … A list of what is refused, not of
// what is allowed: C libraries change which harmless calls they make, and a daemon that dies of an
// update protects nobody. Refused calls fail with EPERM. Needs no-new-privileges (as
// `drop_privileges` sets it) or root.
Result<> forbid_dangerous_calls(Network network = Network::forbidden);

}  // namespace bandd
