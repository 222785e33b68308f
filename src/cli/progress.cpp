// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <string>

namespace bandd {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds silent_first{300};

}  // namespace

Progress::Progress(std::uint64_t total, bool wanted)
    : total_(std::max<std::uint64_t>(total, 1)),
      wanted_(wanted && isatty(STDERR_FILENO) == 1),
      next_(Clock::now() + silent_first) {}

Progress::Progress(const char* things, bool wanted)
    : things_(things),
      wanted_(wanted && isatty(STDERR_FILENO) == 1),
      next_(Clock::now() + silent_first) {}

Progress::~Progress() {
    if (wanted_) fmt::print(stderr, "\r\033[K");
}

void Progress::show(std::uint64_t done) {
    if (!wanted_ || Clock::now() < next_) return;
    next_ = Clock::now() + std::chrono::milliseconds(100);
    if (things_ != nullptr) {
        fmt::print(stderr, "\r{} {}", done, things_);
        return;
    }
    auto percent = std::min<std::uint64_t>(done * 100 / total_, 100);
    fmt::print(stderr, "\r[{:<25}] {:>3} %", std::string(percent / 4, '#'), percent);
}

}  // namespace bandd
