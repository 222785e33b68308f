// SPDX-License-Identifier: GPL-2.0-or-later
// `access: users_file`: reads it, watches it, and gives the engine the rules of logins, with the
// users of the file and those of the configuration.
#pragma once

#include <memory>

#include "core/base/result.h"
#include "os/replaced_files.h"

namespace bandd {

class Engine;
class Log;
class Loop;
struct Config;

class UsersFile {
  public:
    // All of these outlive it. `config` is what is in force at any time.
    static Result<std::unique_ptr<UsersFile>> start(Loop& loop, const Config& config,
                                                    Engine& engine, Log& log);

    // The configuration is another one: watches its file and reads it. One that cannot be read
    // leaves the users that were known; at a start, those of the configuration.
    void configure(bool starting);

  private:
    UsersFile(ReplacedFiles files, const Config& config, Engine& engine, Log& log)
        : files_(std::move(files)), config_(config), engine_(engine), log_(log) {}
    void watch();
    void read(bool starting);
    void on_notice();

    ReplacedFiles files_;
    const Config& config_;
    Engine& engine_;
    Log& log_;
};

}  // namespace bandd
