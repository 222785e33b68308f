// SPDX-License-Identifier: GPL-2.0-or-later
// The matched lines of addresses that are not banned yet, so that a ban can tell what led to it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/decide/decision.h"

namespace bandd {

// The last `most` of them, of all keys together; each names the line of the same key before it. A
// new line takes the place, and the memory, of the oldest.
class KeptLines {
  public:
    explicit KeptLines(std::size_t most) : most_(most) {}

    // The line's number, never 0. `previous`: that of the same key's line before; 0 if there is
    // none.
    // `weight`: so many hits it counts as.
    std::uint64_t add(Instant at, std::string_view pattern, std::string_view line,
                      std::uint64_t previous, std::uint32_t weight = 1);
    // At most so many lines of a key up to its last one, as far as they are still there; oldest
    // first.
    std::vector<Match> up_to(std::uint64_t last, std::uint32_t most) const;
    // How many lines up to the last one make `hits`; nothing, if some are not there any more.
    std::optional<std::uint32_t> lines_of(std::uint64_t last, std::uint32_t hits) const;

  private:
    struct Line {
        Match match;
        std::uint64_t previous = 0;
        std::uint32_t weight = 1;
    };
    // Null if it is not there any more.
    const Line* find(std::uint64_t number) const;
    std::size_t place_of(std::uint64_t number) const {
        return static_cast<std::size_t>((number - 1) % most_);
    }

    std::size_t most_;
    std::vector<Line> lines_;
    std::uint64_t added_ = 0;
};

}  // namespace bandd
