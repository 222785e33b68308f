// SPDX-License-Identifier: GPL-2.0-or-later
// fail2ban's regular expressions: its tags put in, Python's syntax made RE2's where that is exact.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/match/pattern.h"

namespace bandd {

// More groups than this in one pattern are refused.
inline constexpr std::size_t most_groups = 64;

// <HOST>, <F-USER>…</F-USER>, <SKIPLINES> and the rest become groups with names: ip4, ip6, dns,
// user, skiplines0. Python's syntax stays. Other text in angle brackets stays, too.
std::string put_tags_in(std::string_view regex, bool names);

// The same language in RE2's syntax; nothing if RE2 cannot: look-around, back-references,
// conditions.
std::optional<std::string> to_re2(std::string_view python);

// Groups to fields: ip4, ip6, dns and fid give the address or name, alt_X_1 fills in for X, and
// tuple_X_1 is joined to it.
void take_fail2ban_fields(const Pattern& pattern, const std::vector<std::string_view>& groups,
                          Captured& captured);

}  // namespace bandd
