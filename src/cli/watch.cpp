// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include "cli/call.h"
#include "cli/output.h"

namespace bandd {
namespace {

// What of an event is shown after its time, kind, address and jail.
std::string rest_of(const Json& event, const std::string& kind) {
    if (kind.starts_with("log-on") || kind == "account")
        return fmt::format("{} {} {}", text(event, "user"), text(event, "country"),
                           text(event, "reason"));
    if (kind == "found")
        return fmt::format("{}, pattern {}", count(event, "hits", "hit"), text(event, "pattern"));
    if (kind == "ignored" || kind == "unban") return text(event, "why");
    return fmt::format("until {}, reason {}", local_time(text(event, "until")),
                       text(event, "reason"));
}

void print_event(const Json& event) {
    std::string kind = text(event, "kind");
    std::string when = text(event, event.contains("time") ? "time" : "from");
    std::string padded = fmt::format("{:<9}", kind);
    if (kind == "ban") padded = red(padded);
    if (kind == "unban") padded = green(padded);
    fmt::print("{}  {}  {:<15}  {}  {}\n", local_time(when), padded, text(event, "ip"),
               text(event, "jail"), rest_of(event, kind));
}

int watch(const CommonOptions& common) {
    auto watching = begin_call(common, "watch", Json::object());
    if (!watching) return watching.error();
    watching->client.wait_for_ever();
    if (!common.json) fmt::print(stderr, "watching for hits, bans and unbans; Ctrl-C ends it\n");
    while (true) {
        auto reply = watching->client.receive();
        if (!reply) {
            print_error(reply.error());
            return exit_no_daemon;
        }
        const Json event = reply->value("event", Json::object());
        if (common.json)
            print_json(event);
        else
            print_event(event);
        flush_output();
    }
}

}  // namespace

Run watch_command(CommandLine&) { return watch; }

}  // namespace bandd
