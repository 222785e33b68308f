// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/base/typed_prefix.h"

namespace bandd {

Result<Prefix> read_prefix(std::string_view text) {
    std::string what = "\"" + std::string(text) + "\"";
    auto prefix = parse_prefix(text);
    if (!prefix)
        return fail(what, "is no address and no CIDR block",
                    "write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/64");
    std::string_view address = text.substr(0, text.find('/'));
    if (parse_address(address) == prefix->network) return *prefix;
    return fail(what, "no block of that size begins at " + std::string(address),
                "write " + to_string(*prefix) + " if that is meant");
}

bool is_too_wide_to_allow(const Prefix& prefix) {
    constexpr int widest_v4 = 8, widest_v6 = 16;
    return prefix.length < (prefix.is_v4() ? widest_v4 : widest_v6);
}

}  // namespace bandd
