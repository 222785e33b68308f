// SPDX-License-Identifier: GPL-2.0-or-later
// A jail: its rules, and the hits that it counts.
#pragma once

#include <algorithm>
#include <optional>
#include <string>

#include "core/decide/accounts.h"
#include "core/decide/changes.h"
#include "core/decide/decision.h"
#include "core/decide/escalation.h"
#include "core/decide/rules.h"
#include "core/decide/window.h"

namespace bandd {

struct Jail {
    Jail(const JailRules& rules, const std::shared_ptr<WindowMemory>& memory);
    // See Engine::set_rules.
    void set_rules(JailRules fresh);

    // Hits before it do not count together with one at `at`: findtime before, or midnight.
    Instant window_start(Instant at) const;
    // What of a hit must be distinct, by `count:`. Empty if the hit does not have it.
    std::optional<std::string> distinct_value(const Subject& subject) const;
    // How many failures a hit counts as that stands for so many: at most maxretry.
    std::uint32_t weight_of(std::string_view pattern, std::uint32_t times) const {
        std::uint32_t failures = std::min({times, rules.repeats, rules.maxretry});
        for (const Weight& weight : rules.weights)
            if (weight.pattern == pattern) failures *= weight.failures;
        return std::min(failures, rules.maxretry);
    }
    // Counts a hit that does not count to a ban, by its reason.
    void count_ignored(Ignored::Why why);

    JailRules rules;
    bool configured = true;  // false: gone
    WindowTable windows;
    Escalation escalation;  // of the windows' keys that are neighbours
    AccountTable attacked;  // by user, if the jail counts so
    JailCounts counts;
    JailCounts stored_counts;  // as of the last checkpoint
};

}  // namespace bandd
