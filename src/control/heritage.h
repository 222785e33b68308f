// SPDX-License-Identifier: GPL-2.0-or-later
// What bans of another program came to, as "inherit many" and `bandctl import --json` count them:
// {"banned": 12, "known": 3, …}.
#pragma once

#include <algorithm>
#include <array>

#include "core/decide/decision.h"

namespace bandd {

// By Engine::Heritage.
inline constexpr std::array<const char*, 6> heritages{"banned", "shared", "over",
                                                      "known",  "exempt", "no_room"};
// And the bans that followed at once: of jails that count bans.
inline constexpr const char* led_to = "led_to";
inline std::size_t bans_of_others(const Outcome& outcome, JailIndex jail) {
    return static_cast<std::size_t>(std::ranges::count_if(outcome.events, [&](const Event& event) {
        const auto* banned = std::get_if<Banned>(&event);
        return banned != nullptr && banned->ban.key.jail != jail;
    }));
}

}  // namespace bandd
