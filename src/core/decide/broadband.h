// SPDX-License-Identifier: GPL-2.0-or-later
// Whether a host name is one that a provider gave to a customer's line:
// 24-196-192-021.dhcp.isp.example. Mail comes from such hosts only when somebody else has taken
// them over.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/address.h"

namespace bandd {

// Words that stand in such names. '*' is any run of letters.
std::span<const std::string_view> broadband_words();

// Why the name is one: "its address stands in the name", "\"dhcp\" stands in the name"; none if it
// is not. A word counts as a whole run of letters, in front of the last two labels (of
// three for example.co.uk): the domain itself may be called anything. The address is looked for in
// decimal, in any order of its octets, with leading zeros or without, and no words in between, in
// hexadecimal, as one number, and by nibbles.
std::optional<std::string> is_broadband(std::string_view name, const Address& address,
                                        std::span<const std::string> more_words);

// True if `text` is `pattern`, letter case aside, where '*' in the pattern is any run of
// characters.
bool matches_wildcard(std::string_view text, std::string_view pattern);

}  // namespace bandd
