// SPDX-License-Identifier: GPL-2.0-or-later
// `geoblock:`: whole countries that the kernel keeps out.
#pragma once

#include "config/table.h"
#include "config/types.h"

namespace bandd {

// A map: a name, then the keys of a block.
void read_geoblocks(const Field& field, Config& config);

const Table<GeoblockConfig>& geoblock_keys();

}  // namespace bandd
