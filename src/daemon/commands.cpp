// SPDX-License-Identifier: GPL-2.0-or-later
// Finds a command, and has the commands that are about bandd itself.
#include "daemon/commands.h"

#include <algorithm>
#include <array>

#include "config/types.h"
#include "core/base/suggest.h"
#include "core/decide/engine.h"
#include "daemon/checkpointer.h"
#include "daemon/overrides.h"
#include "daemon/status.h"
#include "os/clock.h"

namespace bandd {
namespace {

// What bandctl changed of a jail, and what its files say.
Json changed_of(const Overrides& overrides, const std::string& jail) {
    Json changed = Json::object();
    const Overrides::Limits* limits = overrides.limits(jail);
    const JailConfig* loaded = overrides.loaded_jail(jail);
    if (limits == nullptr || loaded == nullptr) return changed;
    const JailRules& rules = loaded->rules;
    if (limits->maxretry) changed["maxretry"] = rules.maxretry;
    if (limits->bantime) changed["bantime"] = format_duration(rules.bantime.base);
    if (limits->findtime)
        changed["findtime"] = rules.today ? "today" : format_duration(rules.findtime);
    return changed;
}

void add_overrides(Json& status, const Overrides& overrides, const std::string& only) {
    for (Json& jail : status["jails"])
        if (Json changed = changed_of(overrides, jail["jail"]); !changed.empty())
            jail["configured"] = std::move(changed);
    for (const auto& [name, limits] : overrides.all_limits())
        if (limits.stopped && overrides.loaded_jail(name) != nullptr &&
            (only.empty() || only == name))
            status["stopped"].push_back(name);
    if (!overrides.allowed().empty()) status["allowed"] = overrides.allowed().size();
}

Json status(CommandParts& parts, const Json& arguments, const Reply&) {
    std::string jail = text_argument(arguments, "jail");
    const Overrides::Limits* limits = parts.overrides.limits(jail);
    bool stopped = limits != nullptr && limits->stopped;
    if (!jail.empty() && !stopped && !parts.engine.find_jail(jail))
        return failure(no_such_jail(parts, jail));
    Json json = status_to_json(parts.status(), jail);
    add_overrides(json, parts.overrides, jail);
    return success(std::move(json));
}

Json version(CommandParts& parts, const Json&, const Reply&) {
    return success({{"version", BANDD_VERSION},
                    {"protocol", protocol_version},
                    {"config", parts.config.file}});
}

// The server remembers who watches; see Announcer for what they hear.
Json watch(CommandParts&, const Json&, const Reply&) { return success("watching"); }

Json reload(CommandParts& parts, const Json&, const Reply&) {
    auto done = parts.reload();
    if (!done) return failure(done.error(), exit_usage);
    Json result{{"jails", parts.config.jails.size()}};
    if (!done->empty()) result["needs_restart"] = *done;
    return success(std::move(result));
}

const std::array daemon_commands{
    CommandRow{"status", status},
    CommandRow{"version", version},
    CommandRow{"watch", watch},
    CommandRow{"reload", reload},
};

bool is_set(const Json& arguments, const char* name) {
    return arguments.value(name, Json(false)) == true;
}

// An order holds from the answer on, whatever happens to this machine; or the answer says that it
// does not.
Reply when_saved(Checkpointer& checkpointer, const Reply& reply) {
    return Reply([&checkpointer, reply](std::string line) {
        checkpointer.when_written(
            now(), [reply, line = std::move(line)](const std::optional<Error>& why_not) mutable {
                if (why_not) add_unsaved(line, *why_not);
                reply.line(std::move(line));
            });
    });
}

}  // namespace

Commands::Commands(CommandParts parts)
    : parts_(std::move(parts)),
      tables_{daemon_commands,     ban_commands(),     history_commands(), account_commands(),
              override_commands(), inherit_commands(), fleet_commands()} {}

std::optional<Json> Commands::run(const std::string& name, const Json& arguments,
                                  const Reply& reply) {
    for (std::span<const CommandRow> table : tables_) {
        auto row = std::ranges::find(table, name, &CommandRow::name);
        if (row == table.end()) continue;
        if (!row->orders || is_set(arguments, "check")) return row->run(parts_, arguments, reply);
        parts_.checkpointer.write_for_good();
        if (is_set(arguments, "more")) return row->run(parts_, arguments, reply);
        Reply once_saved = when_saved(parts_.checkpointer, reply);
        auto answer = row->run(parts_, arguments, once_saved);
        if (!answer || !answer->value("ok", false)) return answer;
        once_saved(*answer);
        return {};
    }
    return failure({"command \"" + name + "\"", "there is no such command", "see bandctl help", {}},
                   exit_usage);
}

Result<JailIndex> find_jail(const CommandParts& parts, const std::string& name) {
    if (auto jail = parts.engine.find_jail(name)) return *jail;
    return std::unexpected(no_such_jail(parts, name));
}

std::size_t limit_argument(const Json& arguments, std::size_t otherwise) {
    return number_argument(arguments, "limit", otherwise);
}

std::size_t number_argument(const Json& arguments, const char* name, std::size_t otherwise) {
    auto given = arguments.find(name);
    if (given == arguments.end() || !given->is_number_unsigned()) return otherwise;
    return given->get<std::size_t>();
}

Error no_such_jail(const CommandParts& parts, const std::string& name) {
    if (const auto* limits = parts.overrides.limits(name); limits != nullptr && limits->stopped)
        return {"jail \"" + name + "\"", "it is stopped", "bandctl start " + name, {}};
    std::vector<std::string_view> names;
    for (const JailConfig& jail : parts.overrides.loaded().jails) names.push_back(jail.rules.name);
    return {"jail \"" + name + "\"", "there is no such jail", did_you_mean(name, names), {}};
}

}  // namespace bandd
