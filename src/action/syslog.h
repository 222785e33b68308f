// SPDX-License-Identifier: GPL-2.0-or-later
// Writes a line to syslog at a ban and at its end, as the seed's `logger -p local7.notice` did.
#pragma once

#include <map>

#include "action/backend.h"
#include "os/syslog_queue.h"

namespace bandd {

class SyslogBackend : public Backend {
  public:
    // A line that the queue refuses is said and counted (`failures`).
    static Result<std::unique_ptr<SyslogBackend>> create(std::string socket = "/dev/log");

    void set_targets(std::vector<TargetSpec> targets) override;
    Result<> prepare(TargetId) override { return {}; }
    void apply(std::span<const Order> orders, std::vector<Failure>& failed) override;
    bool enforces() const override { return false; }
    Result<> list(TargetId, const Visit&) override { return {}; }
    // Readable: syslogd takes lines again.
    int notice_fd() const override { return queue_.fd(); }
    Notices read_notices() override;
    std::size_t waiting() const { return queue_.waiting(); }

  private:
    explicit SyslogBackend(SyslogQueue queue) : queue_(std::move(queue)) {}

    SyslogQueue queue_;
    std::map<TargetId, TargetSpec> targets_;
};

}  // namespace bandd
