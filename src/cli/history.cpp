// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include "cli/call.h"
#include "cli/output.h"

namespace bandd {
namespace {

struct Options {
    std::string ip, jail, since;
    std::size_t limit = 10'000;
};

int print_history(const Json& result) {
    const Json& bans = list(result, "bans");
    if (bans.empty() && !result.value("more", false)) {
        print_wrapped("nobody was banned\n");
        return exit_done;
    }
    std::vector<std::vector<std::string>> rows;
    for (const Json& ban : bans)
        rows.push_back({text(ban, "ip"), text(ban, "jail"), local_time(text(ban, "from")),
                        ban.contains("ended") ? local_time(text(ban, "ended")) : "still banned",
                        text(ban, "offence"), text(ban, "hits"), text(ban, "reason"),
                        ban.contains("ended") ? text(ban, "why") : "not yet"});
    print_table({"ADDRESS", "JAIL", "FROM", "TO", "BAN", "HITS", "REASON", "ENDED"}, rows,
                {"HITS", "BAN", "REASON", "TO"});
    if (result.contains("most") && result.value("more", false))
        print_wrapped("… and more: use --since, or an address\n");
    else
        print_rest(result, bans.size());
    return exit_done;
}

}  // namespace

Run history_command(CommandLine& line) {
    auto options = std::make_shared<Options>();
    line.text("ip", options->ip, "only of this address or CIDR block");
    line.text("-j,--jail", options->jail, "only of this jail");
    line.text("--since", options->since, "2d, 12h, or 2026-11-21[ 03:05:50]");
    line.number("--limit", options->limit, "show at most so many");
    return [options](const CommonOptions& common) -> int {
        if (!is_prefix(options->ip)) return exit_usage;
        return call(common, "history",
                    {{"ip", options->ip},
                     {"jail", options->jail},
                     {"since", options->since},
                     {"limit", options->limit}},
                    print_history);
    };
}

}  // namespace bandd
