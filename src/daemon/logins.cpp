// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/logins.h"

#include <algorithm>
#include <array>

#include "config/types.h"
#include "core/decide/engine.h"
#include "daemon/announcer.h"
#include "daemon/pipeline.h"
#include "daemon/programs.h"
#include "os/log.h"

namespace bandd {
namespace {

// <user>, <ip> … in an argument of a program. Each tag once, from left to right, so that a tag
// within a name is not replaced.
std::string replace_account_tags(std::string_view text, const AccountOver& over) {
    const std::array<std::pair<std::string_view, std::string>, 6> tags{
        {{"<user>", over.user},
         {"<ip>", to_string(over.address)},
         {"<country>", over.country},
         {"<countries>", std::to_string(over.countries)},
         {"<addresses>", std::to_string(over.addresses)},
         {"<reason>", over.reason}}};
    std::string out;
    while (!text.empty()) {
        auto tag =
            std::ranges::find_if(tags, [&](const auto& t) { return text.starts_with(t.first); });
        if (tag == tags.end()) {
            out += text.front();
            text.remove_prefix(1);
        } else {
            // A program must get each argument whole: NUL would end it.
            for (char c : tag->second)
                if (c != '\0') out += c;
            text.remove_prefix(tag->first.size());
        }
    }
    return out;
}

std::string_view pattern_of(const Decision& decision) {
    return decision.permit == Permit::country ? "country" : "account";
}

}  // namespace

Decision Logins::decide(const LoginRequest& request) {
    Outcome outcome;
    Decision decision = parts_.engine.on_login(request, outcome);
    if (decision.permit != Permit::yes && !request.again)
        parts_.engine.on_failed_login(request, pattern_of(decision), outcome);
    parts_.announcer.tell_login(request, decision);
    parts_.pipeline.put(outcome, request.at);
    parts_.changed();
    return decision;
}

void Logins::on_failed_password(const LoginRequest& request) {
    parts_.announcer.tell_failed_password(request, parts_.facts.origin(request.address));
    Outcome outcome;
    parts_.engine.on_failed_login(request, "password", outcome);
    parts_.pipeline.put(outcome, request.at);
}

void Logins::run_action(const AccountOver& over) {
    const ProgramConfig& action = parts_.config.access.action;
    if (action.argv.empty()) return;
    std::string program = action.argv.front();
    std::vector<std::string> argv{program};
    for (std::size_t i = 1; i < action.argv.size(); ++i)
        argv.push_back(replace_account_tags(action.argv[i], over));
    auto say = [this](const Error& error) { parts_.log.put(Severity::error, to_line(error)); };
    if (running_ >= most_actions)
        return say({program, "is not run: too many of them are running", {}, {}});
    auto on_end = [this, say, program](const SpawnResult& result, Instant) {
        --running_;
        if (!result.ok) say({program, result.message, {}, {}});
    };
    if (auto started = parts_.programs.run(std::move(argv), action, on_end); !started)
        return say(started.error());
    ++running_;
}

}  // namespace bandd
