// SPDX-License-Identifier: GPL-2.0-or-later
// A role's process as the daemon has it: started when the first packet is sent, and started anew
// when it has ended, after a pause that doubles each time. On the loop; nothing here waits.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/instant.h"
#include "os/fd.h"
#include "os/restart_pause.h"
#include "os/roles.h"

namespace bandd {

class Loop;

class RoleProcess {
  public:
    struct Calls {
        std::function<void()> on_readable;  // a packet is there, or the process has ended
        std::function<void(const Error&)> on_error;
        std::function<void()> on_start;  // empty, or: a new process is to be told something
    };
    // `roles` and `loop` outlive it.
    RoleProcess(Roles& roles, Loop& loop, Role role, Calls calls);
    ~RoleProcess();
    RoleProcess(const RoleProcess&) = delete;
    RoleProcess& operator=(const RoleProcess&) = delete;

    // What each new process gets as `role_extra`.
    void set_extra(Fd extra) { extra_ = std::move(extra); }

    // Starts it, if it does not run and its pause is over. An error: it does not run; said already.
    Result<> start(Instant now);
    // The same, then sends. An error: it is not sent.
    Result<> send(std::string_view packet, Instant now);
    // The same, with a descriptor, which stays the caller's, too.
    Result<> send(std::string_view packet, Instant now, int fd);
    // The next packet of at most `largest` bytes, until the next call; nothing if there is none. If
    // the process has ended, it no longer `is_running` then.
    std::optional<std::string_view> receive(std::size_t largest, Instant now);
    // Waits until there is one, or the process has ended: for a start and a reload, which go on
    // with its answer only.
    void wait(Duration most) const;
    bool is_running() const { return static_cast<bool>(socket_); }
    // From then on `start` starts it again. Nothing while it runs.
    std::optional<Instant> next_start() const;
    std::uint64_t ends() const { return ends_; }
    // Ends it, or lets it finish what it does.
    void close();

  private:
    void on_end(Instant now);

    Roles& roles_;
    Loop& loop_;
    Role role_;
    Calls calls_;
    Fd extra_;
    Fd socket_;
    Instant started_, may_start_;
    RestartPause pause_;
    std::uint64_t ends_ = 0;
    std::string buffer_;
};

}  // namespace bandd
