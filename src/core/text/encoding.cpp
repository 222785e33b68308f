// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/text/encoding.h"

#include <array>
#include <utility>

namespace bandd {
namespace {

constexpr std::array<std::pair<std::string_view, Encoding>, 9> names{{
    {"auto", Encoding::automatic},
    {"utf-8", Encoding::utf8},
    {"utf8", Encoding::utf8},
    {"ascii", Encoding::utf8},
    {"latin1", Encoding::latin1},
    {"latin-1", Encoding::latin1},
    {"iso-8859-1", Encoding::latin1},
    {"utf-16le", Encoding::utf16le},
    {"utf-16be", Encoding::utf16be},
}};

void append_utf8(std::string& out, char32_t c) {
    if (c < 0x80) {
        out += static_cast<char>(c);
    } else if (c < 0x800) {
        out += static_cast<char>(0xc0 | c >> 6);
        out += static_cast<char>(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        out += static_cast<char>(0xe0 | c >> 12);
        out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
        out += static_cast<char>(0x80 | (c & 0x3f));
    } else {
        out += static_cast<char>(0xf0 | c >> 18);
        out += static_cast<char>(0x80 | (c >> 12 & 0x3f));
        out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
        out += static_cast<char>(0x80 | (c & 0x3f));
    }
}

char32_t unit_at(std::string_view bytes, std::size_t at, bool little) {
    auto first = static_cast<unsigned char>(bytes[at]);
    auto second = static_cast<unsigned char>(bytes[at + 1]);
    return little ? static_cast<char32_t>(first | second << 8)
                  : static_cast<char32_t>(first << 8 | second);
}

void decode_utf16(std::string_view bytes, bool little, std::string& out) {
    constexpr char32_t replacement = 0xfffd;
    constexpr char32_t mark = 0xfeff;
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
        char32_t unit = unit_at(bytes, i, little);
        if (unit >= 0xd800 && unit < 0xdc00 && i + 3 < bytes.size()) {
            char32_t low = unit_at(bytes, i + 2, little);
            if (low >= 0xdc00 && low < 0xe000) {
                append_utf8(out, 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
                i += 2;
                continue;
            }
        }
        // hMailServer since 5.6 begins each line of its event log with a mark.
        if (unit == mark) continue;
        append_utf8(out, unit >= 0xd800 && unit < 0xe000 ? replacement : unit);
    }
}

}  // namespace

std::optional<Encoding> parse_encoding(std::string_view name) {
    std::string lower(name);
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    for (const auto& [known, encoding] : names)
        if (known == lower) return encoding;
    return {};
}

std::string_view to_string(Encoding encoding) {
    for (const auto& [name, known] : names)
        if (known == encoding) return name;
    return "?";
}

ByteOrderMark detect_byte_order_mark(std::string_view head) {
    if (head.starts_with("\xff\xfe")) return {Encoding::utf16le, 2};
    if (head.starts_with("\xfe\xff")) return {Encoding::utf16be, 2};
    if (head.starts_with("\xef\xbb\xbf")) return {Encoding::utf8, 3};
    return {};
}

std::size_t unit_size(Encoding encoding) {
    return encoding == Encoding::utf16le || encoding == Encoding::utf16be ? 2 : 1;
}

std::size_t last_line_end(Encoding encoding, std::string_view bytes) {
    if (unit_size(encoding) == 1) {
        auto found = bytes.rfind('\n');
        return found == std::string_view::npos ? 0 : found + 1;
    }
    bool little = encoding == Encoding::utf16le;
    for (std::size_t end = bytes.size() & ~std::size_t{1}; end >= 2; end -= 2)
        if (unit_at(bytes, end - 2, little) == U'\n') return end;
    return 0;
}

void decode(Encoding encoding, std::string_view bytes, std::string& out) {
    switch (encoding) {
        case Encoding::automatic:
        case Encoding::utf8:
            out.append(bytes);
            break;
        case Encoding::latin1:
            for (char c : bytes) append_utf8(out, static_cast<unsigned char>(c));
            break;
        case Encoding::utf16le:
            decode_utf16(bytes, true, out);
            break;
        case Encoding::utf16be:
            decode_utf16(bytes, false, out);
            break;
    }
}

}  // namespace bandd
