// SPDX-License-Identifier: GPL-2.0-or-later
// How much of a file is read in one turn. Whoever else is to be banned waits for all of the turn,
// and a line that bans takes a hundred times as long as another one.
//
//   32 KiB, 64 KiB, 128 KiB …   the turns of a backlog in which hardly anybody is banned
//   32 KiB with 1,600 bans      the next one reads 20 KiB
#pragma once

#include <algorithm>
#include <cstddef>

namespace bandd {

class ReadShare {
  public:
    static constexpr std::size_t first = 32 << 10;
    static constexpr std::size_t least = 2 << 10;
    // In a turn: some 5 ms.
    static constexpr std::size_t most_bans = 1000;

    std::size_t bytes() const { return bytes_; }
    // Those that ban many come after the others, and not all of them in each turn.
    bool bans_many() const { return bytes_ < first; }
    // So many bans came of a share that was read. No share is larger than `largest`.
    void note(std::size_t bans, std::size_t largest) {
        if (bans > most_bans)
            bytes_ =
                std::max(least, static_cast<std::size_t>(static_cast<double>(bytes_) * most_bans /
                                                         static_cast<double>(bans)));
        else if (bans < most_bans / 4)
            bytes_ = std::min(largest, bytes_ * 2);
    }
    // All is read: what comes next may be anything.
    void begin_again() { bytes_ = first; }

  private:
    std::size_t bytes_ = first;
};

}  // namespace bandd
