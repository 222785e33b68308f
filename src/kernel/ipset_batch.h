// SPDX-License-Identifier: GPL-2.0-or-later
// Many elements of an ipset in one message. libipset, of a stream of orders, asks the kernel of the
// set and the resolver of the address for every single one, which takes ten times as long.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/base/address.h"
#include "os/netlink.h"

namespace bandd {

struct IpsetElement {
    Prefix prefix;
    std::optional<std::uint32_t> timeout;  // seconds; of a set with timeouts, 0 stays
};

// Elements of one message.
inline constexpr std::size_t most_ipset_elements = 1024;

// `added`, or taken out; what is there, or is not, already is no error. All of one family, that of
// the set. False: not all were; some may be.
bool put_ipset_elements(Netlink& netlink, const std::string& set, bool added,
                        std::span<const IpsetElement> elements);

}  // namespace bandd
