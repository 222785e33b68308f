// SPDX-License-Identifier: GPL-2.0-or-later
// Which backend carries out which kind of action: the one place that a new kind is to be added to.
#pragma once

#include <memory>

#include "action/backend.h"
#include "core/base/result.h"

namespace bandd {

class Programs;

// `programs` outlives it.
Result<std::unique_ptr<Backend>> make_backend(const ActionConfig& action, Programs& programs);

}  // namespace bandd
