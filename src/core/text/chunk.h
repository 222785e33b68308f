// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/base/address.h"

namespace bandd {

using SourceId = std::uint32_t;

// Whole lines of one source, as UTF-8 (or whatever bytes a client made a server write). Every line
// ends in '\n', the last one perhaps not. Whoever makes a chunk owns its bytes until the turn ends.
struct Chunk {
    SourceId source = 0;
    std::string_view bytes;
    std::optional<Address> sender;  // of syslog messages that came over the network
};

}  // namespace bandd
