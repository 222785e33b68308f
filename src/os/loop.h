// SPDX-License-Identifier: GPL-2.0-or-later
// The event loop: epoll, one wall-clock deadline, and turns. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include "core/base/instant.h"
#include "os/fd.h"

struct epoll_event;

namespace bandd {

class Loop {
  public:
    using Callback = std::function<void(std::uint32_t events)>;

    static Result<Loop> create();

    // `fd` stays the caller's; call `remove` before closing it. Level-triggered.
    Result<> add(int fd, std::uint32_t events, Callback callback);
    void modify(int fd, std::uint32_t events);
    void remove(int fd);

    // Wakes the loop at that wall-clock time, also if the clock is set past it. Nothing: never.
    void set_deadline(std::optional<Instant> at);
    // True once after somebody set the clock while a deadline was pending.
    bool take_clock_change() { return std::exchange(clock_changed_, false); }
    // There is work left that no descriptor will announce: do not sleep before the next turn.
    void again() { again_ = true; }

    // One turn: waits, then runs the callbacks of all ready descriptors, 64 times 64 at most.
    void turn();

  private:
    static constexpr int most_rounds = 64;
    Loop() = default;
    void call(const epoll_event& event);
    Fd epoll_, timer_;
    std::optional<Instant> deadline_;
    bool again_ = false;
    bool clock_changed_ = false;
    // Shared, so that a callback may remove itself while it runs.
    std::unordered_map<int, std::shared_ptr<Callback>> callbacks_;
};

}  // namespace bandd
