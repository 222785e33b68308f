// SPDX-License-Identifier: GPL-2.0-or-later
// Bans as bandctl and watchers get them.
#pragma once

#include <string_view>
#include <vector>

#include "control/protocol.h"
#include "core/decide/decision.h"

namespace bandd {

// RFC 3339; null if it is `never`.
Json time_to_json(Instant at);
Json matches_to_json(const std::vector<Match>& matches);
// `jail`: its name. With its lines and fields: as far as they are in memory.
Json ban_to_json(const Ban& ban, std::string_view jail);
Json ban_to_json_with_matches(const Ban& ban, std::string_view jail);

}  // namespace bandd
