// SPDX-License-Identifier: GPL-2.0-or-later
// The name that an account is counted under: who logs in as BOB or bob is one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace bandd {

inline constexpr std::size_t longest_account_name = 255;  // bytes; the rest is cut off

// Without letter case, by Unicode's full case folding, as Postfix looks names up: Ä is ä, and ß is
// ss. Nothing else is made equal: no accents, no forms of composition. Bytes that are no UTF-8 stay
// as they are. A name that is too long is cut between two characters. The name of a name is itself.
std::string account_name(std::string_view user);

}  // namespace bandd
