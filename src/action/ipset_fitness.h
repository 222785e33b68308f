// SPDX-License-Identifier: GPL-2.0-or-later
// Whether a set can hold what a jail bans. `bandctl check` asks, and bandd-kernel at the start.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/types.h"
#include "os/ipsets.h"

namespace bandd {

// Nothing can be put into such a set. `v4`: what the action wants it for.
Result<> check_ipset(const std::string& set, bool v4, const IpsetHeader& header);
Error missing_ipset(const std::string& set, bool v4, const IpsetAction& action);
// It works, but not for all bans, or not as one may think.
std::vector<Error> doubts_about_ipset(const std::string& set, const IpsetHeader& header,
                                      const IpsetAction& action);
// That it has no timeouts, which is no fault.
std::optional<Error> note_on_ipset(const std::string& set, const IpsetHeader& header);
Error full_ipset(const std::string& set, std::uint64_t maxelem);
// The same of any action's set, whose backend said that it holds so many.
Error full_set(const ActionConfig& action, bool v4, std::uint64_t most);

}  // namespace bandd
