// SPDX-License-Identifier: GPL-2.0-or-later
// All sources together, as the pipeline reads them.
#pragma once

#include <memory>
#include <vector>

#include "source/journal_source.h"
#include "source/log_files.h"
#include "source/source.h"
#include "source/standard_input.h"
#include "source/syslog_source.h"

namespace bandd {

// Each function does what that of Source does, for all of them, in the order of the rows.
class Sources {
  public:
    Sources(Loop& loop, Source::OnError on_error);

    Result<> open(const Config& config, ListeningSockets& sockets, bool starting);
    Result<> start(const Config& config);
    // `numbers`: of the configuration's jails, in its order.
    void configure(const Config& config, std::span<const JailIndex> numbers, SavedSources saved,
                   Instant now);
    bool is_ready() const;
    void read(LineTaker& taker, Instant now);
    std::optional<Instant> reached() const;
    SourceChanges take_changes(Instant now);
    void mark_all_changed();
    std::optional<Instant> next_deadline() const;
    void on_time(Instant now);

    // For what only one of them has.
    const LogFiles& files() const { return *files_; }
    const JournalSource& journal() const { return *journal_; }
    const SyslogSource& syslog() const { return *syslog_; }
    StandardInput& standard_input() { return *standard_input_; }

  private:
    template <typename Kind, typename... Args>
    Kind* add(Args&&... args);

    std::vector<std::unique_ptr<Source>> all_;
    JournalSource* journal_;
    LogFiles* files_;
    SyslogSource* syslog_;
    StandardInput* standard_input_;
};

}  // namespace bandd
