// SPDX-License-Identifier: GPL-2.0-or-later
// rsyslog writes a control character it received as '#' and exactly three octal digits; bytes from
// 0200 up, too, if it is told to.
#pragma once

#include <string>
#include <string_view>

namespace bandd {

// Whether "#ooo" in a source's lines is undone: always, never, or for lines with a syslog head.
enum class Escapes { automatic, undo, keep };

bool has_escape(std::string_view text);

// Appends `text` with each "#ooo" (000..037; 177..377 if no digit follows) as the byte it stands
// for; "#0112824" is a tab and "2824". A '#' followed by anything else stays.
void unescape(std::string_view text, std::string& out);

}  // namespace bandd
