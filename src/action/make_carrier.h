// SPDX-License-Identifier: GPL-2.0-or-later
// Which backend carries out which kind of action, and in which process. ARCHITECTURE.md ("a new
// action backend") says what else a new kind needs.
#pragma once

#include <memory>

#include "action/kernel_carrier.h"
#include "core/base/result.h"

namespace bandd {

class Programs;

// `programs` outlives it. `start` starts a bandd-kernel, of which each kind of sets has its own.
Result<std::unique_ptr<Carrier>> make_carrier(const ActionConfig& action, Programs& programs,
                                              const StartKernel& start);

}  // namespace bandd
