// SPDX-License-Identifier: GPL-2.0-or-later
// `bandctl check`, for commands that do the same by another name.
#pragma once

#include "cli/command.h"

namespace bandd {

// Checks the configuration of `common`, and prints what is found. The exit code.
int check_and_print(const CommonOptions& common);

}  // namespace bandd
