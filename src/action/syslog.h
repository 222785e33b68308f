// SPDX-License-Identifier: GPL-2.0-or-later
// Writes a line to syslog at a ban and at its end, as the seed's `logger -p local7.notice` did.
#pragma once

#include <map>

#include "action/backend.h"
#include "os/log.h"

namespace bandd {

class SyslogBackend : public Backend {
  public:
    explicit SyslogBackend(std::string socket = "/dev/log") : sender_(std::move(socket)) {}

    void set_targets(std::vector<TargetSpec> targets) override;
    Result<> prepare(TargetId) override { return {}; }
    void apply(std::span<const Order> orders, std::vector<Failure>& failed) override;
    bool enforces() const override { return false; }
    Result<> list(TargetId, const Visit&) override { return {}; }

  private:
    SyslogSender sender_;
    std::map<TargetId, TargetSpec> targets_;
};

}  // namespace bandd
