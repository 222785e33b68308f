// SPDX-License-Identifier: GPL-2.0-or-later
#include "protocols/refusal.h"

#include <optional>

#include "core/base/printable.h"
#include "core/base/tags.h"

namespace bandd {
namespace {

constexpr std::size_t longest_value = 255;  // bytes

bool is_number(std::string_view word) {
    return !word.empty() && word.find_first_not_of("0123456789.") == std::string_view::npos;
}

}  // namespace

std::string refusal(std::string_view text, const LoginRequest& login, const Origin& origin) {
    return fill_in_tags(text, [&](std::string_view tag) -> std::optional<std::string> {
        std::string value;
        if (tag == "user")
            value = login.user;
        else if (tag == "ip")
            value = to_string(login.address);
        else if (tag == "country")
            value = origin.country;
        else if (tag == "country_name")
            value = origin.country_name;
        else
            return {};
        return printable(std::string_view(value).substr(0, longest_value));
    });
}

std::string_view without_code(std::string_view text) {
    auto first_word = [&] { return text.substr(0, text.find(' ')); };
    auto drop = [&] { text.remove_prefix(std::min(first_word().size() + 1, text.size())); };
    for (std::string_view word :
         {"REJECT", "DEFER", "DEFER_IF_PERMIT", "DEFER_IF_REJECT", "DISCARD", "HOLD"})
        if (first_word() == word) {
            drop();
            break;
        }
    while (is_number(first_word())) drop();
    return text;
}

}  // namespace bandd
