// SPDX-License-Identifier: GPL-2.0-or-later
// To the geoblocks in the kernel, which a bandd-kernel of their own has. Its calls wait, as the
// kernel takes a second for 100,000 networks: they are for a thread, which alone uses it meanwhile.
// Only `connect` and `was_touched` do not wait.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "action/kernel_carrier.h"
#include "action/kernel_protocol.h"
#include "os/fd.h"

namespace bandd {

class KernelGeoblocks {
  public:
    // What waits for the process gives it up after so long: at the start, and while it works.
    static constexpr Duration longest_start = std::chrono::seconds(10);
    static constexpr Duration longest_work = std::chrono::minutes(2);

    explicit KernelGeoblocks(StartKernel start) : start_(std::move(start)) {}

    // Has it started, unless it runs. On the loop, and before the other calls.
    Result<> connect();
    // The same, and waits until it says that it can do what it is for.
    Result<> start();
    // Puts these in place of whatever stands there; none: nothing stands there any more.
    Result<> put(const std::vector<Geoblock>& blocks, Duration longest = longest_work);
    // Whether any stand, of a daemon before us perhaps.
    Result<bool> stand();

    // From any thread: what waits gives up within `slice`, and its bandd-kernel with it.
    void give_up() { giving_up_ = true; }
    void go_on() { giving_up_ = false; }
    static constexpr Duration slice = std::chrono::milliseconds(200);

    // Readable: `was_touched` has something to read. -1: it does not run.
    int fd() const { return socket_.get(); }
    // Somebody changed them, or the process has ended.
    bool was_touched();

  private:
    using Clock = std::chrono::steady_clock;
    bool wait_for(short events, Clock::time_point end) const;
    Result<> await_open(Duration longest);
    Result<> send(const std::vector<std::string>& packets);
    Result<kernel::Answer> next_answer(Duration longest);
    std::unexpected<Error> lose(const std::string& reason);

    StartKernel start_;
    Fd socket_;
    bool open_ = false;  // it has said so
    std::atomic<bool> giving_up_ = false;
    std::string buffer_;
};

}  // namespace bandd
