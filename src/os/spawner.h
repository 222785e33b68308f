// SPDX-License-Identifier: GPL-2.0-or-later
// Starts programs for the daemon: a small process forked before rights are dropped, which does
// nothing but that. Programs get argv (no shell), a clean environment, no descriptors but
// 0, 1 and 2, an own process group, and a time limit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/instant.h"
#include "os/fd.h"

namespace bandd {

struct SpawnRequest {
    std::uint64_t id = 0;
    std::vector<std::string> argv;
    std::string user;
    Duration timeout{0};
};
struct SpawnResult {
    std::uint64_t id = 0;
    bool ok = false;      // exit code 0 within the time limit
    std::string message;  // otherwise: why, with the first line of its standard error
};

class Spawner {
  public:
    static Result<Spawner> start();

    // A request over `largest_request` bytes is refused.
    static constexpr std::size_t largest_request = 128 << 10;
    Result<> run(const SpawnRequest& request);
    int fd() const { return socket_.get(); }  // readable: a result is there
    std::optional<SpawnResult> take_result();

  private:
    Fd socket_;
};

}  // namespace bandd
