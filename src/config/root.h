// SPDX-License-Identifier: GPL-2.0-or-later
// bandd.yaml's own keys.
#pragma once

#include "config/table.h"
#include "config/types.h"

namespace bandd {

// bandd.yaml while it is read: its jails are left for later.
struct RootDraft {
    Config config;
    const Value* defaults = nullptr;  // nullptr: not given
    const Value* jails = nullptr;     // the same
};

const Table<RootDraft>& root_keys();
const Table<LogConfig>& log_keys();

}  // namespace bandd
