// SPDX-License-Identifier: GPL-2.0-or-later
// Which calls of the kernel this process may still make: a list of what is allowed, by libseccomp.
#pragma once

#include "core/base/result.h"

namespace bandd {

// Reading and writing open descriptors, memory, time, own threads and signals go without saying.
struct AllowedCalls {
    bool read_files = false;    // opening, listing and watching them
    bool write_files = false;   // making, renaming and removing them
    bool addresses = false;     // netlink: interfaces, and whose a connection is
    bool netfilter = false;     // netlink: the firewall
    bool local = false;         // Unix sockets
    bool internet = false;      // IPv4 and IPv6
    bool machine_code = false;  // memory that is both written and executed: PCRE2's compiler
};

// For this process and all its threads, for ever. A call that is not on the list fails with ENOSYS,
// as on an older kernel, so that the C library falls back to another; what only an attacker would
// want fails with EPERM. False: the kernel has no seccomp, and nothing is forbidden. Sets
// no-new-privileges.
Result<bool> allow_only_calls(const AllowedCalls& allowed);

}  // namespace bandd
