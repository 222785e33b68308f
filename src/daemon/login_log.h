// SPDX-License-Identifier: GPL-2.0-or-later
// Where lines about logins go: to bandd's own log, and to syslog under a name of their own if
// `access: syslog` says so. On the loop.
#pragma once

#include <optional>
#include <string>

#include "config/types.h"
#include "core/base/rarely.h"
#include "os/syslog_queue.h"

namespace bandd {

class Log;
class Loop;

class LoginLog {
  public:
    // `config` is what is in force at any time; all outlive it. `socket`: where syslogd listens.
    LoginLog(Log& log, Loop& loop, const AccessConfig& config, std::string socket = "/dev/log");
    ~LoginLog();
    LoginLog(const LoginLog&) = delete;
    LoginLog& operator=(const LoginLog&) = delete;

    void put(const std::string& line);

  private:
    void put_to_syslog(const LoginSyslog& as, const std::string& line);

    Log& log_;
    Loop& loop_;
    const AccessConfig& config_;
    std::string socket_;
    std::optional<SyslogQueue> queue_;  // once there was a line for it
    Rarely said_;
};

}  // namespace bandd
