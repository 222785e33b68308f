// SPDX-License-Identifier: GPL-2.0-or-later
// Writes a line to syslog at a ban and at its end, as the seed's `logger -p local7.notice` did.
// /dev/log holds some ten lines until syslogd reads them (net.unix.max_dgram_qlen); more wait here.
#pragma once

#include <deque>
#include <map>

#include "action/backend.h"
#include "os/log.h"

namespace bandd {

class SyslogBackend : public Backend {
  public:
    // Lines that wait; further ones are not written, which is said and counted (`failures`).
    static constexpr std::size_t most_waiting = 10'000;

    static Result<std::unique_ptr<SyslogBackend>> create(std::string socket = "/dev/log");

    void set_targets(std::vector<TargetSpec> targets) override;
    Result<> prepare(TargetId) override { return {}; }
    void apply(std::span<const Order> orders, std::vector<Failure>& failed) override;
    bool enforces() const override { return false; }
    Result<> list(TargetId, const Visit&) override { return {}; }
    // Readable: syslogd takes lines again.
    int notice_fd() const override { return watch_.get(); }
    Notices read_notices() override;
    std::size_t waiting() const { return waiting_.size(); }

  private:
    SyslogBackend(std::string socket, Fd watch)
        : sender_(std::move(socket)), watch_(std::move(watch)) {}
    Result<> put(std::string line);
    void send_waiting();
    void watch();

    SyslogSender sender_;
    Fd watch_;  // an epoll of the sender's socket, while lines wait
    std::deque<std::string> waiting_;
    std::map<TargetId, TargetSpec> targets_;
};

}  // namespace bandd
