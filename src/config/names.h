// SPDX-License-Identifier: GPL-2.0-or-later
// Names as the configuration takes them.
#pragma once

#include <string_view>

namespace bandd {

// Letters, digits, "-", "_" and "."; begins with a letter, as the name of a kernel set does.
bool is_jail_name(std::string_view text);
// Its last label has a letter: a mistyped address is no host name.
bool is_host_name(std::string_view text);

}  // namespace bandd
