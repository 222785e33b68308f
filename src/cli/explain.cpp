// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include "cli/call.h"
#include "cli/output.h"
#include "cli/remote.h"
#include "core/base/printable.h"

namespace bandd {
namespace {

void print_matches(const Json& with_matches) {
    for (const Json& match : list(with_matches, "matches"))
        fmt::print("      {}  {}  {}\n", local_time(text(match, "time")), text(match, "pattern"),
                   text(match, "line"));
}

void print_ban(const Json& ban) {
    std::string until = text(ban, "until");
    print_wrapped("  {} is banned ({}), {} to {}\n", text(ban, "ip"), text(ban, "state"),
                  local_time(text(ban, "from")), until.empty() ? "ever" : local_time(until));
    // Of failures by weights, the reason tells.
    std::string hits = ban.value("weighed", false) ? "" : count(ban, "hits", "hit") + "; ";
    print_wrapped("    reason: {}; {}ban number {}\n", text(ban, "reason"), hits,
                  text(ban, "offence"));
    const Json fields = ban.value("fields", Json::object());
    for (const auto& [name, value] : fields.items())
        print_wrapped("    {}: {}\n", name, printable(value.get<std::string>()));
    if (ban.value("even_if_ignored", false))
        print_wrapped("    it was made with --force, so ignoreip does not lift it\n");
    print_matches(ban);
}

void print_wider(const Json& wider) {
    const Json& offenders = list(wider, "offenders");
    std::string names;
    for (const Json& offender : offenders)
        names += (names.empty() ? "" : ", ") + offender.get<std::string>();
    print_wrapped("  {} has {} of {} offenders in {}: {}\n", text(wider, "prefix"),
                  offenders.size(), text(wider, "needed"), text(wider, "findtime"), names);
    if (wider.contains("never")) print_wrapped("    never banned: {}\n", text(wider, "never"));
}

void print_inside(const Json& inside) {
    const Json& bans = list(inside, "bans");
    std::string names;
    for (const Json& one : bans) names += (names.empty() ? "" : ", ") + one.get<std::string>();
    std::size_t banned = inside.value("banned", std::size_t{0});
    if (banned > bans.size()) names += ", … (bandctl bans --within shows all)";
    if (banned > 0) print_wrapped("  {} within it: {}\n", count_of(banned, "ban"), names);
    if (inside.value("counting", 0) > 0)
        print_wrapped("  {} within it counted so far\n", count(inside, "counting", "offender"));
}

void print_jail(const Json& jail) {
    print_wrapped("{}\n", bold("jail " + text(jail, "jail")));
    if (jail.contains("where"))
        print_wrapped("  its hits do not count: not true of it is {}\n", text(jail, "where"));
    if (jail.contains("ignored")) print_wrapped("  never banned: {}\n", text(jail, "ignored"));
    if (auto lifted = jail.find("lifted"); lifted != jail.end())
        print_wrapped("  the ban of {} since {} was lifted for that at {}; its reason: {}\n",
                      text(*lifted, "ip"), local_time(text(*lifted, "from")),
                      local_time(text(*lifted, "at")), text(*lifted, "reason"));
    for (const Json& ban : list(jail, "bans")) print_ban(ban);
    for (const Json& ports : list(jail, "ports"))
        print_wrapped("  its bans close ports {}\n", ports.get<std::string>());
    if (auto counted = jail.find("counted"); counted != jail.end()) {
        print_wrapped("  {} has {} of {} {} in {}\n", text(*counted, "as"), text(*counted, "hits"),
                      text(*counted, "maxretry"), text(*counted, "of"), text(*counted, "findtime"));
        print_matches(*counted);
    }
    for (const Json& wider : list(jail, "wider")) print_wider(wider);
    if (auto inside = jail.find("inside"); inside != jail.end()) print_inside(*inside);
    if (auto earlier = jail.find("earlier"); earlier != jail.end())
        print_wrapped(
            "  banned {} so far, which is remembered {}\n", count(*earlier, "bans", "time"),
            text(*earlier, "until").empty() ? "for ever"
                                            : "until " + local_time(text(*earlier, "until")));
}

int print_explained(const Json& result) {
    if (auto origin = result.find("origin"); origin != result.end()) print_origin(*origin);
    print_geoblocks(result);
    const Json& jails = list(result, "jails");
    if (jails.empty()) print_wrapped("no jail knows anything of {}\n", text(result, "ip"));
    for (const Json& jail : jails) print_jail(jail);
    return exit_done;
}

}  // namespace

Run explain_command(CommandLine& line) {
    auto ip = std::make_shared<std::string>();
    line.text("ip", *ip, "address or CIDR block", Must::be_given);
    return [ip](const CommonOptions& common) -> int {
        if (!is_prefix(*ip)) return exit_usage;
        if (!common.remote.host.empty()) return call_remote(common, "check", *ip);
        return call(common, "explain", {{"ip", *ip}}, print_explained);
    };
}

}  // namespace bandd
