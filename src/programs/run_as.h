// SPDX-License-Identifier: GPL-2.0-or-later
// The last steps of a child process before it is a program of the configuration.
#pragma once

#include <string>
#include <vector>

#include "config/types.h"

namespace bandd {

// Becomes `argv`: as its user with that user's groups, with the capabilities that it names and no
// other, with descriptors 0 to 2 only (the third is `standard_error`), a clean environment, and an
// own process group. Does not come back: what cannot be done is written to `standard_error`, and
// the exit code is 127. If we are not root, user and capabilities stay ours.
[[noreturn]] void become_program(const std::vector<std::string>& argv, const ProgramConfig& program,
                                 int standard_error);

}  // namespace bandd
