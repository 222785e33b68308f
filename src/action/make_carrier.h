// SPDX-License-Identifier: GPL-2.0-or-later
// Which backend carries out which kind of action, and where: the one place that a new kind is to be
// added to.
#pragma once

#include <memory>

#include "action/kernel_carrier.h"
#include "core/base/result.h"
#include "os/spawner.h"

namespace bandd {

// `spawner` is the one that was started before rights were dropped; the backend of `exec` takes it.
// `start` starts a bandd-kernel, of which each kind has its own.
Result<std::unique_ptr<Carrier>> make_carrier(const ActionConfig& action, Spawner& spawner,
                                              const StartKernel& start);

}  // namespace bandd
