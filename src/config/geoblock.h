// SPDX-License-Identifier: GPL-2.0-or-later
// `geoblock:`: whole countries that the kernel keeps out.
#pragma once

#include "config/table.h"
#include "config/types.h"

namespace bandd {

// "geoblock NAME: country CN" of those that keep out an address, of which that country is known.
std::vector<std::string> geoblocks_of(const std::vector<GeoblockConfig>& blocks,
                                      const Address& address, std::string_view country);

// A map: a name, then the keys of a block.
void read_geoblocks(const Field& field, Config& config);

const Table<GeoblockConfig>& geoblock_keys();

}  // namespace bandd
