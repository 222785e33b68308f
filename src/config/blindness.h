// SPDX-License-Identifier: GPL-2.0-or-later
// That a filter has become blind, in words.
#pragma once

#include <string>

#include "config/types.h"
#include "core/decide/filter_health.h"

namespace bandd {

// "filter \"sshd\" is blind: since … 6 lines look like failures, and no pattern matches them; …",
// with the nearest pattern and a line, which is printable. Takes some milliseconds.
std::string tell(const Blindness& blindness, const FilterConfig& config, const Filter& filter);

}  // namespace bandd
