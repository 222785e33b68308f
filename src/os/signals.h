// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <initializer_list>

#include "os/fd.h"

namespace bandd {

// Blocks the signals for this thread and those it starts later, and makes them readable.
Result<Fd> open_signals(std::initializer_list<int> signals);
// The next pending signal, 0 if none.
int read_signal(const Fd& signals);

}  // namespace bandd
