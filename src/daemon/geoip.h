// SPDX-License-Identifier: GPL-2.0-or-later
// The `geoip` databases: open while bandd runs, opened anew when somebody replaces their files.
#pragma once

#include <functional>
#include <memory>

#include "facts/databases.h"
#include "os/replaced_files.h"

namespace bandd {

class Log;
class Loop;
struct Config;

class Geoip {
  public:
    // Opens those of `config`, which is what is in force at any time. `on_replaced`: they were
    // opened anew. `loop`, `config` and `log` outlive it.
    static Result<std::unique_ptr<Geoip>> start(Loop& loop, const Config& config, Log& log,
                                                std::function<void()> on_replaced);

    // What they say; at the same place while this lives.
    const GeoDatabases& facts() const { return facts_; }
    // A reload's: those of `config`, opened already.
    void take(GeoDatabases fresh);

  private:
    Geoip(ReplacedFiles files, const Config& config, Log& log, std::function<void()> on_replaced)
        : files_(std::move(files)),
          config_(config),
          log_(log),
          on_replaced_(std::move(on_replaced)) {}
    void on_notice();

    ReplacedFiles files_;
    GeoDatabases facts_;
    const Config& config_;
    Log& log_;
    std::function<void()> on_replaced_;
};

}  // namespace bandd
