// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/interfaces.h"

#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

namespace bandd {

std::vector<Prefix> own_addresses() {
    std::vector<Prefix> own;
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) != 0) return own;
    for (const ifaddrs* item = list; item != nullptr; item = item->ifa_next) {
        if (item->ifa_addr == nullptr) continue;
        Address address;
        if (item->ifa_addr->sa_family == AF_INET) {
            sockaddr_in v4{};
            std::memcpy(&v4, item->ifa_addr, sizeof v4);
            address.bytes[10] = address.bytes[11] = 0xff;
            std::memcpy(address.bytes.data() + 12, &v4.sin_addr, 4);
        } else if (item->ifa_addr->sa_family == AF_INET6) {
            sockaddr_in6 v6{};
            std::memcpy(&v6, item->ifa_addr, sizeof v6);
            std::memcpy(address.bytes.data(), &v6.sin6_addr, 16);
        } else {
            continue;
        }
        own.push_back(make_prefix(address, address.bits()));
    }
    freeifaddrs(list);
    return own;
}

Result<Fd> open_address_notices() {
    Fd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
    if (!fd) return fail_errno("socket NETLINK_ROUTE");
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
    if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return fail_errno("bind NETLINK_ROUTE");
    return fd;
}

void drain(const Fd& fd) {
    std::array<char, 8192> buffer{};
    while (::recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT) > 0 || errno == ENOBUFS) {
        if (errno == ENOBUFS) errno = 0;
    }
}

}  // namespace bandd
