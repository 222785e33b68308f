// SPDX-License-Identifier: GPL-2.0-or-later
// What may happen often, and is said rarely.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
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

// What to add to a text that is said for this many times: " (7 times since it was said last)".
inline std::string since_said(std::uint64_t times) {
    return times > 1 ? " (" + std::to_string(times) + " times since it was said last)" : "";
}

}  // namespace bandd
