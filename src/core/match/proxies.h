// SPDX-License-Identifier: GPL-2.0-or-later
// Requests that come through proxies of ours (`trusted_proxies`): who sent them.
#pragma once

#include <optional>
#include <string_view>

#include "core/base/prefix_set.h"

namespace bandd {

// The field of a hit that holds X-Forwarded-For.
inline constexpr std::string_view forwarded_field = "forwarded";

// `forwarded` is X-Forwarded-For, to which each proxy adds at its end whom it was asked by; what is
// before those is a client's word. So if the peer is a proxy of ours, it is the last address that
// is none. Empty if nobody can say: an entry there is no address, or all are proxies, or
// `forwarded` is empty. Our own proxies are never the answer.
std::optional<Address> behind_proxies(const PrefixSet& proxies, const Address& peer,
                                      std::string_view forwarded);

}  // namespace bandd
