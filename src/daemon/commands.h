// SPDX-License-Identifier: GPL-2.0-or-later
// bandctl's commands, as the daemon answers them. A new command is a function and its row in the
// table at the end of a commands_*.cpp (or of commands.cpp, for bandd itself).
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/protocol.h"
#include "core/base/result.h"

namespace bandd {

class Checkpointer;
class Dispatch;
class Engine;
class GeoDatabases;
class Log;
class Pipeline;
struct Config;
struct JailRules;
struct Status;

// What commands are carried out with.
struct CommandParts {
    const Config& config;
    Log& log;
    Engine& engine;
    Dispatch& dispatch;
    Pipeline& pipeline;
    const GeoDatabases& facts;
    Checkpointer& checkpointer;
    std::function<Status()> status;
    std::function<Result<>()> reload;
};

using CommandReply = std::function<void(const Json&)>;

struct CommandRow {
    std::string_view name;
    // The answer; or nothing, and `reply` is called later, on the loop.
    std::function<std::optional<Json>(CommandParts& parts, const Json& arguments,
                                      const CommandReply& reply)>
        run;
    // What a person orders is in no log to be read again: it is written with the next turn.
    bool writes = false;
};

class Commands {
  public:
    explicit Commands(CommandParts parts);
    std::optional<Json> run(const std::string& name, const Json& arguments,
                            const CommandReply& reply);

  private:
    CommandParts parts_;
    std::vector<std::span<const CommandRow>> tables_;
};

// The tables.
std::span<const CommandRow> ban_commands();
std::span<const CommandRow> history_commands();
std::span<const CommandRow> account_commands();

// For the functions of the tables.
inline constexpr std::size_t most_in_an_answer = 10'000;  // bans, accounts
// "limit"; `otherwise` if it is not given.
std::size_t limit_argument(const Json& arguments, std::size_t otherwise = most_in_an_answer);
Error no_such_jail(const std::string& name, const Engine& engine);
Error bad_address(const std::string& text);

}  // namespace bandd
