// SPDX-License-Identifier: GPL-2.0-or-later
// The commands that lift bans: unban and flush.
#include <fmt/format.h>

#include "cli/call.h"
#include "cli/output.h"
#include "cli/remote.h"

namespace bandd {
namespace {

struct Options {
    std::string ip, jail;
    bool all = false;
};

int print_count(const Json& result) {
    fmt::print("{} lifted\n", count(result, "unbanned", "ban"));
    return exit_done;
}

int print_unbanned(const Json& result) {
    const Json& bans = list(result, "bans");
    for (const Json& ban : bans)
        fmt::print("{} is free (jail {})\n", text(ban, "ip"), text(ban, "jail"));
    return bans.size() == 1 ? exit_done : print_count(result);
}

int unban(const CommonOptions& common, const Options& options) {
    if (!is_prefix(options.ip)) return exit_usage;
    if (!common.remote.host.empty()) {
        if (!options.jail.empty() || options.all) return refuse_for_remote();
        return call_remote(common, "del", options.ip);
    }
    if (options.ip.empty() == !options.all) {
        print_error({"unban", "needs an address or --all", "see bandctl unban --help", {}});
        return exit_usage;
    }
    return call(common, "unban", {{"ip", options.ip}, {"jail", options.jail}, {"all", options.all}},
                print_unbanned);
}

}  // namespace

Run unban_command(CommandLine& line) {
    auto options = std::make_shared<Options>();
    line.text("ip", options->ip, "address or CIDR block");
    line.text("-j,--jail", options->jail, "only of this jail");
    line.flag("--all", options->all, "every ban");
    return [options](const CommonOptions& common) { return unban(common, *options); };
}

Run flush_command(CommandLine&) {
    return [](const CommonOptions& common) {
        return call(common, "flush", Json::object(), print_count);
    };
}

}  // namespace bandd
