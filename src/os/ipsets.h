// SPDX-License-Identifier: GPL-2.0-or-later
// What the kernel says of an ipset, without its elements. libipset, which knows more, is not for
// every program (tests/architecture/libraries).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "os/netlink.h"

namespace bandd {

struct IpsetHeader {
    std::string type;  // "hash:net"
    bool v4 = true;
    bool timed = false;
    bool drops_others =
        false;  // made with `forceadd`: once it is full, what is added takes a place
    std::uint32_t maxelem = 0;  // 0: it has no such limit
    std::uint8_t netmask = 0;   // of hash:ip: only so many bits are kept; 0: all
};

// `netlink`: of NETLINK_NETFILTER; needs CAP_NET_ADMIN. Nothing: there is no such set.
Result<std::optional<IpsetHeader>> read_ipset_header(Netlink& netlink, const std::string& set);

}  // namespace bandd
