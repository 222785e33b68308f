// SPDX-License-Identifier: GPL-2.0-or-later
// An address or a block as a person types it.
#pragma once

#include "core/base/address.h"
#include "core/base/result.h"

namespace bandd {

// As parse_prefix, but host bits are an error, with the right spelling as its hint.
Result<Prefix> read_prefix(std::string_view text);

// Who never bans so much of the internet has a daemon that does nothing.
bool is_too_wide_to_allow(const Prefix& prefix);

}  // namespace bandd
