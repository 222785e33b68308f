// SPDX-License-Identifier: GPL-2.0-or-later
// The source of lines that jails name with `logpath`: files, followed through their rotations.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "os/loop.h"
#include "source/source.h"

namespace bandd {

class LogFiles : public Source {
  public:
    LogFiles(Loop& loop, OnError on_error) : loop_(loop), on_error_(std::move(on_error)) {}
    ~LogFiles() override;

    Result<> start(const Config& config) override;
    void configure(const Config& config, std::span<const SourceJail> jails, SavedSources& saved,
                   Instant now) override;
    bool is_ready() const override { return watch_->is_ready(); }
    void read(LineTaker& taker, Instant now) override;
    std::optional<Instant> reached() const override { return watch_->reached(); }
    void take_changes(SourceChanges& changes, Instant now) override;
    void mark_all_changed() override { watch_->mark_all_changed(); }
    std::optional<Instant> next_deadline() const override { return watch_->next_deadline(); }

    // Once started.
    const Watch& watch() const { return *watch_; }
    // The numbers in Watch::logs() that a jail reads; empty if it reads none.
    const std::vector<std::size_t>& logs_of(JailIndex jail) const;

  private:
    const Audience& audience_of(const Reader& reader);

    Loop& loop_;
    OnError on_error_;
    std::unique_ptr<Watch> watch_;
    Fd mounts_;
    std::map<std::size_t, std::set<JailIndex>> jails_of_log_;
    std::map<JailIndex, std::vector<std::size_t>> logs_of_jail_;
    std::map<std::set<std::size_t>, Audience> audiences_;  // by Reader::logs
};

}  // namespace bandd
