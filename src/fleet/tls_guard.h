// SPDX-License-Identifier: GPL-2.0-or-later
// See tls_guard.cpp: to be linked into whatever uses libnats.
#pragma once

#include <cstdint>

namespace bandd {

// How often libnats came by. 0 though it is connected: another linker lets it go by.
std::uint64_t guarded_tls_calls();

}  // namespace bandd
