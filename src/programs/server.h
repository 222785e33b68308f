// SPDX-License-Identifier: GPL-2.0-or-later
// What bandd-programs does: it holds the table of programs, which it made itself from the
// configuration, and runs what a request gives the number of.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "config/program_table.h"
#include "os/fd.h"
#include "programs/request.h"

namespace bandd {

class ProgramServer {
  public:
    // Tables that are kept: the newest, and those of earlier reloads, whose unbans may still wait.
    static constexpr std::size_t most_tables = 16;
    // Programs that run at one time: what bandd starts at most, and a bound if it is not bandd that
    // asks.
    static constexpr std::size_t most_running = 2048;
    // Of a program's standard error: what is kept, and what is read of one program in one round.
    static constexpr std::size_t longest_message = 512;
    static constexpr std::size_t most_read = 64 << 10;

    using ReadTable = std::function<Result<ProgramTable>()>;
    // `socket`: our end of a SOCK_SEQPACKET pair.
    ProgramServer(Fd socket, ReadTable read_table)
        : socket_(std::move(socket)), read_table_(std::move(read_table)) {}

    // Until the other end is closed and the last program has ended.
    Result<> run();

  private:
    struct Running {
        std::uint64_t id = 0;
        pid_t pid = 0;
        Fd standard_error;
        std::string message;
        std::int64_t deadline = 0;  // milliseconds of CLOCK_MONOTONIC
        bool killed = false;
    };
    void wait(const Fd& signals);
    void take_request();
    void carry_out(std::string_view packet);
    void read_table(std::uint64_t id);
    void start(const RunRequest& request);
    void start(std::uint64_t id, const ProgramConfig& program,
               const std::vector<std::string>& argv);
    static void collect(Running& program);
    void reap();
    void kill_late();
    void answer(const ProgramAnswer& answer);
    void send_answers();

    Fd socket_;
    ReadTable read_table_;
    std::deque<ProgramTable> tables_;  // the newest first
    std::vector<Running> running_;
    std::deque<std::string> unsent_;
};

}  // namespace bandd
