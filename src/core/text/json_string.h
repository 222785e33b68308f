// SPDX-License-Identifier: GPL-2.0-or-later
// The text of a JSON string, and JSON that a strict reader refuses because of what a client sent.
#pragma once

#include <string>
#include <string_view>

namespace bandd {

// Appends the text of the string that begins at `at`, after its quote; leaves `at` after the
// closing one. False: it never ends, or a \u lacks its digits. What others write and JSON does not
// know is understood where the meaning is clear: Apache's \v, and its \xhh for control characters
// and bytes from 0x7f up. Half of a surrogate pair becomes U+FFFD. Another character behind a
// backslash stands for itself.
bool take_json_string(std::string_view text, std::size_t& at, std::string& out);

// `text` as a strict reader takes it, appended to `out`: bytes that are no UTF-8 become U+FFFD, and
// control characters within strings are escaped.
void mend_json(std::string_view text, std::string& out);

}  // namespace bandd
