// SPDX-License-Identifier: GPL-2.0-or-later
// The source of lines that jails take from the systemd journal: one reader for all of them.
#pragma once

#include <map>

#include "os/loop.h"
#include "source/journal.h"
#include "source/source.h"

namespace bandd {

class JournalSource : public Source {
  public:
    JournalSource(Loop& loop, OnError on_error) : loop_(loop), on_error_(std::move(on_error)) {}
    ~JournalSource() override { close(); }

    // What could not be opened is said, and shown by `status`.
    void configure(const Config& config, std::span<const SourceJail> jails, SavedSources& saved,
                   Instant now) override;
    bool is_ready() const override { return more_; }
    void read(LineTaker& taker, Instant now) override;
    std::optional<Instant> reached() const override;
    void take_changes(SourceChanges& changes, Instant now) override;

    struct Status {
        std::uint64_t entries = 0;
        std::optional<Error> error;
    };
    // Empty if the jail does not read the journal.
    std::optional<Status> status(JailIndex jail) const;

  private:
    void open_journal(std::size_t line_limit, const std::string& cursor, Instant since);
    void close();
    const Audience& audience_of(const std::vector<std::size_t>& wants);
    // After the last entry that was handed on; empty without a journal.
    std::string cursor() const { return journal_ ? journal_->cursor() : cursor_; }

    Loop& loop_;
    OnError on_error_;
    std::optional<Journal> journal_;
    std::optional<Error> error_;
    std::vector<JournalSpec> wants_;
    std::vector<std::vector<JailIndex>> jails_of_want_;
    std::map<JailIndex, LogSpec> options_;                    // of the jails that read it
    std::map<std::vector<std::size_t>, Audience> audiences_;  // by wants
    std::string cursor_;                                      // while it is not open
    std::optional<Backlog> backlog_;
    bool more_ = false;
};

}  // namespace bandd
