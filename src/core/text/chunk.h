// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <algorithm>
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

// Takes lines off the front, as many as `size` bytes hold, and at least one.
inline std::string_view take_whole_lines(std::string_view& rest, std::size_t size) {
    if (size < rest.size()) {
        auto end = rest.rfind('\n', size == 0 ? 0 : size - 1);
        if (end == std::string_view::npos) end = rest.find('\n', size);
        size = end == std::string_view::npos ? rest.size() : end + 1;
    }
    std::string_view lines = rest.substr(0, size);
    rest.remove_prefix(lines.size());
    return lines;
}

}  // namespace bandd
