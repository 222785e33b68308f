// SPDX-License-Identifier: GPL-2.0-or-later
// Says what is wrong with logs that jails read, once for each change: a log that is missing, cannot
// be read, or can be read again.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "core/base/instant.h"
#include "os/log.h"

namespace bandd {

class Engine;
class Log;
class LogFiles;
struct Lines;

class LogHealth {
  public:
    // All of these outlive it.
    LogHealth(Log& log, const LogFiles& files, const Engine& engine)
        : log_(log), files_(files), engine_(engine) {}

    // After a start or a reload, when a missing log is worth a warning.
    void say_all();
    // In every turn; costs nothing while Watch has nothing new.
    void say_changes();
    // The dates of a log are off, or are so no more. Of one log once an hour, as whoever can write
    // its dates could have it said again and again. What is to be said once the state has it: what
    // a log tells of is still known after a kill.
    struct News {
        Severity severity = Severity::notice;
        std::string text;
    };
    std::optional<News> clock_news(const Lines& lines, Instant now);
    // Hits that were too old when they were written. Some are what a log's clock is learned by, and
    // some programs date a request by its beginning; many are said, once a day for each log.
    static constexpr std::uint64_t many_old = 20;  // within an hour
    void count_old(const Lines& lines, std::uint64_t count, Instant now);
    // Lines that a PCRE2 pattern of their jails was given up on. Said once a day for each source.
    void count_given_up(const Lines& lines, std::uint64_t count, Instant now);

  private:
    static constexpr std::size_t most_logs = 10'000;  // of which it is known what was said
    struct OldHits {
        Instant since;
        std::uint64_t count = 0;
        std::optional<Instant> said;
    };
    void look(bool starting);
    std::string jails_of(const Lines& lines) const;
    std::map<std::string, std::string> find_problems() const;

    Log& log_;
    const LogFiles& files_;
    const Engine& engine_;
    std::uint64_t version_ = 0;                    // of Watch, when it was last looked at
    std::map<std::string, std::string> problems_;  // by path; empty: the log does not exist
    std::map<std::string, Instant, std::less<>> clock_said_;
    std::map<std::string, OldHits, std::less<>> old_hits_;
    std::map<std::string, Instant, std::less<>> given_up_said_;
    std::set<std::string> said_;  // paths said of louder than `info`
};

}  // namespace bandd
