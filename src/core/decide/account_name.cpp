// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/account_name.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>

namespace bandd {
namespace {

// The first character of `text`, folded; its bytes are taken off. What is no UTF-8 is one byte.
std::string next_folded(std::string_view& text) {
    utf8proc_int32_t character = 0;
    auto size = utf8proc_iterate(
        reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
        static_cast<utf8proc_ssize_t>(std::min<std::size_t>(text.size(), 4)), &character);
    std::string as_it_is(text.substr(0, static_cast<std::size_t>(std::max<long>(size, 1))));
    text.remove_prefix(as_it_is.size());
    if (size < 1) return as_it_is;
    std::array<utf8proc_int32_t, 8> folded{};  // Unicode's longest is 3
    int boundary = 0;
    auto count = utf8proc_decompose_char(character, folded.data(), folded.size(), UTF8PROC_CASEFOLD,
                                         &boundary);
    if (count < 0 || count > static_cast<utf8proc_ssize_t>(folded.size())) return as_it_is;
    std::string out;
    for (utf8proc_ssize_t i = 0; i < count; ++i) {
        std::array<utf8proc_uint8_t, 4> bytes{};
        auto length = utf8proc_encode_char(folded[static_cast<std::size_t>(i)], bytes.data());
        out.append(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(length));
    }
    return out;
}

}  // namespace

std::string account_name(std::string_view user) {
    std::string name;
    while (!user.empty() && name.size() < longest_account_name) {
        char first = user.front();
        if (static_cast<unsigned char>(first) < 0x80) {  // nearly always
            name += first >= 'A' && first <= 'Z' ? static_cast<char>(first - 'A' + 'a') : first;
            user.remove_prefix(1);
            continue;
        }
        std::string folded = next_folded(user);
        if (name.size() + folded.size() > longest_account_name) break;
        name += folded;
    }
    return name;
}

}  // namespace bandd
