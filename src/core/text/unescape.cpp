// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/text/unescape.h"

#include <cstring>

#include "core/base/eight_bytes.h"

namespace bandd {
namespace {

bool is_escape(std::string_view text, std::size_t at) {
    auto octal = [&](std::size_t i) { return text[i] >= '0' && text[i] <= '7'; };
    if (at + 3 >= text.size() || text[at + 1] > '3' || !octal(at + 1) || !octal(at + 2) ||
        !octal(at + 3))
        return false;
    if (text[at + 1] == '0' && text[at + 2] < '4') return true;
    // rsyslog writes no printable character so. Behind 0177 and up, a further digit tells that it
    // is no escape but a number: named's "203.0.113.9#32768".
    int value = (text[at + 1] - '0') << 6 | (text[at + 2] - '0') << 3 | (text[at + 3] - '0');
    bool digit_follows = at + 4 < text.size() && text[at + 4] >= '0' && text[at + 4] <= '9';
    return value >= 0177 && !digit_follows;
}

}  // namespace

bool has_escape(std::string_view text) {
    for (auto at = text.find('#'); at != std::string_view::npos; at = text.find('#', at + 1))
        if (is_escape(text, at)) return true;
    return false;
}

void unescape(std::string_view text, std::string& out) {
    const std::size_t before = out.size();
    constexpr std::size_t word = 8;
    // Whole words are written, the last one beyond the end.
    out.resize_and_overwrite(before + text.size() + word, [&](char* bytes, std::size_t) {
        char* to = bytes + before;
        std::size_t at = 0;
        while (at < text.size()) {
            if (text.size() - at >= word) {
                std::memcpy(to, text.data() + at, word);
                std::uint64_t found = first_zeros(eight_at(text.data() + at) ^ '#' * every_byte);
                std::size_t plain = found == 0 ? word : first_marked(found);
                at += plain;
                to += plain;
                if (found == 0) continue;
            }
            if (text[at] == '#' && is_escape(text, at)) {
                *to++ = static_cast<char>((text[at + 1] - '0') << 6 | (text[at + 2] - '0') << 3 |
                                          (text[at + 3] - '0'));
                at += 4;
            } else {
                *to++ = text[at++];
            }
        }
        return static_cast<std::size_t>(to - bytes);
    });
}

}  // namespace bandd
