// SPDX-License-Identifier: GPL-2.0-or-later
// Between the kernel's socket addresses and ours.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstring>

#include "core/base/address.h"

namespace bandd {

inline Address address_of(const sockaddr_storage& from) {
    Address address;
    if (from.ss_family == AF_INET6) {
        const auto& six = reinterpret_cast<const sockaddr_in6&>(from);
        std::memcpy(address.bytes.data(), &six.sin6_addr, 16);
    } else if (from.ss_family == AF_INET) {
        const auto& four = reinterpret_cast<const sockaddr_in&>(from);
        address.bytes[10] = address.bytes[11] = 0xff;
        std::memcpy(address.bytes.data() + 12, &four.sin_addr, 4);
    }
    return address;
}

inline std::uint16_t port_of(const sockaddr_storage& from) {
    if (from.ss_family == AF_INET6)
        return ntohs(reinterpret_cast<const sockaddr_in6&>(from).sin6_port);
    if (from.ss_family == AF_INET)
        return ntohs(reinterpret_cast<const sockaddr_in&>(from).sin_port);
    return 0;
}

inline socklen_t to_sockaddr(const Address& address, std::uint16_t port, sockaddr_storage& to) {
    if (address.is_v4()) {
        auto& four = reinterpret_cast<sockaddr_in&>(to);
        four.sin_family = AF_INET;
        four.sin_port = htons(port);
        std::memcpy(&four.sin_addr, address.bytes.data() + 12, 4);
        return sizeof four;
    }
    auto& six = reinterpret_cast<sockaddr_in6&>(to);
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    std::memcpy(&six.sin6_addr, address.bytes.data(), 16);
    return sizeof six;
}

}  // namespace bandd
