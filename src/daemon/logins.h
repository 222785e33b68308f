// SPDX-License-Identifier: GPL-2.0-or-later
// Decides what Postfix, nginx and Dovecot request about logins, and runs the action of `accounts`.
// Who may log in from where is core/decide/access; the requests come from daemon/endpoints.
#pragma once

#include <functional>

#include "core/decide/access.h"
#include "core/decide/decision.h"

namespace bandd {

class Announcer;
class Engine;
class Log;
class Pipeline;
class Programs;
struct Config;

class Logins {
  public:
    // Actions that run at one time; one more is not run, which is said.
    static constexpr std::size_t most_actions = 1000;

    struct Parts {
        const Config& config;  // what is in force at any time
        Log& log;
        Engine& engine;
        Pipeline& pipeline;
        Announcer& announcer;
        Programs& programs;
        const Facts& facts;
        std::function<void()> changed;  // something is to be written
    };
    explicit Logins(Parts parts) : parts_(std::move(parts)) {}

    Decision decide(const LoginRequest& request);
    // Where the client is.
    Origin on_failed_password(const LoginRequest& request);
    // `access: accounts: action`.
    void run_action(const AccountOver& over);

  private:
    Parts parts_;
    std::size_t running_ = 0;
};

}  // namespace bandd
