// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/base/printable.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/base/eight_bytes.h"

namespace bandd {
namespace {

struct Range {
    char32_t first, last;
};

// Unicode 15.0, UnicodeData.txt: general categories Cc, Cf, Zl, Zp.
constexpr std::array<Range, 22> controls{{
    {0x0, 0x1f},        {0x7f, 0x9f},       {0xad, 0xad},       {0x600, 0x605},
    {0x61c, 0x61c},     {0x6dd, 0x6dd},     {0x70f, 0x70f},     {0x890, 0x891},
    {0x8e2, 0x8e2},     {0x180e, 0x180e},   {0x200b, 0x200f},   {0x2028, 0x202e},
    {0x2060, 0x2064},   {0x2066, 0x206f},   {0xfeff, 0xfeff},   {0xfff9, 0xfffb},
    {0x110bd, 0x110bd}, {0x110cd, 0x110cd}, {0x13430, 0x1343f}, {0x1bca0, 0x1bca3},
    {0x1d173, 0x1d17a}, {0xe0001, 0xe007f},
}};

struct Character {
    char32_t code = 0;
    std::size_t length = 0;  // bytes; 0: the first byte begins no UTF-8 (RFC 3629)
};

Character first_character(std::string_view text) {
    auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    unsigned char lead = byte(0);
    if (lead < 0x80) return {lead, 1};
    std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {};
    char32_t code = lead & (0x7f >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return {};
        code = code << 6 | (byte(i) & 0x3f);
    }
    bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    if (overlong || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff) return {};
    return {code, length};
}

bool is_plain(char c) { return c >= ' ' && c < 0x7f; }

// How many bytes at the beginning are printable ASCII.
std::size_t plain_length(std::string_view text) {
    std::size_t at = 0;
    for (; text.size() - at >= sizeof(std::uint64_t); at += sizeof(std::uint64_t))
        if (std::uint64_t marks = non_printables(eight_at(text.data() + at)))
            return at + first_marked(marks);
    while (at < text.size() && is_plain(text[at])) ++at;
    return at;
}

// A copy of the text in which all that is not printable ASCII is as `append` writes it: it is given
// a character, and its bytes (one that begins no UTF-8 has length 0).
template <class Append>
std::string rewritten(std::string_view text, Append&& append) {
    std::string out;
    out.reserve(text.size());
    for (;;) {
        std::size_t plain = plain_length(text);
        out += text.substr(0, plain);
        text.remove_prefix(plain);
        if (text.empty()) return out;
        Character character = first_character(text);
        std::size_t bytes = std::max<std::size_t>(character.length, 1);
        append(out, character, text.substr(0, bytes));
        text.remove_prefix(bytes);
    }
}

}  // namespace

bool is_control(char32_t character) {
    auto range = std::ranges::lower_bound(controls, character, {}, &Range::last);
    return range != controls.end() && range->first <= character;
}

std::string printable(std::string_view text) {
    return rewritten(text, [](std::string& out, Character character, std::string_view bytes) {
        auto [code, length] = character;
        if (length == 0 || (is_control(code) && length == 1))
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(bytes.front()));
        else if (is_control(code))
            out += code < 0x10000 ? fmt::format("\\u{:04x}", static_cast<unsigned>(code))
                                  : fmt::format("\\U{:08x}", static_cast<unsigned>(code));
        else
            out += bytes;
    });
}

std::string printable_json(std::string json) {
    // Mostly there is nothing but the end of the line, which is in no JSON string.
    std::size_t plain = plain_length(json);
    if (json.find_first_not_of('\n', plain) == std::string::npos) return json;
    return rewritten(json, [](std::string& out, Character character, std::string_view bytes) {
        auto code = static_cast<unsigned>(character.code);
        if (bytes == "\n" || !is_control(code))
            out += bytes;
        else if (code < 0x10000)
            out += fmt::format("\\u{:04x}", code);
        else  // RFC 8259, 7: a pair of surrogates
            out += fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + ((code - 0x10000) >> 10),
                               0xdc00 + (code & 0x3ff));
    });
}

}  // namespace bandd
