// SPDX-License-Identifier: GPL-2.0-or-later
// Lines that come from no file: the journal, and syslog messages from elsewhere. On the loop.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/pipeline.h"
#include "os/loop.h"
#include "source/journal.h"
#include "source/syslog_listener.h"

namespace bandd {

class Streams {
  public:
    using OnError = std::function<void(const Error&)>;
    Streams(OnError on_error) : on_error_(std::move(on_error)) {}

    // Opens what is not open yet and closes what nobody wants any more. Call it before rights are
    // dropped; later on, only Unix sockets can be opened.
    Result<> listen(const Config& config, bool starting);
    // Who reads what, on a loop from now on; a journal goes on behind `cursor`, if that is given.
    void configure(const Config& config, Loop& loop, Pipeline& pipeline, const std::string& cursor,
                   Instant now);

    // From now on, jails that want it read standard input. `on_end`: nothing comes any more.
    void read_stdin(std::function<void()> on_end) { on_stdin_end_ = std::move(on_end); }

    // Behind the last entry that was handed on; empty without a journal.
    std::string journal_cursor() const { return journal_ ? journal_->cursor() : cursor_; }
    // Entries wait that `on_turn` is to read.
    bool busy() const { return more_ || stdin_ready_; }
    void on_turn(Instant now);

    // For `status`.
    struct JournalStatus {
        std::uint64_t entries = 0;
        std::optional<Error> error;
    };
    std::optional<JournalStatus> journal(JailIndex jail) const;
    std::vector<const SyslogListener*> listeners(JailIndex jail) const;

  private:
    struct Believer {
        JailIndex jail = 0;
        PrefixSet from;
    };
    struct Listening {
        SyslogListener listener;
        std::vector<Believer> jails;
        PrefixSet believed;  // by any of them
    };
    void read_journal(Instant now);
    void read_stdin_now(Instant now);
    void read_listener(Listening& listening, int fd);

    OnError on_error_;
    Loop* loop_ = nullptr;
    Pipeline* pipeline_ = nullptr;
    std::map<ListenAddress, std::unique_ptr<Listening>> listening_;
    std::optional<Journal> journal_;
    std::optional<Error> journal_error_;
    std::vector<JournalSpec> wants_;
    std::vector<std::vector<JailIndex>> jails_of_want_;
    std::string cursor_;                  // of a journal that could not be opened
    std::function<void()> on_stdin_end_;  // empty: standard input is not read
    std::vector<JailIndex> stdin_jails_;
    std::string stdin_rest_;  // a line that is not whole yet
    bool stdin_ready_ = false;
    bool stdin_watched_ = false;
    bool stdin_is_file_ = false;  // always ready; epoll does not take it
    std::size_t line_limit_ = 65536;
    bool backlog_ = false;
    bool more_ = false;
};

}  // namespace bandd
