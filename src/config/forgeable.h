// SPDX-License-Identifier: GPL-2.0-or-later
// Imported filters: patterns by which a client could have another host banned, each shown by a line
// that does it. For commands that check a configuration: it tries many lines.
#pragma once

#include <vector>

#include "config/types.h"

namespace bandd {

// `filter` is in fail2ban's dialect, and in order.
std::vector<Error> forgeable_patterns(const FilterConfig& filter);

}  // namespace bandd
