// SPDX-License-Identifier: GPL-2.0-or-later
// Says what is wrong with logs that jails read, once for each change: a log that is missing, cannot
// be read, or can be read again.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace bandd {

class Engine;
class Log;
class LogFiles;

class LogHealth {
  public:
    // All of these outlive it.
    LogHealth(Log& log, const LogFiles& files, const Engine& engine)
        : log_(log), files_(files), engine_(engine) {}

    // After a start or a reload, when a missing log is worth a warning.
    void say_all();
    // In every turn; costs nothing while Watch has nothing new.
    void say_changes();

  private:
    void look(bool starting);
    std::map<std::string, std::string> find_problems() const;

    Log& log_;
    const LogFiles& files_;
    const Engine& engine_;
    std::uint64_t version_ = 0;                    // of Watch, when it was last looked at
    std::map<std::string, std::string> problems_;  // by path; empty: the log does not exist
    std::set<std::string> said_;                   // paths said of louder than `info`
};

}  // namespace bandd
