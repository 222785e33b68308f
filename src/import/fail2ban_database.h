// SPDX-License-Identifier: GPL-2.0-or-later
// fail2ban's database (fail2ban.sqlite3): who is banned, and who was, when and how often.
//
//   jails  name, enabled: 1 while fail2ban runs it; of a fail2ban that was stopped all are 0
//   bans   a row a ban, purged after dbpurgeage
//   bips   the last ban of each address in each jail; `bancount` says which one it was
//
// Times are seconds since 1970; bantime -1 is for ever, -2 is not known (of a database of an older
// fail2ban). It is read only, in short looks, so that a running fail2ban can write meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/address.h"
#include "core/base/instant.h"
#include "core/base/result.h"

namespace bandd::fail2ban {

struct FormerBan {
    std::uint32_t jail = 0;  // index of `jails`
    Prefix prefix;
    Instant from;
    std::optional<Duration> bantime;  // `forever`, or none: the jail's
    std::uint32_t offence = 1;        // which ban of the address it was
    std::uint32_t failures = 0;
    bool last = false;  // of this address in this jail
};

// Rows that are no bans of addresses, and why.
struct Unusable {
    const char* why = "";
    std::size_t count = 0;
    std::string example;  // as it is written there; the first one
};

struct FormerBans {
    std::vector<std::string> jails;
    std::vector<bool> running;    // by the same index
    std::vector<FormerBan> bans;  // in the order of `from`
    std::vector<Unusable> unusable;
    // Whether fail2ban holds it no more, whatever its bantime says.
    bool is_ended(const FormerBan& ban) const;
};

// More rows than that are counted as unusable.
inline constexpr std::size_t most_former_bans = 2'000'000;

// `show` gets how many rows of how many were read. An error: it is no database of fail2ban's, is
// one of a newer fail2ban, or is damaged; then nothing of it is to be used.
Result<FormerBans> read_database(
    const std::string& path, Instant now,
    const std::function<void(std::uint64_t done, std::uint64_t all)>& show = {});

}  // namespace bandd::fail2ban
