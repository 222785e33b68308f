// SPDX-License-Identifier: GPL-2.0-or-later
// Landlock (landlock(7)): which files this process may still open, whoever it is.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"

namespace bandd {

struct OpenableFiles {
    std::vector<std::string> read;   // these files, and what is in these directories
    std::vector<std::string> write;  // the same; may be made and removed there, too
};

// From now on only these can be opened, by this process and what it starts; descriptors that are
// open stay. Paths that do not exist are left out. False: the kernel does not have it, and nothing
// is forbidden. Needs no-new-privileges or root. Rights are those of Linux 5.19, Debian 12's ABI 2,
// also where more are there.
Result<bool> allow_only_files(const OpenableFiles& files);

}  // namespace bandd
