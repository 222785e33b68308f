// SPDX-License-Identifier: GPL-2.0-or-later
// The commands that lift bans: unban and flush.
#include <fmt/format.h>

#include <algorithm>

#include "cli/bulk.h"
#include "cli/call.h"
#include "cli/output.h"
#include "cli/remote.h"
#include "os/clock.h"

namespace bandd {
namespace {

struct Options {
    std::vector<std::string> ips;
    std::string jail;
    bool all = false, covering = false;
};

int print_count(const Json& result) {
    print_wrapped("{} lifted\n", count(result, "unbanned", "ban"));
    return exit_done;
}

int print_unbanned(const Json& result) {
    const Json& bans = list(result, "bans");
    for (const Json& ban : bans)
        print_wrapped("{} is free (jail {})\n", text(ban, "ip"), text(ban, "jail"));
    const Json& over = list(result, "covered_by");
    for (const Json& ban : over)
        print_wrapped("{}\n",
                      yellow(fmt::format("it stays banned as a part of {} (jail {}); --covering "
                                         "lifts that, too",
                                         text(ban, "ip"), text(ban, "jail"))));
    if (bans.size() != 1) print_count(result);
    return over.empty() ? exit_done : exit_said_no;
}

int unban_there(const CommonOptions& common, const Options& options) {
    if (!options.jail.empty() || options.all || options.covering) return refuse_for_remote();
    int worst = exit_done;
    for (const std::string& ip : options.ips) {
        if (!is_prefix(ip)) return exit_usage;
        worst = std::max(worst, call_remote(common, "del", ip));
    }
    return worst;
}

int unban_many(const CommonOptions& common, const Options& options, const Bulk& bulk) {
    if (int bad = refuse_bad(bulk.bad); bad != exit_done) return bad;
    std::vector<Error> refused;
    auto done = send_orders(common, "unban many", bulk.orders,
                            {{"jail", options.jail}, {"covering", options.covering}}, refused);
    if (!done) return done.error();
    if (common.json)
        print_json(*done);
    else
        print_count(*done);
    auto not_banned = done->value("not_banned", std::uint64_t{0});
    if (not_banned > 0 && !common.json)
        print_wrapped("{} not banned\n",
                      std::to_string(not_banned) + (not_banned == 1 ? " was" : " were"));
    refuse_bad(refused);
    int saved = say_unsaved(*done);
    return refused.empty() && not_banned == 0 ? saved : exit_said_no;
}

int unban(const CommonOptions& common, const Options& options) {
    if (options.ips.empty() == !options.all) {
        print_error({"unban", "needs addresses or --all", "see bandctl help unban", {}});
        return exit_usage;
    }
    if (!common.remote.host.empty()) return unban_there(common, options);
    if (options.ips.size() > 1 || (!options.ips.empty() && options.ips.front() == "-"))
        return unban_many(common, options, read_bulk(options.ips, now()));
    std::string ip = options.all ? "" : options.ips.front();
    if (!is_prefix(ip)) return exit_usage;
    return call(
        common, "unban",
        {{"ip", ip}, {"jail", options.jail}, {"all", options.all}, {"covering", options.covering}},
        print_unbanned);
}

}  // namespace

Run unban_command(CommandLine& line) {
    auto options = std::make_shared<Options>();
    line.texts("ip", options->ips,
               "addresses or CIDR blocks; - reads them from standard input, as ban does");
    line.text("-j,--jail", options->jail, "only of this jail");
    line.flag("--all", options->all, "every ban");
    line.flag("--covering", options->covering, "blocks that the address is in, too");
    return [options](const CommonOptions& common) { return unban(common, *options); };
}

Run flush_command(CommandLine&) {
    return [](const CommonOptions& common) {
        return call(common, "flush", Json::object(), print_count);
    };
}

}  // namespace bandd
