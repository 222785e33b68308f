// SPDX-License-Identifier: GPL-2.0-or-later
// What a checkpoint keeps of the engine's memory, as values.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/decide/accounts.h"
#include "core/decide/decision.h"
#include "core/decide/jail_numbers.h"

namespace bandd {

// How often an address was banned; `jail` is `any_jail` for the count over all of them.
struct Offences {
    std::uint32_t count = 0;
    Instant last;  // the end of the last one: from then on they are remembered for dbpurgeage
};

// A key's window; no times: the key is to be forgotten.
struct WindowChange {
    BanKey key;
    std::vector<Instant> times;
    std::vector<std::uint64_t> values;  // of a jail that counts distinct values
};
// An account; without a use: to be forgotten.
struct AccountChange {
    JailIndex jail = any_jail;  // whose table; any_jail: the one of logins
    std::string user;
    std::optional<AccountUse> use;
};
struct JailCounts {
    std::uint64_t hits = 0, ignored = 0, too_old = 0, already_banned = 0, bans = 0, unbans = 0;
    bool operator==(const JailCounts&) const = default;
};

// What changed since the last call.
struct Changes {
    std::vector<WindowChange> windows;
    std::vector<Ban> bans;
    std::vector<Unbanned> ended_bans;  // in the order in which they ended, before `bans` began
    std::vector<std::pair<BanKey, Offences>> offences;  // count 0: forgotten
    std::vector<std::pair<JailIndex, JailCounts>> counts;
    std::vector<AccountChange> accounts;
    bool empty() const {
        return windows.empty() && bans.empty() && ended_bans.empty() && offences.empty() &&
               counts.empty() && accounts.empty();
    }
};

}  // namespace bandd
