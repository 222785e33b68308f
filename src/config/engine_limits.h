// SPDX-License-Identifier: GPL-2.0-or-later
// What bounds the engine's memory, as the daemon and `bandctl replay` have it.
#pragma once

#include "config/types.h"
#include "core/decide/engine.h"

namespace bandd {

inline EngineLimits engine_limits(const Config& config) {
    EngineLimits limits;
    limits.bans = config.ban_limit;
    limits.windows_memory = config.memory_limit << 20;
    limits.offence_memory = config.dbpurgeage;
    return limits;
}

}  // namespace bandd
