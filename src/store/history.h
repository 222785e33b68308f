// SPDX-License-Identifier: GPL-2.0-or-later
// What can be asked of the bans on disk.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/decide/decision.h"

namespace bandd {

// A ban that is or was.
struct PastBan {
    std::string jail;
    Prefix prefix;
    Instant from, until;
    std::optional<Instant> ended;  // empty if it is still there
    Unbanned::Why why = Unbanned::Why::expired;
    std::uint32_t offence = 1, hits = 0;
    bool by_hand = false;
    std::string reason;
};
struct HistoryQuery {
    std::optional<Prefix> within;
    std::string jail;  // empty: all
    Instant since{INT64_MIN};
    std::size_t limit = 1000;
};
struct BanDetails {
    std::vector<Match> matches;
    Fields fields;
};

}  // namespace bandd
