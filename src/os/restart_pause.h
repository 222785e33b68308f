// SPDX-License-Identifier: GPL-2.0-or-later
// How long to wait before a process that has ended is started again: a second, and twice as long
// each time, up to a minute. After one that lived for a minute it is a second again.
#pragma once

#include <algorithm>
#include <utility>

#include "core/base/instant.h"

namespace bandd {

class RestartPause {
  public:
    static constexpr Duration first = std::chrono::seconds(1);
    static constexpr Duration longest = std::chrono::minutes(1);

    // After one that lived for so long.
    Duration next(Duration lived) {
        if (lived >= longest) next_ = first;
        return std::exchange(next_, std::min(next_ * 2, longest));
    }

  private:
    Duration next_ = first;
};

}  // namespace bandd
