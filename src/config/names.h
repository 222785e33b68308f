// SPDX-License-Identifier: GPL-2.0-or-later
// Names as the configuration takes them.
#pragma once

#include <cstddef>
#include <string_view>

namespace bandd {

inline constexpr std::size_t longest_jail_name = 63;
inline constexpr std::size_t longest_ipset_name = 31;  // the kernel's IPSET_MAXNAMELEN
inline constexpr std::size_t longest_interface = 15;   // IFNAMSIZ without the ending zero
inline constexpr std::size_t most_interfaces = 64;     // of one action: each is a rule

// Letters, digits, "-", "_" and "."; begins with a letter, as the name of a kernel set does.
bool is_jail_name(std::string_view text);
// Printable ASCII without what has a meaning in a line of ipset(8): spaces, quotes, "\\", "-" in
// front.
bool is_ipset_name(std::string_view text);
// An interface, or all whose names begin so: `ppp*`.
bool is_interface_pattern(std::string_view text);
// Its last label has a letter: a mistyped address is no host name.
bool is_host_name(std::string_view text);

}  // namespace bandd
