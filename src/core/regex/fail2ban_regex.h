// SPDX-License-Identifier: GPL-2.0-or-later
// fail2ban's regular expressions: its tags put in, Python's syntax made RE2's where that is exact.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bandd {

// The group that a tag <F-NAME> becomes: its name in lower case; "fid" of ID, "fport" of PORT.
std::string fail2ban_group_name(std::string_view tag);

// <HOST>, <F-USER>…</F-USER>, <SKIPLINES> and the rest become groups with names: ip4, ip6, dns,
// user, skiplines0. Python's syntax stays. Other text in angle brackets stays, too.
std::string put_tags_in(std::string_view regex, bool names);

// The same language in RE2's syntax; nothing if RE2 cannot: look-around, back-references,
// conditions.
std::optional<std::string> to_re2(std::string_view python);

}  // namespace bandd
