// SPDX-License-Identifier: GPL-2.0-or-later
// <tags> in texts of the configuration.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bandd {

// Each <name> that `value_of(name)` gives a text for is replaced by that text, from left to right
// and once: a tag within a value stays as it is, and so does a tag that `value_of` does not know.
template <class ValueOf>
std::string fill_in_tags(std::string_view text, ValueOf&& value_of) {
    std::string out;
    while (true) {
        auto open = text.find('<');
        out += text.substr(0, open);
        if (open == std::string_view::npos) return out;
        auto close = text.find('>', open);
        std::optional<std::string> value;
        if (close != std::string_view::npos)
            value = value_of(text.substr(open + 1, close - open - 1));
        if (!value) {
            out += '<';
            text.remove_prefix(open + 1);
            continue;
        }
        out += *value;
        text.remove_prefix(close + 1);
    }
}

}  // namespace bandd
