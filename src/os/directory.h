// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace bandd {

// Calls `visit` with the name of each entry but "." and "..", in no order; with none if the
// directory can't be read. Names are good until `visit` returns.
void for_names_in(const std::string& directory, const std::function<void(const char* name)>& visit);

// "/" and the directory's own end stand once.
std::string join_path(const std::string& directory, std::string_view name);

}  // namespace bandd
