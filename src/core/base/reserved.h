// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <vector>

#include "core/base/address.h"

namespace bandd {

// False for what IANA's special-purpose registries keep from the public Internet: private, loopback
// and link-local networks, documentation, multicast, and what is reserved.
bool is_public(const Address& address);
std::vector<Prefix> reserved_prefixes();
// Of a network that nobody else sees: RFC 1918, RFC 4193, link-local, loopback.
bool is_private(const Address& address);
// This machine's own: 127.0.0.0/8, ::1.
bool is_loopback(const Address& address);

// The IPv4 hosts that a block of NAT64's well-known prefix stands for, or that it holds; nothing if
// there are none. 64:ff9b::c633:c800/120 → 198.51.200.0/24, 64:ff9b::/64 → 0.0.0.0/0
std::optional<Prefix> untranslated(const Prefix& prefix);

}  // namespace bandd
