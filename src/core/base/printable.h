// SPDX-License-Identifier: GPL-2.0-or-later
// What strangers wrote, made fit for a terminal, a log and a pipe. Everything that bandd prints of
// a log line, a user name or a host name passes here.
#pragma once

#include <string>
#include <string_view>

namespace bandd {

// True for characters that act instead of being seen: Unicode's categories Cc (C0, DEL, C1), Cf
// (bidirectional overrides, zero width, tags), Zl and Zp, of Unicode 15. A terminal may obey them.
bool is_control(char32_t character);

// UTF-8 passes; control characters and bytes that are no UTF-8 are shown by number.
//   "a\x1b[2J" → "a\x1b[2J" with a backslash, x, 1, b;  U+202E → "\u202e";  byte 0xff → "\xff"
// ASCII controls and stray bytes are written \xNN, further characters \uNNNN or \UNNNNNNNN.
std::string printable(std::string_view text);

// The same for a whole JSON text, without changing what it means: controls become JSON's own
// escapes. (JSON writers escape C0 only; DEL, C1 and overrides would reach the terminal.)
//   {"user":"a<U+202E>b"} → {"user":"a\u202eb"}
// `json` must be valid UTF-8.
std::string printable_json(std::string json);

}  // namespace bandd
