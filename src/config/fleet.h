// SPDX-License-Identifier: GPL-2.0-or-later
// The keys of `fleet`.
#pragma once

#include "config/table.h"
#include "config/types.h"

namespace bandd {

const Table<FleetConfig>& fleet_keys();

}  // namespace bandd
