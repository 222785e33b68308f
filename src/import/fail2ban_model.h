// SPDX-License-Identifier: GPL-2.0-or-later
// Whom a jail of fail2ban's bans, failure by failure. It keeps no times but a number and the begin
// of its interval: when that grows longer than findtime, the number is scaled down to findtime, as
// if failures had come evenly. So it is an estimate of how many there were in findtime, sometimes
// more, sometimes less. With bantime.increment, each failure of an address that was banned before
// counts for 2^n / 2 + 1, n being how often it was.
//
// Pure; for comparisons. Failures come in the order of their times.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/base/address.h"
#include "core/base/instant.h"
#include "core/decide/bantime.h"

namespace bandd::fail2ban {

struct ModelRules {
    std::uint32_t maxretry = 5;
    Duration findtime = std::chrono::minutes(10);
    BantimePolicy bantime;
    Duration purge_age = std::chrono::days(1);  // dbpurgeage
    // As fail2ban does; else as it would without.
    bool estimates = true;
    bool counts_known_more = true;
};

struct ModelBan {
    Prefix address;
    Instant from, until;
    std::uint32_t offence = 1;
};

class JailModel {
  public:
    explicit JailModel(const ModelRules& rules) : rules_(rules) {}
    // The ban that it leads to, if any. `address` is a single one: fail2ban bans no other.
    std::optional<ModelBan> on_failure(const Prefix& address, Instant at);
    // The number by which the address came nearest to maxretry.
    std::uint32_t most_counted(const Prefix& address) const;

  private:
    struct Counted {
        std::int64_t retry = 0;
        Instant first, last;
        std::vector<Instant> times;  // unless it estimates
    };
    struct Known {
        std::uint32_t bans = 0;
        Instant from, until;
    };
    void add(Counted& counted, Instant at) const;
    std::int64_t weight_of_known(const Prefix& address, Instant at) const;
    std::optional<ModelBan> ban(const Prefix& address, Instant at);
    bool is_forgotten(const Known& known, Instant at) const;

    ModelRules rules_;
    // By single addresses.
    std::unordered_map<Prefix, Counted, PrefixHash> counted_;
    std::unordered_map<Prefix, Known, PrefixHash> known_;
    std::unordered_map<Prefix, std::uint32_t, PrefixHash> most_;
};

}  // namespace bandd::fail2ban
