// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <vector>

#include "core/base/address.h"

namespace bandd {

// False for what IANA's special-purpose registries keep from the public Internet: private, loopback
// and link-local networks, documentation, multicast, and what is reserved.
bool is_public(const Address& address);
std::vector<Prefix> reserved_prefixes();

}  // namespace bandd
