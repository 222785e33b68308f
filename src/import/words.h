// SPDX-License-Identifier: GPL-2.0-or-later
// fail2ban's values, word by word.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "import/ini.h"

namespace bandd::fail2ban {

// Separated by spaces, commas or line ends.
std::vector<std::string> words_of(std::string_view text);
// Empty if there is no such option.
std::string option(const Options& options, std::string_view name);
// "1", "on", "true" or "yes", in letters of any case.
bool is_true(std::string_view text);
void replace_all(std::string& text, std::string_view what, std::string_view by);

}  // namespace bandd::fail2ban
