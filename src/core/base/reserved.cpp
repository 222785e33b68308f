// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/base/reserved.h"

#include <array>

#include "core/base/prefix_set.h"

namespace bandd {
namespace {

// RFC 6890 and its successors. Of IPv6 only 2000::/3 is given out.
constexpr const char* reserved[] = {
    "0.0.0.0/8",       "10.0.0.0/8",     "100.64.0.0/10", "127.0.0.0/8",    "169.254.0.0/16",
    "172.16.0.0/12",   "192.0.0.0/24",   "192.0.2.0/24",  "192.168.0.0/16", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",   "2001:db8::/32",  "3fff::/20",
};

}  // namespace

std::vector<Prefix> reserved_prefixes() {
    std::vector<Prefix> prefixes;
    for (const char* text : reserved) prefixes.push_back(parse_prefix(text).value());
    return prefixes;
}

bool is_loopback(const Address& address) {
    static const PrefixSet set(std::array{*parse_prefix("127.0.0.0/8"), *parse_prefix("::1")});
    return set.contains(address);
}

bool is_private(const Address& address) {
    static const PrefixSet set(
        std::array{*parse_prefix("10.0.0.0/8"), *parse_prefix("172.16.0.0/12"),
                   *parse_prefix("192.168.0.0/16"), *parse_prefix("169.254.0.0/16"),
                   *parse_prefix("fc00::/7"), *parse_prefix("fe80::/10")});
    return set.contains(untranslated(address)) || is_loopback(address);
}

bool is_public(const Address& address) {
    static const PrefixSet set(reserved_prefixes());
    Address meant = untranslated(address);
    bool given_out = meant.is_v4() || (meant.bytes[0] & 0xe0) == 0x20;
    return given_out && !set.contains(meant);
}

std::optional<Prefix> untranslated(const Prefix& prefix) {
    constexpr int head = 96;  // bits of the well-known prefix
    Address first{};
    first.bytes = {0, 0x64, 0xff, 0x9b};
    Prefix all = make_prefix(first, head);
    Address v4{};
    v4.bytes[10] = v4.bytes[11] = 0xff;
    if (prefix.length >= head && contains(all, prefix.network))
        return make_prefix(untranslated(prefix.network), prefix.length - head);
    if (prefix.length < head && contains(prefix, first)) return make_prefix(v4, 0);
    return {};
}

}  // namespace bandd
