// SPDX-License-Identifier: GPL-2.0-or-later
// Which of a jail's hits count, and how they are counted: findtime, where, count.
#pragma once

#include "config/section.h"
#include "config/types.h"

namespace bandd {

// The zone of `findtime: today` is left for later, as it is the log's.
void read_findtime(const Field& field, JailRules& rules);
// The words come before `where`, which is parsed with them.
void read_broadband_words(const Field& field, JailConfig& jail);
void read_condition(const Field& field, JailConfig& jail);
// With `reverse_lookup`, a condition needs no host name that the filter captures.
void drop_looked_up_fields(JailConfig& jail);
// `maxretry` comes before it.
void read_count(const Field& field, JailConfig& jail);
// Ids of the filter's patterns; whether it has them is seen later.
void read_patterns(const Field& field, JailConfig& jail);
void read_weights(const Field& field, JailConfig& jail);
// "off", or a map: prefix length to how many offend in it. `ban_prefix` comes before it.
void read_ipv6_escalation(const Field& field, JailRules& rules);
std::string written_ipv6_escalation(JailRules& rules);

}  // namespace bandd
