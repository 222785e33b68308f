// SPDX-License-Identifier: GPL-2.0-or-later
// Tells what happened: one line an event in the daemon's own log, one JSON object an event for
// watchers (`bandctl watch`). A ban is told of when the kernel has it, not before.
#pragma once

#include <string>

#include "control/protocol.h"
#include "core/decide/access.h"
#include "core/decide/decision.h"

namespace bandd {

class ControlServer;
class Dispatch;
class Engine;
class Log;
class LoginLog;
struct Report;

class Announcer {
  public:
    // All of these outlive it.
    Announcer(Log& log, LoginLog& logins, const Engine& engine, const Dispatch& dispatch,
              ControlServer& watchers)
        : log_(log), logins_(logins), engine_(engine), dispatch_(dispatch), watchers_(watchers) {}

    void tell(const Event& event);
    void tell(const Report& report);
    // Somebody asked whether a login is to be let in, or told of one.
    void tell_login(const LoginRequest& request, const Decision& decision);
    void tell_failed_password(const LoginRequest& request, const Origin& origin);

  private:
    void tell_of(const Found& found);
    void tell_of(const Ignored& ignored);
    void tell_of(const Banned& banned);
    void tell_of(const Extended& extended);
    void tell_of(const Unbanned& unbanned);
    void tell_of(const LoggedIn& login);
    void tell_of(const AccountOver& over);
    bool is_watched() const;
    const std::string& jail_name(JailIndex jail) const;
    void tell_watchers_of(const Ban& ban, const char* kind, std::string_view why = {});

    Log& log_;
    LoginLog& logins_;
    const Engine& engine_;
    const Dispatch& dispatch_;
    ControlServer& watchers_;
};

}  // namespace bandd
