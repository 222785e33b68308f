// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/logins.h"

#include <algorithm>

#include "config/types.h"
#include "core/decide/engine.h"
#include "daemon/announcer.h"
#include "daemon/pipeline.h"
#include "os/log.h"
#include "programs/arguments.h"
#include "programs/programs.h"

namespace bandd {
namespace {

TagValues values_of(const AccountOver& over, const ConfiguredProgram& program) {
    const TagValues all{{"user", over.user},
                        {"ip", to_string(over.address)},
                        {"country", over.country},
                        {"countries", std::to_string(over.countries)},
                        {"addresses", std::to_string(over.addresses)},
                        {"reason", over.reason}};
    TagValues values;
    for (const std::string& tag : tags_of(program)) {
        auto known = std::ranges::find(all, tag, &TagValues::value_type::first);
        auto kind = *tag_kind(program.tags, tag);
        std::string value = kind == TagKind::text ? as_value(kind, known->second) : known->second;
        // A database may call a country anything.
        if (kind == TagKind::country && !is_value(kind, value)) value.clear();
        values.emplace_back(tag, std::move(value));
    }
    return values;
}

}  // namespace

Decision Logins::decide(const LoginRequest& request) {
    Outcome outcome;
    Decision decision = parts_.engine.on_login(request, outcome);
    if (decision.permit != Permit::yes || !request.asks_only)
        parts_.announcer.tell_login(request, decision);
    parts_.pipeline.put(outcome, request.at);
    parts_.changed();
    return decision;
}

Origin Logins::on_failed_password(const LoginRequest& request) {
    Origin origin = parts_.facts.origin(request.address);
    parts_.announcer.tell_failed_password(request, origin);
    Outcome outcome;
    parts_.engine.on_failed_login(request, "password", outcome);
    parts_.pipeline.put(outcome, request.at);
    return origin;
}

void Logins::run_action(const AccountOver& over) {
    const ProgramConfig& action = parts_.config.access.action;
    if (action.argv.empty() || over.simulated) return;
    std::string program = action.argv.front();
    auto say = [this](const Error& error) { parts_.log.put(Severity::error, to_line(error)); };
    if (running_ >= most_actions)
        return say({program, "is not run: too many of them are running", {}, {}});
    auto on_end = [this, say, program](const ProgramResult& result, Instant) {
        --running_;
        if (!result.ok) say({program, result.message, {}, {}});
    };
    ConfiguredProgram configured = account_program(parts_.config.access);
    auto started = parts_.programs.run(configured, values_of(over, configured), on_end);
    if (!started) return say(started.error());
    ++running_;
}

}  // namespace bandd
