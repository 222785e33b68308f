// SPDX-License-Identifier: GPL-2.0-or-later
// The `geoip` databases: open while bandd runs, opened anew when somebody replaces their files. And
// the geoblocks that are made from them.
#pragma once

#include <memory>
#include <optional>

#include "daemon/geoblocker.h"
#include "facts/databases.h"
#include "os/replaced_files.h"

namespace bandd {

class Log;
class Loop;
struct Config;

class Geoip {
  public:
    // Opens those of `config`, which is what is in force at any time. `loop`, `config` and `log`
    // outlive it. `start_kernel` starts a bandd-kernel: one that looks for geoblocks of a daemon
    // before us, if none are configured.
    static Result<std::unique_ptr<Geoip>> start(Loop& loop, const Config& config,
                                                StartKernel start_kernel, Log& log);

    // What they say; at the same place while this lives.
    const GeoDatabases& facts() const { return facts_; }
    // What `fresh` needs to make its geoblocks: exists afterwards.
    Result<> prepare_blocks(const Config& fresh);
    // Begins to make them as they are configured.
    void make_blocks();
    // What became of them last: nothing, as long as they are being made.
    const GeoblockReport& blocks() const { return blocks_; }
    // A reload's: those of `config`, opened already.
    void take(GeoDatabases fresh);

    std::optional<Instant> next_deadline() const;
    void on_time(Instant now);
    // Takes geoblocks out of the kernel, for `stop: flush`.
    void clear_blocks();

  private:
    Geoip(ReplacedFiles files, Loop& loop, const Config& config, StartKernel start_kernel, Log& log)
        : files_(std::move(files)),
          loop_(loop),
          config_(config),
          start_kernel_(std::move(start_kernel)),
          log_(log) {}
    void say(const GeoblockReport& report);
    void on_notice();

    ReplacedFiles files_;
    GeoDatabases facts_;
    Loop& loop_;
    const Config& config_;
    StartKernel start_kernel_;
    Log& log_;
    std::optional<KernelGeoblocks> finder_;  // until `prepare_blocks`
    std::unique_ptr<Geoblocker> blocker_;    // empty if there were never any geoblocks
    GeoblockReport blocks_;
    bool stale_ = false;  // geoblocks of a daemon before us are there, and none are configured
};

}  // namespace bandd
