// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string_view>

namespace bandd {

// The usual English name of a country by its ISO 3166-1 code ("DE" → "Germany"), for databases that
// have codes only; empty if the code is not known.
std::string_view country_name(std::string_view code);

}  // namespace bandd
