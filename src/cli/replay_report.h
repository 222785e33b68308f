// SPDX-License-Identifier: GPL-2.0-or-later
// What `bandctl replay` prints.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "control/protocol.h"
#include "core/decide/engine.h"
#include "core/match/scanner.h"

namespace bandd {

// How much of the logs was read, as a bar on standard error; silent if that is no terminal, and for
// the first 300 ms.
class Progress {
  public:
    Progress(std::uint64_t total, bool wanted);  // bytes
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    void show(std::uint64_t done);

  private:
    std::uint64_t total_;
    bool wanted_;
    std::chrono::steady_clock::time_point next_;
};

// Prints the engine's events one by one, then what they come to.
class ReplayReport {
  public:
    ReplayReport(const Engine& engine, bool json) : engine_(engine), json_(json) {}

    void tell(const Event& event);
    // `not_asked`: bans about which a live daemon would have asked somebody first.
    void summarize(const ScanCounts& counts, std::uint64_t not_asked, double seconds) const;

  private:
    void tell_ban(const Ban& ban, bool extended);
    void tell_account(const AccountOver& over) const;
    Json jails() const;

    const Engine& engine_;
    bool json_;
    std::map<std::string, std::map<std::string, std::size_t>> hits_;  // by jail and pattern
    std::map<std::string, std::size_t> bans_;                         // by jail
};

}  // namespace bandd
