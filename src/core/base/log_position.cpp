// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/base/log_position.h"

#include "core/base/hash.h"

namespace bandd {

Fingerprint Fingerprint::of(std::string_view head) {
    if (head.empty()) return {};
    return {static_cast<std::uint32_t>(head.size()), hash64(head)};
}

bool Fingerprint::matches(std::string_view head) const {
    return head.size() >= length && hash64(head.substr(0, length)) == hash;
}

}  // namespace bandd
