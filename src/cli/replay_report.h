// SPDX-License-Identifier: GPL-2.0-or-later
// What `bandctl replay` prints.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "config/types.h"
#include "control/protocol.h"
#include "core/decide/engine.h"
#include "core/match/scanner.h"

namespace bandd {

// Prints the engine's events one by one, then what they come to.
class ReplayReport {
  public:
    // Both are looked at when something is told.
    ReplayReport(const Engine& engine, const Config& config, bool json)
        : engine_(engine), config_(config), json_(json) {}

    void tell(const Event& event);
    void warn(const std::string& text) const;
    // `not_asked`: bans about which a live daemon would have asked somebody first.
    void summarize(const ScanCounts& counts, std::uint64_t not_asked, double seconds) const;

  private:
    void tell_ban(const Ban& ban, bool extended);
    void tell_account(const AccountOver& over) const;
    Json jails() const;

    const Engine& engine_;
    const Config& config_;
    bool json_;
    std::map<std::string, std::map<std::string, std::size_t>> hits_;  // by jail and pattern
    std::map<std::string, std::size_t> bans_;                         // by jail
};

}  // namespace bandd
