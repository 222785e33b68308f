// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/replay_report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "cli/filters.h"
#include "cli/output.h"
#include "core/base/printable.h"

namespace bandd {
namespace {

const char* kind_of(const Ban& ban, bool extended) {
    if (extended) return "extended";
    return ban.state == BanState::simulated ? "would-ban" : "ban";
}

Json ban_to_json(const Ban& ban, const std::string& jail, bool extended) {
    // Set one by one: of a list of lists each text would be copied once more.
    Json json = Json::object();
    json["kind"] = kind_of(ban, extended);
    json["ip"] = to_string(ban.key.prefix);
    json["jail"] = jail;
    json["from"] = format_rfc3339(ban.from);
    json["until"] = ban.until == never ? "never" : format_rfc3339(ban.until);
    json["hits"] = ban.hits;
    json["offence"] = ban.offence;
    json["reason"] = ban.story->reason;
    if (extended) return json;
    Json& fields = json["fields"] = Json::object();
    for (const auto& [name, value] : ban.story->fields) fields[name] = value;
    Json& matches = json["matches"] = Json::array();
    for (const Match& match : ban.story->matches) {
        Json& one = matches.emplace_back(Json::object());
        one["time"] = format_rfc3339(match.time);
        one["pattern"] = match.pattern;
        one["line"] = match.line;
    }
    return json;
}

void print_ban(const Ban& ban, const std::string& jail, bool extended) {
    std::string from = local_time(format_rfc3339(ban.from));
    std::string until = "for ever";
    if (ban.until != never)
        until = fmt::format("until {} ({})", local_time(format_rfc3339(ban.until)),
                            format_duration(ban.until - ban.from));
    if (extended) {
        print_wrapped("{}  extended {}  {}  {}\n", from, to_string(ban.key.prefix), jail, until);
        return;
    }
    print_wrapped("{}  {} {}  {}  {}, ban number {}\n", from,
                  ban.state == BanState::simulated ? yellow("would ban") : red("ban"),
                  bold(to_string(ban.key.prefix)), jail, until, ban.offence);
    const auto& matches = ban.story->matches;
    if (matches.empty() || ban.story->reason != matches.back().pattern)
        print_wrapped("    {}\n", printable(ban.story->reason));
    for (const Match& match : ban.story->matches)
        fmt::print("    {}: {}\n", match.pattern, printable(match.line));
}

}  // namespace

void ReplayReport::tell(const Event& event) {
    if (const auto* found = std::get_if<Found>(&event))
        ++hits_[engine_.rules(found->jail).name][found->pattern];
    else if (const auto* over = std::get_if<AccountOver>(&event))
        tell_account(*over);
    else if (const auto* banned = std::get_if<Banned>(&event))
        tell_ban(banned->ban, false);
    else if (const auto* extended = std::get_if<Extended>(&event))
        tell_ban(extended->ban, true);
}

void ReplayReport::warn(const std::string& text) const {
    if (json_)
        print_json({{"kind", "warning"}, {"text", text}});
    else
        print_wrapped("{} {}\n", yellow("warning:"), text);
}

void ReplayReport::tell_ban(const Ban& ban, bool extended) {
    const std::string& jail = engine_.rules(ban.key.jail).name;
    if (!extended) ++bans_[jail];
    if (json_)
        print_json(ban_to_json(ban, jail, extended));
    else
        print_ban(ban, jail, extended);
}

void ReplayReport::tell_account(const AccountOver& over) const {
    if (json_)
        print_json({{"kind", "account"},
                    {"user", over.user},
                    {"reason", over.reason},
                    {"ip", to_string(over.address)},
                    {"country", over.country},
                    {"time", format_rfc3339(over.time)}});
    else
        print_wrapped("{}  {} account {} has {}, the last from {} ({})\n",
                      local_time(format_rfc3339(over.time)), red("would refuse"),
                      printable(over.user), over.reason, to_string(over.address), over.country);
}

// Of the jails that had something to do.
Json ReplayReport::jails() const {
    Json jails = Json::object();
    for (JailIndex number : engine_.jails()) {
        const JailCounts& counts = engine_.counts(number);
        const std::string& name = engine_.rules(number).name;
        if (counts.hits == 0 && counts.ignored == 0) continue;
        auto bans = bans_.find(name);
        auto hits = hits_.find(name);
        Json& jail = jails[name];
        jail["bans"] = bans == bans_.end() ? 0 : bans->second;
        jail["hits"] = counts.hits;
        jail["ignored"] = counts.ignored;
        jail["patterns"] = hits == hits_.end() ? Json::object() : Json(hits->second);
        auto configured = std::ranges::find(config_.jails, name, [](const JailConfig& one) {
            return std::string_view(one.rules.name);
        });
        if (configured == config_.jails.end()) continue;
        if (std::string use = pattern_use(*configured); !use.empty()) jail["uses"] = use;
    }
    return jails;
}

void ReplayReport::summarize(const ScanCounts& counts, std::uint64_t not_asked,
                             double seconds) const {
    auto speed =
        static_cast<std::uint64_t>(static_cast<double>(counts.lines) / std::max(seconds, 1e-6));
    Json jails = this->jails();
    std::size_t bans = 0;
    for (const auto& [name, of_jail] : bans_) bans += of_jail;
    if (json_) {
        print_json({{"summary",
                     {{"bans", bans},
                      {"lines", counts.lines},
                      {"jails", jails},
                      {"undated", counts.undated},
                      {"candidates", counts.candidates},
                      {"names", engine_.hits_of_names()},
                      {"not_asked", not_asked},
                      {"seconds", seconds},
                      {"lines_per_second", speed}}}});
        return;
    }
    print_wrapped("\n");
    for (const auto& [name, jail] : jails.items()) {
        print_wrapped("{}: {}, {}, {} ignored\n", bold(name), count(jail, "bans", "ban"),
                      count(jail, "hits", "hit"), text(jail, "ignored"));
        if (jail.contains("uses")) print_wrapped("  patterns: {}\n", text(jail, "uses"));
        for (const auto& [pattern, hits] : jail["patterns"].items())
            print_wrapped("  {:>7}  {}\n", hits.get<std::size_t>(), pattern);
    }
    if (counts.undated > 0)
        print_wrapped("{} without a date counted as now: see \"timezone\" and \"datepattern\"\n",
                      count_of(counts.undated, "hit"));
    if (engine_.hits_of_names() > 0)
        print_wrapped("{} of host names, which a replay does not look up\n",
                      count_of(engine_.hits_of_names(), "hit"));
    if (not_asked > 0)
        print_wrapped("{} would have been asked about first (ignorecommand, host names)\n",
                      count_of(not_asked, "hit"));
    print_wrapped("{}\n", bans == 0 ? "nobody would have been banned"
                                    : count_of(bans, "ban") + " would have been made");
    print_wrapped("{} in {:.1f} s, {} lines/s\n", count_of(counts.lines, "line"), seconds, speed);
}

}  // namespace bandd
