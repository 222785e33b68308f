// SPDX-License-Identifier: GPL-2.0-or-later
// What this build of bandd can do: see CMakeLists.txt, BANDD_MINIMAL. For this folder only.
#pragma once

namespace bandd {

#ifdef BANDD_WITHOUT_TLS
inline constexpr bool built_with_tls = false;
#else
inline constexpr bool built_with_tls = true;
#endif
#ifdef BANDD_WITHOUT_HTTP
inline constexpr bool built_with_http = false;
#else
inline constexpr bool built_with_http = true;
#endif

#ifdef BANDD_WITHOUT_FLEET
inline constexpr bool built_with_fleet = false;
#else
inline constexpr bool built_with_fleet = true;
#endif

inline constexpr const char* needs_fleet = "needs libnats, and this bandd was built without it";
inline constexpr const char* needs_tls = "needs TLS, and this bandd was built without it";
inline constexpr const char* needs_http = "needs HTTP, and this bandd was built without it";
inline constexpr const char* take_it_out = "take it out, or build bandd without -DBANDD_MINIMAL=ON";

}  // namespace bandd
