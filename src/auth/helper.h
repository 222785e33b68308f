// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon's end of bandd-auth, the process that asks a mail server whether a password is right.
// The daemon tells it which server, gives it one end of a socket to bandd-http, and hears what went
// wrong. No password comes here.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "config/types.h"
#include "core/base/rarely.h"
#include "os/role_process.h"

namespace bandd {

// The daemon's one kind of packet to bandd-auth, which a descriptor comes with.
std::string to_packet(const PasswordServer& server);
std::optional<PasswordServer> parse_password_server(std::string_view packet);
// What bandd-auth says to the daemon: why it did not come to a verdict.
std::string to_packet(const Error& fault);
std::optional<Error> parse_fault(std::string_view packet);

class PasswordHelper {
  public:
    // `on_start`: a new process knows nobody yet; give it a socket.
    PasswordHelper(Roles& roles, Loop& loop, PasswordServer server, std::function<void()> on_start,
                   std::function<void(const Error&)> on_error);

    // If it does not run and its pause is over.
    void start(Instant now);
    std::optional<Instant> next_start() const { return process_.next_start(); }
    bool is_running() const { return process_.is_running(); }

    // It does not answer: another one takes its place. Not again until that one has had its time.
    void restart(Instant now);

    // From now on it is asked by what comes through `socket`, which stays the caller's, too. False:
    // it does not take it.
    bool give(int socket, Instant now);
    const PasswordServer& server() const { return server_; }

  private:
    void on_fault();

    PasswordServer server_;
    std::function<void(const Error&)> on_error_;
    Rarely said_;
    std::optional<Instant> restarted_;
    RoleProcess process_;
};

}  // namespace bandd
