// SPDX-License-Identifier: GPL-2.0-or-later
// Patterns of fail2ban's dialect.
#pragma once

#include "core/match/pattern.h"

namespace bandd {

struct Fail2banOptions {
    bool names = true;       // <HOST> takes host names, too (usedns)
    bool multiline = false;  // ^ and $ match at every line (maxlines)
};
// A failregex, prefregex or ignoreregex as fail2ban reads it. RE2 where that means the same, else
// PCRE2.
Result<Pattern> compile_fail2ban(std::string_view id, std::string_view source,
                                 const Fail2banOptions& options);

// Groups to fields: ip4, ip6, dns and fid give the address or name, alt_X_1 fills in for X, and
// tuple_X_1 is joined to it.
void take_fail2ban_fields(const Pattern& pattern, const std::vector<std::string_view>& groups,
                          Captured& captured);

}  // namespace bandd
