// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include "cli/call.h"
#include "cli/output.h"
#include "cli/remote.h"

namespace bandd {
namespace {

struct Options {
    std::string ip, jail, bantime, reason;
    bool force = false;
};

int print_ban(const Json& ban) {
    std::string state = text(ban, "state");
    std::string until = text(ban, "until");
    fmt::print("{} {} in jail {}, {}\n", text(ban, "ip"),
               state == "active"      ? "is banned"
               : state == "simulated" ? "would be banned (simulate)"
                                      : "will be banned",
               text(ban, "jail"), until.empty() ? "for ever" : "until " + local_time(until));
    if (ban.contains("error")) fmt::print("{}\n", yellow("pending: " + text(ban, "error")));
    return state == "pending" || ban.contains("error") ? exit_said_no : exit_done;
}

int ban_there(const CommonOptions& common, const Options& options) {
    if (!options.jail.empty() || options.force) return refuse_for_remote();
    return call_remote(common, "add", options.ip, {options.bantime, options.reason});
}

}  // namespace

Run ban_command(CommandLine& line) {
    auto options = std::make_shared<Options>();
    line.text("ip", options->ip, "address or CIDR block", Must::be_given);
    line.text("-j,--jail", options->jail, "with this jail's actions (default: manual)");
    line.text("--for", options->bantime, "10m, 2h, 1d12h, forever (default: the jail's bantime)");
    line.text("-r,--reason", options->reason, "kept with the ban");
    line.flag("--force", options->force, "even if ignoreip holds it");
    return [options](const CommonOptions& common) -> int {
        if (!is_prefix(options->ip) || !is_duration(options->bantime)) return exit_usage;
        if (!common.remote.host.empty()) return ban_there(common, *options);
        return call(common, "ban",
                    {{"ip", options->ip},
                     {"jail", options->jail},
                     {"for", options->bantime},
                     {"reason", options->reason},
                     {"force", options->force}},
                    print_ban);
    };
}

}  // namespace bandd
