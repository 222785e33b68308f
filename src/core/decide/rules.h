// SPDX-License-Identifier: GPL-2.0-or-later
// What a jail decides by. Values only; `config/jail` reads them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/address.h"
#include "core/base/instant.h"
#include "core/base/prefix_set.h"
#include "core/base/zone.h"
#include "core/decide/bantime.h"
#include "core/decide/condition.h"
#include "core/match/hit.h"

namespace bandd {

// `count: distinct user by ip`: maxretry different values of `of` within findtime, not hits.
struct DistinctCount {
    enum class Of : std::uint8_t { ip, country, asn, field };
    Of of = Of::ip;
    std::string field;  // that the filter captures
    // `count: distinct ip by user`: of one account, not of one address or block. Once it is too
    // many, all of its addresses are banned.
    bool by_user = false;
    bool operator==(const DistinctCount&) const = default;
};

// `ipv6_escalation`: an IPv6 prefix of this length is banned once so many of the next longer ones
// that are counted offend within findtime (core/decide/escalation).
struct EscalationStep {
    int length = 0;
    std::uint32_t offenders = 2;
    bool operator==(const EscalationStep&) const = default;
};

// Homes get a /56, sites a /48 (RFC 6177, RIPE-690).
inline constexpr std::array<EscalationStep, 2> default_escalation{{{56, 8}, {48, 4}}};

// A hit of this pattern counts as so many failures.
struct Weight {
    std::string pattern;
    std::uint32_t failures = 1;
    bool operator==(const Weight&) const = default;
};

struct JailRules {
    std::string name;
    std::uint32_t maxretry = 5;
    std::vector<Weight> weights;  // of other patterns it is 1; none if `distinct`
    // A line that stands for several hits counts as at most so many.
    std::uint32_t repeats = 1000;
    Duration findtime = std::chrono::minutes(10);
    // `findtime: today`: only hits of one calendar day, in this zone, count together; `findtime` is
    // the longest day there is.
    std::optional<Zone> today;
    std::optional<DistinctCount> distinct;
    std::optional<Condition> where;  // hits of which this is not true do not count
    BantimePolicy bantime;
    int v4_length = 32;  // ban_prefix; windows are keyed by it, too
    int v6_length = ipv6_host_length;
    // The narrowest first; none: off. Absent: `default_escalation`.
    std::optional<std::vector<EscalationStep>> ipv6_escalation;
    PrefixSet ignoreip;
    bool ignoreself = true;
    // Before a ban is decided, the world is asked whether the address is exempt: by a program, or
    // by host names in ignoreip.
    bool asks = false;
    bool asks_program = false;  // which tells of single addresses only
    // Where `where` needs a host name that the line does not tell, the world is asked for it.
    bool reverse_lookup = false;
    bool simulate = false;
    bool fed_by_bans = false;    // recidive: its hits are other jails' bans
    bool fed_by_access = false;  // logins that failed, as those who ask about them tell
    // What its filter finds are logins: they count to the accounts, and lead to no ban.
    bool logins = false;
    bool tells_hits = false;  // to other machines: `Outcome::told`
    std::uint32_t maxmatches = 10;
    std::size_t track_limit = 1'000'000;
};

}  // namespace bandd
