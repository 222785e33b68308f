// SPDX-License-Identifier: GPL-2.0-or-later
// An address or a block as a person types it.
#pragma once

#include "core/base/address.h"
#include "core/base/result.h"

namespace bandd {

// As parse_prefix, but host bits are an error, with the right spelling as its hint.
Result<Prefix> read_prefix(std::string_view text);

}  // namespace bandd
