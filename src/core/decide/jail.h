// SPDX-License-Identifier: GPL-2.0-or-later
// A jail: its rules, and the hits that it counts.
#pragma once

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
    explicit Jail(const JailRules& rules);
    // See Engine::set_rules.
    void set_rules(JailRules fresh);
    void forget_hits();

    // Hits before it do not count together with one at `at`: findtime before, or midnight.
    Instant window_start(Instant at) const;
    // What of a hit must be distinct, by `count:`. Empty if the hit does not have it.
    std::optional<std::string> distinct_value(const Subject& subject) const;
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
