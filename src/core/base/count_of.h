// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace bandd {

// "1 jail", "2 jails", "3 addresses", "4 entries"
std::string count_of(std::size_t number, std::string_view thing);

}  // namespace bandd
