// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/text/json_string.h"

#include <charconv>
#include <cstdint>
#include <optional>

namespace bandd {
namespace {

constexpr std::string_view replacement = "\xef\xbf\xbd";  // U+FFFD

void append_utf8(std::string& out, std::uint32_t code) {
    auto byte = [&](std::uint32_t value) { out += static_cast<char>(value); };
    auto more = [&](std::uint32_t value) { byte(0x80 | (value & 0x3f)); };
    if (code < 0x80) {
        byte(code);
    } else if (code < 0x800) {
        byte(0xc0 | code >> 6);
        more(code);
    } else if (code < 0x10000) {
        byte(0xe0 | code >> 12);
        more(code >> 6);
        more(code);
    } else {
        byte(0xf0 | code >> 18);
        more(code >> 12);
        more(code >> 6);
        more(code);
    }
}

std::optional<std::uint32_t> hex_at(std::string_view text, std::size_t at, std::size_t digits) {
    if (at + digits > text.size()) return {};
    std::uint32_t value = 0;
    const char* first = text.data() + at;
    auto [end, fault] = std::from_chars(first, first + digits, value, 16);
    if (fault != std::errc{} || end != first + digits) return {};
    return value;
}

bool is_high_half(std::uint32_t code) { return code >= 0xd800 && code < 0xdc00; }
bool is_low_half(std::uint32_t code) { return code >= 0xdc00 && code < 0xe000; }

// After "\u".
bool take_code(std::string_view text, std::size_t& at, std::string& out) {
    auto code = hex_at(text, at, 4);
    if (!code) return false;
    at += 4;
    if (is_high_half(*code) && text.substr(at, 2) == "\\u")
        if (auto low = hex_at(text, at + 2, 4); low && is_low_half(*low)) {
            at += 6;
            append_utf8(out, 0x10000 + ((*code - 0xd800) << 10) + (*low - 0xdc00));
            return true;
        }
    if (is_high_half(*code) || is_low_half(*code))
        out += replacement;
    else
        append_utf8(out, *code);
    return true;
}

// After a backslash.
bool take_escape(std::string_view text, std::size_t& at, std::string& out) {
    if (at >= text.size()) return false;
    switch (char escaped = text[at++]) {
        case 'n':
            out += '\n';
            return true;
        case 't':
            out += '\t';
            return true;
        case 'r':
            out += '\r';
            return true;
        case 'b':
            out += '\b';
            return true;
        case 'f':
            out += '\f';
            return true;
        case 'v':
            out += '\v';
            return true;
        case 'u':
            return take_code(text, at, out);
        case 'x':
            // Nobody has to write printable characters so, and texts that the prefilter searches
            // for must not hide.
            if (auto code = hex_at(text, at, 2); code && (*code < 0x20 || *code >= 0x7f)) {
                out += static_cast<char>(*code);
                at += 2;
                return true;
            }
            [[fallthrough]];
        default:
            out += escaped;
            return true;
    }
}

// What the bytes after the first one of a UTF-8 sequence may be.
struct Sequence {
    std::size_t length = 0;                   // 0: no sequence begins so
    unsigned char least = 0x80, most = 0xbf;  // the second byte; those after it are any
};

Sequence sequence_of(unsigned char first) {
    if (first < 0x80) return {1};
    if (first < 0xc2 || first > 0xf4) return {};
    if (first < 0xe0) return {2};
    if (first == 0xe0) return {3, 0xa0};
    if (first == 0xed) return {3, 0x80, 0x9f};
    if (first < 0xf0) return {3};
    if (first == 0xf0) return {4, 0x90};
    if (first == 0xf4) return {4, 0x80, 0x8f};
    return {4};
}

// Bytes from `at` on that are one character of UTF-8, or the longest beginning of one.
std::size_t character_at(std::string_view text, std::size_t at, bool& whole) {
    Sequence sequence = sequence_of(static_cast<unsigned char>(text[at]));
    std::size_t length = 1;
    while (length < sequence.length && at + length < text.size()) {
        auto next = static_cast<unsigned char>(text[at + length]);
        if (next < (length == 1 ? sequence.least : 0x80) ||
            next > (length == 1 ? sequence.most : 0xbf))
            break;
        ++length;
    }
    whole = length == sequence.length;
    return length;
}

void append_escaped(std::string& out, unsigned char control) {
    constexpr std::string_view digits = "0123456789abcdef";
    out += "\\u00";
    out += digits[control >> 4];
    out += digits[control & 15];
}

}  // namespace

bool take_json_string(std::string_view text, std::size_t& at, std::string& out) {
    while (at < text.size()) {
        std::size_t from = at;
        while (at < text.size() && text[at] != '"' && text[at] != '\\') ++at;
        out.append(text, from, at - from);
        if (at == text.size()) return false;
        if (text[at++] == '"') return true;
        if (!take_escape(text, at, out)) return false;
    }
    return false;
}

void mend_json(std::string_view text, std::string& out) {
    bool within = false;   // a string
    bool escaped = false;  // the next byte
    for (std::size_t at = 0; at < text.size();) {
        auto byte = static_cast<unsigned char>(text[at]);
        bool whole = true;
        std::size_t length = character_at(text, at, whole);
        if (!whole)
            out += replacement;
        else if (within && byte < 0x20)
            append_escaped(out, byte);
        else
            out.append(text, at, length);
        if (byte == '"' && !escaped) within = !within;
        escaped = within && byte == '\\' && !escaped;
        at += length;
    }
}

}  // namespace bandd
