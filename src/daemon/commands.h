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
#include "core/decide/decision.h"
#include "core/decide/engine.h"

namespace bandd {

class Checkpointer;
class Dispatch;
class Fleet;
class GeoDatabases;
class Log;
class Overrides;
class Pipeline;
class Slices;
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
    Overrides& overrides;
    Slices& slices;
    const Fleet* fleet;  // null: this machine is in none
    std::function<Status()> status;
    // The keys whose new values wait for a restart.
    std::function<Result<std::vector<std::string>>()> reload;
    // Puts `overrides`, of which limits or allowed addresses have changed, into force. Gives the
    // bans that were lifted for it.
    std::function<std::vector<Ban>()> renew_rules;
    // The same after a jail was stopped or started. An error: nothing was changed.
    std::function<Result<>()> renew_jails;
};

struct CommandRow {
    std::string_view name;
    // The answer; or nothing, and `reply` is called later, on the loop.
    std::function<std::optional<Json>(CommandParts& parts, const Json& arguments,
                                      const Reply& reply)>
        run;
    // What a person orders is in no log to be read again: it is written with the next turn, and
    // answered then. With "check" nothing is ordered; with "more" the next request goes on, and
    // its answer holds for this one.
    bool orders = false;
};

class Commands {
  public:
    explicit Commands(CommandParts parts);
    std::optional<Json> run(const std::string& name, const Json& arguments, const Reply& reply);

  private:
    CommandParts parts_;
    std::vector<std::span<const CommandRow>> tables_;
};

// The tables.
std::span<const CommandRow> ban_commands();
std::span<const CommandRow> history_commands();
std::span<const CommandRow> account_commands();
std::span<const CommandRow> override_commands();
std::span<const CommandRow> inherit_commands();
std::span<const CommandRow> fleet_commands();

// For the functions of the tables.
inline constexpr std::size_t most_in_an_answer = 10'000;  // bans, accounts
// "limit"; `otherwise` if it is not given.
std::size_t limit_argument(const Json& arguments, std::size_t otherwise = most_in_an_answer);
std::size_t number_argument(const Json& arguments, const char* name, std::size_t otherwise);
// "2d": so long ago. "2026-11-21": its midnight; without a zone, in this machine's.
Result<Instant> since_when(const std::string& text, Instant at);
// Ends bans, some in each turn: `each` is told of each, and `then` how many they were.
void lift_all(CommandParts& parts, const Engine::Lifting& lifting,
              std::function<void(const Ban&)> each, std::function<void(std::size_t)> then);
// Carries out many "orders", or the first of them: "done" says how many. The client sends the rest
// again, so that others have their turns meanwhile. `carry_out` does one, and gives why it cannot;
// these are "refused".
Json in_slice(const Json& arguments,
              const std::function<std::optional<Json>(const Json& order)>& carry_out);
Error no_such_jail(const CommandParts& parts, const std::string& name);
Result<JailIndex> find_jail(const CommandParts& parts, const std::string& name);

}  // namespace bandd
