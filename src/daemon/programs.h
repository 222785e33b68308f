// SPDX-License-Identifier: GPL-2.0-or-later
// Runs programs that the configuration names: `ignorecommand`, the action of `accounts`. A helper
// process starts them, so that nothing here waits: how a program ended comes by a later turn. (What
// `exec` actions run goes through action/exec.)
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "config/types.h"
#include "os/spawner.h"

namespace bandd {

class Programs {
  public:
    explicit Programs(Spawner spawner) : spawner_(std::move(spawner)) {}

    // How it ended: `ok` is exit code 0.
    using OnEnd = std::function<void(const SpawnResult& result, Instant now)>;
    // As the user and with the time limit of `program`. An error: it was not started, and `on_end`
    // is not called.
    Result<> run(std::vector<std::string> argv, const ProgramConfig& program, OnEnd on_end);

    int fd() const { return spawner_.fd(); }  // readable: a program has ended
    void on_ready(Instant now);

  private:
    Spawner spawner_;
    std::unordered_map<std::uint64_t, OnEnd> running_;
    std::uint64_t next_id_ = 1;
};

}  // namespace bandd
