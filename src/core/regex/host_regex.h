// SPDX-License-Identifier: GPL-2.0-or-later
// What <HOST>, <IP4> and <IP6> match in bandd's dialect.
#pragma once

#include <string>
#include <string_view>

namespace bandd {

inline constexpr std::string_view ipv4_regex =
    R"((?:::[fF]{4}:)?\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})";
inline constexpr std::string_view ipv6_regex =
    R"((?:[0-9A-Fa-f]{1,4}::?|::)(?:[0-9A-Fa-f]{1,4}::?){0,6}(?:[0-9A-Fa-f]{1,4}|\d{1,3}(?:\.\d{1,3}){3})?)";

// In brackets or not, with a zone or not; its one group is the address.
inline std::string in_host_regex(std::string_view address) {
    std::string regex = R"((?:\[)?()";
    return regex.append(address).append(R"()(?:%\w+)?(?:\])?)");
}
inline std::string host_regex() {
    return in_host_regex(std::string(ipv4_regex).append("|").append(ipv6_regex));
}

}  // namespace bandd
