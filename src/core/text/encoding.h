// SPDX-License-Identifier: GPL-2.0-or-later
// What a log file's bytes mean. From here on everything is UTF-8, or raw bytes if a log is neither.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace bandd {

enum class Encoding { automatic, utf8, latin1, utf16le, utf16be };

std::optional<Encoding> parse_encoding(std::string_view name);
std::string_view to_string(Encoding encoding);

struct ByteOrderMark {
    Encoding encoding = Encoding::utf8;
    std::size_t length = 0;  // bytes to skip
};

// By the first bytes of a file; UTF-8 and length 0 without a mark.
ByteOrderMark detect_byte_order_mark(std::string_view head);

// Bytes a code unit takes: line ends are searched, and files cut, at multiples of it.
std::size_t unit_size(Encoding encoding);

// The position just after the last line end in `bytes`, 0 if there is none.
std::size_t last_line_end(Encoding encoding, std::string_view bytes);

// Appends `bytes` as UTF-8. UTF-8 passes unchanged, invalid bytes included; a lone UTF-16
// surrogate becomes U+FFFD; byte-order marks, wherever they are, and a last odd byte are dropped.
void decode(Encoding encoding, std::string_view bytes, std::string& out);

}  // namespace bandd
