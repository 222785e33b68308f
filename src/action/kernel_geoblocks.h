// SPDX-License-Identifier: GPL-2.0-or-later
// To the geoblocks in the kernel, which a bandd-kernel of their own has. Its calls wait, as the
// kernel takes a second for 100,000 networks: they are for a thread, which alone uses it meanwhile.
#pragma once

#include <string>
#include <vector>

#include "action/kernel_carrier.h"
#include "action/kernel_protocol.h"
#include "os/fd.h"

namespace bandd {

class KernelGeoblocks {
  public:
    // What waits for the process gives it up after so long.
    static constexpr Duration longest_work = std::chrono::minutes(2);

    explicit KernelGeoblocks(StartKernel start) : start_(std::move(start)) {}

    // It runs afterwards. On the loop, and before the other calls.
    Result<> start();
    // Puts these in place of whatever stands there; none: nothing stands there any more.
    Result<> put(const std::vector<Geoblock>& blocks);
    // Whether any stand, of a daemon before us perhaps.
    Result<bool> stand();

    // Readable: `was_touched` has something to read. -1: it does not run.
    int fd() const { return socket_.get(); }
    // Somebody changed them, or the process has ended.
    bool was_touched();

  private:
    Result<> send(const std::vector<std::string>& packets);
    Result<kernel::Answer> next_answer();
    std::unexpected<Error> lose(const std::string& reason);

    StartKernel start_;
    Fd socket_;
    std::string buffer_;
};

}  // namespace bandd
