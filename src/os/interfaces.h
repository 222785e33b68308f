// SPDX-License-Identifier: GPL-2.0-or-later
// This machine's own addresses, for ignoreself.
#pragma once

#include <vector>

#include "core/base/address.h"
#include "os/fd.h"

namespace bandd {

std::vector<Prefix> own_addresses();  // each a single address

// Readable whenever an address was added or removed; `drain` what is in it, then ask again.
Result<Fd> open_address_notices();
void drain(const Fd& fd);

}  // namespace bandd
