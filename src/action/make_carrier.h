// SPDX-License-Identifier: GPL-2.0-or-later
// Which backend carries out which kind of action, and in which process: the one place that a new
// kind is to be added to.
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
