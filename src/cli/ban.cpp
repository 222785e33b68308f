// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <chrono>
#include <set>
#include <thread>

#include "cli/bulk.h"
#include "cli/call.h"
#include "cli/output.h"
#include "cli/remote.h"
#include "os/clock.h"

namespace bandd {
namespace {

struct Options {
    std::vector<std::string> ips;
    std::string jail, bantime, reason;
    bool force = false;
};

int print_ban(const Json& ban) {
    std::string state = text(ban, "state");
    std::string until = text(ban, "until");
    print_wrapped("{} {} in jail {}, {}\n", text(ban, "ip"),
                  state == "active"      ? "is banned"
                  : state == "simulated" ? "would be banned (simulate)"
                                         : "will be banned",
                  text(ban, "jail"), until.empty() ? "for ever" : "until " + local_time(until));
    if (ban.contains("error")) print_wrapped("{}\n", yellow("pending: " + text(ban, "error")));
    return state == "pending" || ban.contains("error") ? exit_said_no : exit_done;
}

int ban_there(const CommonOptions& common, const Options& options) {
    if (!options.jail.empty() || options.force) return refuse_for_remote();
    int worst = exit_done;
    for (const std::string& ip : options.ips) {
        if (!is_prefix(ip)) return exit_usage;
        worst = std::max(worst, call_remote(common, "add", ip, {options.bantime, options.reason}));
    }
    return worst;
}

Json common_part(const Options& options) {
    return {{"jail", options.jail},
            {"for", options.bantime},
            {"reason", options.reason},
            {"force", options.force}};
}

// How many bans of all jails the kernel has not acknowledged. It may be some seconds behind.
std::expected<std::uint64_t, int> wait_until_in_force(const CommonOptions& common) {
    constexpr auto pause = std::chrono::milliseconds(50);
    constexpr int most_looks = 200;
    std::uint64_t pending = 0;
    for (int i = 0; i < most_looks; ++i) {
        auto status = begin_call(common, "status", Json::object());
        if (!status) return std::unexpected(status.error());
        pending = 0;
        for (const Json& jail : list(status->result, "jails"))
            pending += jail.value("pending", std::uint64_t{0});
        if (pending == 0) break;
        std::this_thread::sleep_for(pause);
    }
    return pending;
}

void print_sums(const Json& sums) {
    auto print = [&](const char* key, const char* what) {
        if (sums.value(key, std::uint64_t{0}) > 0)
            print_wrapped("{} {}\n", count(sums, key, "ban"), what);
    };
    print_wrapped("{} in force\n", count(sums, "banned", "ban"));
    print("renewed", "renewed: there before, or named twice");
    print("over", "left out, as their time is over");
    print("pending", "pending: see bandctl status");
}

int refuse_all(const std::vector<Error>& refused) {
    refuse_bad(refused);
    print_error({"ban", "nobody was banned", "take these lines out, or mend them", {}});
    return exit_said_no;
}

// All, or nobody: what would be refused is looked for first.
int ban_many(const CommonOptions& common, const Options& options, const Bulk& bulk) {
    if (int bad = refuse_bad(bulk.bad); bad != exit_done) return bad;
    if (!options.force)
        if (auto refused = unforced(bulk); !refused.empty()) return refuse_all(refused);
    Json for_all = common_part(options);
    auto refused = find_refused(common, bulk.orders, for_all);
    if (!refused) return refused.error();
    if (!refused->empty()) return refuse_all(*refused);
    auto done = send_orders(common, "ban many", bulk.orders, for_all, *refused);
    if (!done) return done.error();
    auto pending = wait_until_in_force(common);
    if (!pending) return pending.error();
    (*done)["pending"] = *pending;
    (*done)["over"] = bulk.over;
    if (common.json)
        print_json(*done);
    else
        print_sums(*done);
    int saved = say_unsaved(*done);
    return refuse_bad(*refused) != exit_done || *pending > 0 ? exit_said_no : saved;
}

int ban(const CommonOptions& common, const Options& options) {
    if (!is_duration(options.bantime)) return exit_usage;
    if (options.reason.size() > longest_reason) {
        print_error({"--reason", fmt::format("is longer than {} bytes", longest_reason), {}, {}});
        return exit_usage;
    }
    if (!common.remote.host.empty()) return ban_there(common, options);
    if (options.ips.size() != 1 || options.ips.front() == "-")
        return ban_many(common, options, read_bulk(options.ips, now()));
    if (!is_prefix(options.ips.front())) return exit_usage;
    Json arguments = common_part(options);
    arguments["ip"] = options.ips.front();
    return call(common, "ban", arguments, print_ban);
}

}  // namespace

Run ban_command(CommandLine& line) {
    auto options = std::make_shared<Options>();
    line.texts("ip", options->ips,
               "addresses or CIDR blocks; - reads them from standard input, one a line, with an "
               "end (2h, 2026-12-01) and a reason if wanted, or what bans --json writes",
               Must::be_given);
    line.text("-j,--jail", options->jail, "with this jail's actions (default: manual)");
    line.text("--for", options->bantime, "10m, 2h, 1d12h, forever (default: the jail's bantime)");
    line.words("-r,--reason", options->reason, "kept with the ban");
    line.flag("--force", options->force, "even if ignoreip holds it, or it is a wide block");
    return [options](const CommonOptions& common) { return ban(common, *options); };
}

}  // namespace bandd
