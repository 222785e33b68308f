// SPDX-License-Identifier: GPL-2.0-or-later
// bandd's side of bandd-programs: runs programs that the configuration names. Nothing here waits
// for a program: how it ended comes by a later turn. The process is there only while there are
// programs; should it die, it is started again.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>

#include "config/program_table.h"
#include "config/types.h"
#include "core/base/instant.h"
#include "os/role_process.h"
#include "programs/request.h"

namespace bandd {

struct ProgramResult {
    bool ok = false;      // exit code 0 within the time limit
    std::string message;  // otherwise: why, with the first line of its standard error
};

class Programs {
  public:
    // How long a start or a reload waits for bandd-programs to read the configuration.
    static constexpr Duration longest_reading = std::chrono::seconds(10);

    using OnError = std::function<void(const Error&)>;
    // `roles` and `loop` outlive it.
    Programs(Roles& roles, Loop& loop, OnError on_error);

    // Before a configuration is taken: bandd-programs reads it, too, and finds the same programs.
    // An error: it does not. What was taken before goes on. `take` follows, unless something else
    // fails.
    Result<> prepare(const Config& fresh);
    // From now on, `number_of` means this configuration. Without programs, the process ends with
    // its last program.
    void take(const Config& config);

    // Which program of which table; it stays good after a reload, for what is still to be undone.
    struct Number {
        std::uint64_t generation = 0;
        std::uint32_t index = 0;
    };
    std::optional<Number> number_of(const ConfiguredProgram& program) const;

    using OnEnd = std::function<void(const ProgramResult& result, Instant now)>;
    // An error: it was not started, and `on_end` is not called.
    Result<> run(Number number, TagValues values, OnEnd on_end);
    Result<> run(const ConfiguredProgram& program, TagValues values, OnEnd on_end);

    // When to start the process again.
    std::optional<Instant> next_deadline() const;
    void on_time(Instant now);

    bool is_running() const { return process_.is_running(); }
    // Requests that bandd-programs did not carry out.
    std::uint64_t refused() const { return refused_; }
    // How often it ended without having been told to.
    std::uint64_t ends() const { return process_.ends(); }

  private:
    void close_if_idle();
    void on_start();
    Result<std::uint64_t> read_again();
    Result<ProgramAnswer> wait_for_reading();
    void take_answers();
    void take_answer(ProgramAnswer answer);
    void on_reading(ProgramAnswer answer);
    void fail_all(Instant now);

    OnError on_error_;
    RoleProcess process_;
    ProgramTable table_;
    bool wanted_ = false;
    std::unordered_map<std::uint64_t, OnEnd> running_;
    std::uint64_t next_id_ = 1;  // 0 is in answers to what was no request
    std::uint64_t reading_ = 0;  // number of the last request to read
    bool preparing_ = false;     // `prepare` waits for its answer
    std::optional<ProgramAnswer> read_;
    std::uint64_t refused_ = 0;
};

}  // namespace bandd
