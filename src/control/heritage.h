// SPDX-License-Identifier: GPL-2.0-or-later
// What bans of another program came to, as "inherit many" and `bandctl import --json` count them:
// {"banned": 12, "known": 3, …}.
#pragma once

#include <array>

namespace bandd {

// By Engine::Heritage.
inline constexpr std::array<const char*, 6> heritages{"banned", "shared", "over",
                                                      "known",  "exempt", "no_room"};

}  // namespace bandd
