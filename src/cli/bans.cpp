// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include "cli/call.h"
#include "cli/output.h"
#include "os/clock.h"

namespace bandd {
namespace {

struct Options {
    std::string jail, prefix, sort = "from";
    std::size_t limit = 10'000;
};

int print_bans(const Json& result) {
    const Json& bans = list(result, "bans");
    if (bans.empty()) {
        fmt::print("nobody is banned\n");
        return exit_done;
    }
    std::vector<std::vector<std::string>> rows;
    Instant at = now();
    for (const Json& ban : bans) {
        std::string state = text(ban, "state");
        if (state == "pending") state = yellow(state);
        rows.push_back({text(ban, "ip"), text(ban, "jail"), state, local_time(text(ban, "from")),
                        local_time(text(ban, "until")), relative_time(text(ban, "until"), at),
                        text(ban, "hits"), text(ban, "reason")});
    }
    print_table({"ADDRESS", "JAIL", "STATE", "FROM", "UNTIL", "LEFT", "HITS", "REASON"}, rows);
    print_rest(result, bans.size());
    return exit_done;
}

}  // namespace

Run bans_command(CommandLine& line) {
    auto options = std::make_shared<Options>();
    line.text("-j,--jail", options->jail, "only of this jail");
    line.text("-p,--prefix", options->prefix, "only within this CIDR block");
    line.choice("--sort", options->sort, {"from", "until", "ip", "jail", "hits"},
                "from, until, ip, jail or hits");
    line.number("--limit", options->limit, "show at most so many");
    return [options](const CommonOptions& common) -> int {
        if (!is_prefix(options->prefix)) return exit_usage;
        return call(common, "bans",
                    {{"jail", options->jail},
                     {"prefix", options->prefix},
                     {"sort", options->sort},
                     {"limit", options->limit}},
                    print_bans);
    };
}

}  // namespace bandd
