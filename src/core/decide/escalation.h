// SPDX-License-Identifier: GPL-2.0-or-later
// Offenders of one jail that are neighbours. An attacker who has an IPv6 /48 has 65,536 prefixes of
// length 64. If each try comes from another one, none of them reaches maxretry. So wider prefixes
// are counted, too: a /56 by its /64s, and a /48 by its /56s.
//
// An offender of a /56 is a /64 that had at least one hit within findtime. How many hits it had
// does not matter. A /48's offenders are those /56s that had enough of them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/base/address.h"
#include "core/base/instant.h"
#include "core/decide/rules.h"
#include "core/decide/window.h"

namespace bandd {

class Escalation {
  public:
    explicit Escalation(const JailRules& rules,
                        std::shared_ptr<WindowMemory> memory = std::make_shared<WindowMemory>())
        : memory_(std::move(memory)) {
        set_rules(rules);
    }
    // Steps that stay the same keep what they have counted. Without settings (`ipv6_escalation`),
    // only jails that count by /64 escalate, and a prefix is never banned for fewer hits than
    // maxretry.
    void set_rules(const JailRules& rules);

    // Whether hits of this key count to wider prefixes: it is IPv6, and has the length that the
    // jail counts by. (A key is a single address if its /64 holds an ignored address: then not.)
    bool escalates(const Prefix& key) const {
        return !steps_.empty() && key.length == key_length_ && !key.is_v4();
    }

    // A prefix that has enough offenders.
    struct Reached {
        Prefix prefix;
        std::vector<Prefix> offenders;  // the one hit last is the last
    };
    // One more hit of `key`, which `escalates`; `note` as for WindowTable. Gives the prefixes that
    // have enough offenders now, the narrowest first; what was counted of these is forgotten.
    // `from`: hits before it do not count together with this one.
    std::vector<Reached> add(const Prefix& key, Instant at, std::optional<Instant> from,
                             std::uint64_t note);
    // Would `add` give any?
    bool would_reach(const Prefix& key, Instant at, Instant from) const;
    // Forgets prefixes whose last hit is older than findtime.
    void expire(Instant now);
    // What is counted of prefixes that hold all of `prefix`.
    void forget(const Prefix& prefix);
    // Has memory fetch what `add` will look at.
    void fetch(const Prefix& key) const;

    // The prefixes that a hit of `key` counts to, the narrowest first.
    template <class Visit>
    void for_wider(const Prefix& key, Visit&& visit) const {
        if (!escalates(key)) return;
        for (const Step& step : steps_) visit(make_prefix(key.network, step.length), step.needed);
    }
    // What is counted of one of these.
    std::vector<Prefix> offenders(const Prefix& wider) const;

    // False: no step counts prefixes of this length any more, and the values are dropped.
    bool restore(const Prefix& prefix, std::span<const Instant> times,
                 std::span<const std::uint64_t> values);
    // As of WindowTable.
    template <class Visit>
    void take_changes(Visit&& visit, std::size_t& most) {
        for (; most > 0 && !gone_.empty(); --most, gone_.pop_back())
            visit(gone_.back(), WindowTable::View{});
        for (Step& step : steps_) step.windows.take_changes(visit, most);
    }
    std::size_t waiting_changes() const {
        std::size_t waiting = gone_.size();
        for (const Step& step : steps_) waiting += step.windows.waiting_changes();
        return waiting;
    }
    void mark_all_changed() {
        for (Step& step : steps_) step.windows.mark_all_changed();
    }
    template <class Visit>
    void for_each_table(Visit&& visit) {
        for (Step& step : steps_) visit(step.windows);
    }
    std::size_t size() const;
    std::uint64_t evicted() const;

  private:
    struct Step {
        int length = 0;
        int offender_length = 0;
        std::uint32_t needed = 0;
        WindowTable windows;  // each offender is a value, which is its first 64 bits
    };

    std::shared_ptr<WindowMemory> memory_;
    int key_length_ = 0;
    Duration findtime_{0};
    std::size_t limit_ = 0;
    std::vector<Step> steps_;   // the narrowest first
    std::vector<Prefix> gone_;  // of steps that are gone
    std::uint64_t evicted_before_ = 0;
};

}  // namespace bandd
