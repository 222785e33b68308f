// SPDX-License-Identifier: GPL-2.0-or-later
// Which backend carries out which kind of action: the one place that a new kind is to be added to.
#pragma once

#include <memory>

#include "action/backend.h"
#include "core/base/result.h"
#include "os/spawner.h"

namespace bandd {

// `spawner` is the one that was started before rights were dropped; the backend of `exec` takes it.
Result<std::unique_ptr<Backend>> make_backend(const ActionConfig& action, Spawner& spawner);

}  // namespace bandd
