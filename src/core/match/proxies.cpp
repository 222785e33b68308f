// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/match/proxies.h"

#include "core/match/json_fields.h"

namespace bandd {

std::optional<Address> behind_proxies(const PrefixSet& proxies, const Address& peer,
                                      std::string_view forwarded) {
    if (!proxies.contains(peer)) return peer;
    while (!forwarded.empty()) {
        auto comma = forwarded.rfind(',');
        auto last = comma == std::string_view::npos ? 0 : comma + 1;
        auto address = parse_peer(forwarded.substr(last));
        if (!address || !proxies.contains(*address)) return address;
        forwarded = forwarded.substr(0, last == 0 ? 0 : comma);
    }
    return {};
}

}  // namespace bandd
