// SPDX-License-Identifier: GPL-2.0-or-later
// What a client is told whose login is refused: texts of the configuration, with what is known of
// the login put in.
#pragma once

#include <string>
#include <string_view>

#include "core/decide/access.h"

namespace bandd {

// `text` with <user>, <ip>, <country> (its code) and <country_name> replaced. One line, printable:
// who the user is, the client said. Example: "554 5.7.1 Not from <country>" is "554 5.7.1 Not from
// DE".
std::string refusal(std::string_view text, const LoginRequest& login, const Origin& origin);
// Without what is for Postfix alone: the SMTP codes, or the word, that it begins with.
std::string_view without_code(std::string_view text);

}  // namespace bandd
