// SPDX-License-Identifier: GPL-2.0-or-later
// What may happen often, and is said rarely.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "core/base/instant.h"

namespace bandd {

class Rarely {
  public:
    static constexpr Duration pause = std::chrono::minutes(1);

    // To be called each time that it happens. How often it happened since this last gave a number,
    // this time included; 0: it is not to be said now.
    std::uint64_t happened(Instant now) {
        ++unsaid_;
        // A clock that was set back must not silence us until it is there again.
        if (last_ && now >= *last_ && now - *last_ < pause) return 0;
        last_ = now;
        return std::exchange(unsaid_, 0);
    }

  private:
    std::optional<Instant> last_;
    std::uint64_t unsaid_ = 0;
};

}  // namespace bandd
