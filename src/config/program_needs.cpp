// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/program_needs.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "config/capabilities.h"
#include "config/program_tags.h"

namespace bandd {
namespace {

// linux/capability.h
constexpr Capabilities net_admin = Capabilities{1} << 12;
constexpr Capabilities net_raw = Capabilities{1} << 13;
constexpr Capabilities everything = ~Capabilities{0};

struct Known {
    std::string_view command;
    bool root;
    Capabilities capabilities;
};
// iptables takes a lock in /run (iptables(8), --wait) and opens raw sockets. nft, ipset, ip and tc
// need CAP_NET_ADMIN alone. The others are front ends that ask for root, or write its files.
constexpr std::array<Known, 26> known{{
    {"iptables", true, net_admin | net_raw},
    {"ip6tables", true, net_admin | net_raw},
    {"iptables-restore", true, net_admin | net_raw},
    {"ip6tables-restore", true, net_admin | net_raw},
    {"arptables", true, net_admin | net_raw},
    {"ebtables", true, net_admin | net_raw},
    {"xtables-multi", true, net_admin | net_raw},
    {"nft", false, net_admin},
    {"ipset", false, net_admin},
    {"ip", false, net_admin},
    {"tc", false, net_admin},
    {"route", false, net_admin},
    {"conntrack", false, net_admin},
    {"ufw", true, everything},
    {"firewall-cmd", true, everything},
    {"shorewall", true, everything},
    {"shorewall6", true, everything},
    {"csf", true, everything},
    {"apf", true, everything},
    {"ferm", true, everything},
    {"systemctl", true, everything},
    {"service", true, everything},
    {"rc-service", true, everything},
    {"pfctl", true, everything},
    {"ipfw", true, everything},
    {"npfctl", true, everything},
}};

// After one of these characters or words a shell begins a command.
constexpr std::string_view command_ends = ";|&(){}`\n";
constexpr std::array<std::string_view, 10> before_commands{
    "then", "do", "else", "elif", "if", "!", "exec", "while", "until", "sudo"};

// The commands of a shell's text, roughly: names of files without their directory.
std::vector<std::string_view> commands_of(std::string_view text) {
    std::vector<std::string_view> commands;
    bool at_command = true;
    while (!text.empty()) {
        if (command_ends.contains(text.front())) at_command = true;
        auto size = std::min(text.find_first_of(" \t\"';|&(){}`\n"), text.size());
        std::string_view word = text.substr(0, size);
        text.remove_prefix(std::max<std::size_t>(size, 1));
        bool sets_variable = word.find('=') != std::string_view::npos;  // which may come before
        if (word.empty() || !at_command || sets_variable) continue;
        commands.push_back(word.substr(word.rfind('/') + 1));
        at_command = std::ranges::find(before_commands, word) != before_commands.end();
    }
    return commands;
}

int rank(const Known& one) { return (one.root ? 1 : 0) + (one.capabilities == everything ? 2 : 0); }

}  // namespace

std::optional<ProgramNeed> need_of(const std::vector<std::string>& argv) {
    if (argv.empty()) return {};
    std::string_view program = argv.front();
    std::vector<std::string_view> commands{program.substr(program.rfind('/') + 1)};
    if (auto text = shell_text(argv))
        for (std::string_view command : commands_of(argv[*text])) commands.push_back(command);
    const Known* most = nullptr;
    for (std::string_view command : commands) {
        auto found = std::ranges::find(known, command, &Known::command);
        if (found != known.end() && (most == nullptr || rank(*found) > rank(*most))) most = &*found;
    }
    if (most == nullptr) return {};
    ProgramNeed need{std::string(most->command), most->root, {}};
    if (most->capabilities != everything) need.capabilities = most->capabilities;
    return need;
}

std::optional<ProgramNeed> unmet_need(const ProgramConfig& program) {
    auto need = need_of(program.argv);
    if (!need) return {};
    bool root = program.user == "root";
    Capabilities given = program.capabilities.value_or(root ? everything : 0);
    Capabilities wanted = need->capabilities.value_or(everything);
    if ((root || !need->root) && (given & wanted) == wanted) return {};
    // Who names capabilities for a front end knows better which ones it takes.
    if (root && !need->capabilities) return {};
    return need;
}

std::vector<std::string> keys_for(const ProgramNeed& need) {
    std::vector<std::string> keys;
    if (need.root) keys.emplace_back("user: root");
    if (need.capabilities)
        keys.push_back("capabilities: [" + capabilities_text(*need.capabilities) + "]");
    return keys;
}

}  // namespace bandd
