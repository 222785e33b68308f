// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/check_machine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <set>

#include "action/ipset_fitness.h"
#include "config/actions.h"
#include "config/load.h"
#include "config/ports.h"
#include "config/program_needs.h"
#include "config/program_table.h"
#include "os/credentials.h"
#include "os/listening_ports.h"
#include "os/trusted_path.h"

namespace bandd {
namespace {

// Programs run without root's rights unless the configuration gives them.
void check_programs(const Config& config, Findings& found) {
    std::set<std::string> users;  // that are missing
    auto check = [&](const JailConfig* jail, const char* what, const ProgramConfig& program) {
        if (program.argv.empty()) return;
        Place where = jail != nullptr ? jail->where : config.access.accounts_where;
        std::string name = (jail != nullptr ? "jail \"" + jail->rules.name + "\", " : "") +
                           std::string(what) + " \"" + program.argv.front() + "\"";
        if (auto need = unmet_need(program))
            found.warnings.push_back(
                {name,
                 fmt::format("\"{}\" does nothing for the user {} without rights", need->command,
                             program.user),
                 fmt::format("write \"{}\"", fmt::join(keys_for(*need), "\" and \"")), where});
        // What bandd-programs will say at each run (programs/run_as.cpp).
        auto user = find_user(program.user);
        bool with_rights =
            (user && user->uid == 0) || program.capabilities.value_or(Capabilities{}) != 0;
        std::error_code fault;
        if (with_rights && std::filesystem::exists(program.argv.front(), fault))
            if (auto trusted = check_trusted_program(program.argv.front()); !trusted)
                found.errors.push_back({name + " is not run", to_line(trusted.error()), {}, where});
        bool known = program.user == default_program_user || user.has_value();
        if (!known && users.insert(program.user).second)
            found.warnings.push_back(
                {name, "there is no user \"" + program.user + "\" here", {}, where});
    };
    for (const JailConfig& jail : config.jails) {
        for (const ActionConfig& action : jail.actions)
            if (const auto* exec = std::get_if<ExecAction>(&action)) {
                check(&jail, "action exec", ban_program(*exec, jail.rules.name).program);
                check(&jail, "action exec", unban_program(*exec, jail.rules.name).program);
            }
        check(&jail, "ignorecommand", jail.ignorecommand);
    }
    check(nullptr, "accounts: action", config.access.action);
}

}  // namespace

void check_owners(const std::string& path, const Config& config, Findings& found) {
    if (!runs_programs(config)) return;
    std::error_code fault;
    std::string absolute = std::filesystem::absolute(path, fault).string();
    auto keys = load_keys(absolute, data_directories(), [](const std::string& file) {
        return read_trusted_file(file, largest_text);
    });
    if (!keys)
        found.errors.push_back({"programs are not run", to_line(keys.error().front()), {}, {}});
}

namespace {

// The sets that jails write to, as the kernel has them. One that bandd makes need not be there.
class IpsetCheck {
  public:
    IpsetCheck(Netlink netlink, Findings& found) : netlink_(std::move(netlink)), found_(found) {}

    // False: the kernel does not say.
    bool set(const JailConfig& jail, const IpsetAction& action, const std::string& set, bool v4) {
        auto header = read_ipset_header(netlink_, set);
        if (!header) return say_unasked(header.error().reason);
        auto warn = [&](Error error) {
            error.where = jail.where;
            found_.warnings.push_back(std::move(error));
        };
        if (!*header) {
            if (action.create) return true;
            found_.errors.push_back(missing_ipset(set, v4, action));
            found_.errors.back().where = jail.where;
            return true;
        }
        if (auto fits = check_ipset(set, v4, **header); !fits) {
            warn(fits.error());
            return true;
        }
        for (Error& doubt : doubts_about_ipset(set, **header, action)) warn(std::move(doubt));
        if (auto note = note_on_ipset(set, **header)) found_.notes.push_back(std::move(*note));
        return true;
    }

  private:
    bool say_unasked(const std::string& reason) {
        found_.notes.push_back({"ipset",
                                "the kernel was not asked what its sets can hold: " + reason,
                                netlink_.refusal() == EPERM ? "run bandctl check as root" : "",
                                {}});
        return false;
    }

    Netlink netlink_;
    Findings& found_;
};

void check_ipsets(const Config& config, Findings& found) {
    std::optional<IpsetCheck> check;
    for (const JailConfig& jail : config.jails)
        for (const ActionConfig& one : jail.actions) {
            const auto* action = std::get_if<IpsetAction>(&one);
            if (action == nullptr) continue;
            if (!check) {
                auto netlink = Netlink::open(NETLINK_NETFILTER);
                if (!netlink) return;
                check.emplace(std::move(*netlink), found);
            }
            for (bool v4 : {true, false}) {
                const std::string& set = v4 ? action->set4 : action->set6;
                if (!set.empty() && !check->set(jail, *action, set, v4)) return;
            }
        }
}

// "8080, 8443 (tcp)", and what else the action closes besides the ports that it names.
std::string list_of(const std::vector<ListeningPort>& found) {
    std::string text;
    for (auto [number, name] : {std::pair{IPPROTO_TCP, "tcp"}, std::pair{IPPROTO_UDP, "udp"}}) {
        std::vector<PortRange> ports;
        for (const ListeningPort& one : found)
            if (one.protocol == number) ports.push_back({one.port, one.port});
        if (ports.empty()) continue;
        text += fmt::format("{}{} ({})", text.empty() ? "" : "; ",
                            to_string(sorted_and_merged(std::move(ports))), name);
    }
    return text;
}

// On which the jail's service listens, of the action's protocols, besides those that it names.
std::vector<ListeningPort> found_for(const NftablesAction& action, const ServiceConfig& service,
                                     const std::vector<ListeningPort>& listening) {
    auto own =
        ports_of(listening, service.units, numbers_of(service.users), first_ephemeral_port());
    std::erase_if(own, [&](const ListeningPort& one) {
        Protocol protocol = one.protocol == IPPROTO_TCP ? Protocol::tcp : Protocol::udp;
        return contains(action.ports, one.port) ||
               std::ranges::find(action.protocols, protocol) == action.protocols.end();
    });
    // IPv4 and IPv6, and sockets of several processes.
    std::ranges::sort(own);
    auto repeated = std::ranges::unique(own, [](const ListeningPort& a, const ListeningPort& b) {
        return a.protocol == b.protocol && a.port == b.port;
    });
    own.erase(repeated.begin(), repeated.end());
    return own;
}

// What `port: auto` comes to on this machine, where that is no port that the jail names.
void note_ports(const Config& config, Findings& found) {
    auto asks = [](const ActionConfig& action) {
        const auto* nftables = std::get_if<NftablesAction>(&action);
        return nftables != nullptr && nftables->auto_ports;
    };
    std::optional<std::vector<ListeningPort>> listening;
    for (const JailConfig& jail : config.jails)
        for (const ActionConfig& action : jail.actions) {
            if (!asks(action)) continue;
            if (!listening) {
                if (forwards_packets()) {
                    found.notes.push_back(
                        {"port: auto",
                         "this machine forwards packets for others, so bans close "
                         "only the ports that jails name",
                         {},
                         {}});
                    return;
                }
                listening = listening_ports().value_or(std::vector<ListeningPort>{});
            }
            auto own = found_for(std::get<NftablesAction>(action), jail.service, *listening);
            std::size_t all = own.size();
            own.resize(std::min(all, most_ports_of_service));
            std::string what = "jail \"" + jail.rules.name + "\"";
            if (!own.empty())
                found.notes.push_back(
                    {what,
                     "bans also close ports on which its service listens here: " + list_of(own),
                     {},
                     jail.where});
            if (own.size() < all)
                found.warnings.push_back(
                    {what,
                     fmt::format("its service listens on {} ports more, which stay open",
                                 all - own.size()),
                     "name them by \"port\", or \"all\"", jail.where});
        }
}

void check_logs(const Config& config, Findings& found) {
    for (const JailConfig& jail : config.jails)
        for (const LogSpec& log : jail.logs) {
            std::error_code fault;
            if (std::filesystem::is_directory(log.path, fault))
                found.errors.push_back(
                    {"jail \"" + jail.rules.name + "\", logpath \"" + log.path + "\"",
                     "is a directory", "name the files: " + log.path + "/*.log", jail.where});
        }
}

}  // namespace

void check_on_machine(const Config& config, Findings& found) {
    check_logs(config, found);
    check_programs(config, found);
    check_ipsets(config, found);
    note_ports(config, found);
}

}  // namespace bandd
