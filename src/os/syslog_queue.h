// SPDX-License-Identifier: GPL-2.0-or-later
// Lines for syslogd. /dev/log holds some ten until it reads them (net.unix.max_dgram_qlen); more
// wait here.
#pragma once

#include <deque>
#include <string>

#include "os/log.h"

namespace bandd {

class SyslogQueue {
  public:
    // Lines that wait; further ones are refused.
    static constexpr std::size_t most_waiting = 10'000;

    static Result<SyslogQueue> create(std::string socket = "/dev/log");

    // A line of `SyslogSender::line`. An error: it is lost.
    Result<> put(std::string line);
    // Readable while lines wait and syslogd takes lines again: call `go_on` then.
    int fd() const { return watch_.get(); }
    void go_on();
    std::size_t waiting() const { return waiting_.size(); }

  private:
    SyslogQueue(std::string socket, Fd watch)
        : sender_(std::move(socket)), watch_(std::move(watch)) {}
    void watch();

    SyslogSender sender_;
    Fd watch_;  // an epoll of the sender's socket
    std::deque<std::string> waiting_;
};

}  // namespace bandd
