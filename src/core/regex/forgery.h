// SPDX-License-Identifier: GPL-2.0-or-later
// Can text that a client wrote (a user name, a HELO) take the place of <HOST>? CVE-2013-2178 and
// its relatives are patterns in which it can.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bandd {

// The reason why a client could name another host through this pattern, in one sentence; empty
// if it cannot. A pattern is safe if the place of <HOST> is determined
//  - from the left: it begins with ^, and no free text before <HOST> can run past what ends it, or
//  - from the right: it ends with $, and the same holds for what follows <HOST>.
std::optional<std::string> find_forgery(std::string_view pattern);

}  // namespace bandd
