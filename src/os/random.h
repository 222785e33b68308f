// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

namespace bandd {

// Gives tables of addresses (core/base/address, PrefixHash) a seed that nobody else knows. To be
// called once, when a program starts. If the kernel has no random bytes, the seed stays fixed.
void seed_tables();

}  // namespace bandd
