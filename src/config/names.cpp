// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/names.h"

#include <algorithm>

namespace bandd {
namespace {

constexpr std::size_t longest_host_name = 253;  // RFC 1035, 2.3.4, without the root's dot

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

bool is_jail_name(std::string_view text) {
    if (text.empty() || text.size() > longest_jail_name || !is_letter(text.front())) return false;
    return std::ranges::all_of(text, [](char c) {
        return is_letter(c) || is_digit(c) || c == '-' || c == '_' || c == '.';
    });
}

bool is_ipset_name(std::string_view text) {
    if (text.empty() || text.size() > longest_ipset_name || text.front() == '-') return false;
    return std::ranges::all_of(
        text, [](char c) { return c > ' ' && c <= '~' && c != '"' && c != '\'' && c != '\\'; });
}

// What the kernel takes for a name: dev_valid_name.
bool is_interface_pattern(std::string_view text) {
    if (text.size() > longest_interface || text == "." || text == "..") return false;
    if (text.ends_with('*')) text.remove_suffix(1);
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return c > ' ' && c <= '~' && c != '/' && c != ':' && c != '*' && c != '"' && c != '\\';
    });
}

bool is_host_name(std::string_view text) {
    if (text.empty() || text.size() > longest_host_name) return false;
    if (text.front() == '.' || text.front() == '-') return false;
    bool letter_in_label = false;
    for (char c : text) {
        if (c == '.')
            letter_in_label = false;
        else if (is_letter(c))
            letter_in_label = true;
        else if (!is_digit(c) && c != '-' && c != '_')
            return false;
    }
    return letter_in_label;
}

}  // namespace bandd
