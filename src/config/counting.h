// SPDX-License-Identifier: GPL-2.0-or-later
// What of a jail's hits counts, and together with which: findtime, where, count.
#pragma once

#include "config/section.h"
#include "config/types.h"

namespace bandd {

// Each leaves alone what its key does not say, and reports faults to the section. The zone of
// `findtime: today` is left for later. `count` looks at the jail's maxretry, read before.
void read_findtime(const Section& section, JailRules& rules);
void read_condition(const Section& section, JailConfig& jail);
void read_count(const Section& section, JailConfig& jail);

}  // namespace bandd
