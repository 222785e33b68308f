// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/login_log.h"

#include <sys/epoll.h>

#include "os/clock.h"
#include "os/loop.h"

namespace bandd {

LoginLog::LoginLog(Log& log, Loop& loop, const AccessConfig& config, std::string socket)
    : log_(log), loop_(loop), config_(config), socket_(std::move(socket)) {}

LoginLog::~LoginLog() {
    if (queue_) loop_.remove(queue_->fd());
}

void LoginLog::put(const std::string& line) {
    log_.put(Severity::notice, line);
    if (config_.syslog) put_to_syslog(*config_.syslog, line);
}

void LoginLog::put_to_syslog(const LoginSyslog& as, const std::string& line) {
    auto say = [this](const Error& error) {
        if (std::uint64_t times = said_.happened(now()))
            log_.put(Severity::error,
                     "access: a line is lost: " + to_line(error) + since_said(times));
    };
    if (!queue_) {
        auto made = SyslogQueue::create(socket_);
        if (!made) return say(made.error());
        queue_ = std::move(*made);
        auto added = loop_.add(queue_->fd(), EPOLLIN, [this](std::uint32_t) { queue_->go_on(); });
        if (!added) say(added.error());
    }
    auto put = queue_->put(SyslogSender::line(as.facility, as.severity, as.ident, line));
    if (!put) say(put.error());
}

}  // namespace bandd
