// SPDX-License-Identifier: GPL-2.0-or-later
// What bandctl changed of the configuration: jails that are stopped, limits, addresses that are
// allowed. It is put over each configuration that is loaded, and kept in the state until it is
// taken back.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/compile.h"
#include "config/types.h"
#include "control/protocol.h"

namespace bandd {

struct Configuration;

// The jails as their files have them.
struct LoadedJails {
    std::vector<JailConfig> jails;
    JailFilters filters;
};

class Overrides {
  public:
    static constexpr std::size_t most_allowed = 10'000;
    static constexpr std::int64_t most_maxretry = 1000;  // as in the configuration

    struct Limits {
        bool stopped = false;
        std::optional<Duration> bantime, findtime;
        std::optional<std::uint32_t> maxretry;
        bool operator==(const Limits&) const = default;
    };
    // Nobody there is banned, as if ignoreip held it.
    struct Allowed {
        Prefix prefix;
        std::string jail;  // empty: all
        Instant since, until;
        std::string reason;
    };

    // The jails of `configuration`, which has been loaded, become those that are in force.
    void put_over(const LoadedJails& loaded, Configuration& configuration) const;
    // The same for limits and allowed addresses alone, of the jails that are in force already.
    void renew_rules(Config& config) const;
    void set_loaded(LoadedJails loaded) { loaded_ = std::move(loaded); }
    const LoadedJails& loaded() const { return loaded_; }
    const JailConfig* loaded_jail(std::string_view name) const;

    const Limits* limits(std::string_view jail) const;
    void set_limits(const std::string& jail, const Limits& limits);
    const std::map<std::string, Limits, std::less<>>& all_limits() const { return limits_; }

    // In place of what is there for the same block and jail.
    Result<> allow(Allowed one);
    bool disallow(const Prefix& prefix, std::string_view jail);
    // Drops those whose time is over. True: there were some.
    bool on_time(Instant now);
    std::optional<Instant> next_deadline() const;
    const std::vector<Allowed>& allowed() const { return allowed_; }
    // The one by which a jail bans nothing of `prefix`; null if there is none.
    const Allowed* allows(const Prefix& prefix, std::string_view jail) const;

    // For the state. `version` is another one after each change; 0: nothing was ever changed.
    std::uint64_t version() const { return version_; }
    std::string save() const;
    void restore(std::string_view saved);

  private:
    JailRules rules_of(const JailConfig& loaded) const;
    LoadedJails loaded_;
    std::map<std::string, Limits, std::less<>> limits_;  // by jail, which may be gone
    std::vector<Allowed> allowed_;
    std::uint64_t version_ = 0;
};

}  // namespace bandd
