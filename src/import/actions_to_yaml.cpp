// SPDX-License-Identifier: GPL-2.0-or-later
#include "import/actions_to_yaml.h"

#include <algorithm>
#include <array>
#include <set>

#include "config/ports.h"
#include "config/program_needs.h"
#include "core/base/ascii.h"
#include "core/base/tags.h"
#include "import/to_yaml.h"
#include "import/words.h"

namespace bandd::fail2ban {
namespace {

using namespace std::string_view_literals;

// Actions that put an address into the machine's own packet filter, however they do it.
constexpr std::array firewalls{
    "iptables"sv, "nftables"sv, "firewallcmd"sv, "ufw"sv,   "shorewall"sv,
    "csf"sv,      "apf"sv,      "route"sv,       "ipset"sv, "symbiosis-blacklist"sv};
// Tags whose text nobody outside chooses: they may stand in a shell's program.
constexpr std::array safe_tags{"ip"sv,      "prefix"sv,   "family"sv,   "jail"sv, "name"sv,
                               "bantime"sv, "failures"sv, "bancount"sv, "time"sv};

bool is_firewall(std::string_view name) {
    return std::ranges::any_of(firewalls, [&](std::string_view known) {
        return name == known || name.starts_with(std::string(known) + "-");
    });
}

// What fail2ban fills in, and bandd does not. Other text in angle brackets fail2ban, too, leaves as
// it is.
constexpr std::array foreign_tags{"ip-rev"sv,         "ip-host"sv,         "raw-ticket"sv,
                                  "ipjailfailures"sv, "jail.banned"sv,     "jail.banned_total"sv,
                                  "jail.found"sv,     "jail.found_total"sv};

// What a shell runs at `event`: names that bandd has another for are replaced; where the action
// tells IPv4 and IPv6 apart, it does so, too.
std::string script_of(const ActionDefinition& action, const char* event) {
    auto prepared = [&](const Options& options) {
        std::string script = option(options, event);
        replace_all(script, "<fid>", "<ip>");
        replace_all(script, "<ipmatches>", "<matches>");
        replace_all(script, "<ipjailmatches>", "<matches>");
        replace_all(script, "<ipfailures>", "<failures>");
        replace_all(script, "<restored>", "0");
        replace_all(script, "<br>", "\n");
        replace_all(script, "<sp>", " ");
        replace_all(script, "<fq-hostname>", "$(hostname -f)");
        replace_all(script, "<sh-hostname>", "$(hostname -s)");
        return script;
    };
    std::string script = prepared(action.options);
    std::string six = prepared(action.options_ipv6);
    if (script.find_first_not_of(" \t\n") == std::string::npos) return {};
    if (!six.empty() && six != script)
        script = "case <family> in\ninet6)\n" + six + "\n;;\n*)\n" + script + "\n;;\nesac";
    return script;
}

// An action's command as bandd runs it: a shell's program. Tags whose text strangers choose become
// its arguments: "<matches>" in the program is "${1}", and "<matches>" its first argument.
std::vector<std::string> argv_of(const ActionDefinition& action, const char* event,
                                 const Tell& tell) {
    std::string script = script_of(action, event);
    if (script.empty()) return {};
    std::vector<std::string> arguments;
    for (std::size_t at = 0; (at = script.find('<', at)) != std::string::npos;) {
        auto end = script.find_first_of("<> \n", at + 1);
        if (end == std::string::npos || script[end] != '>') {
            ++at;
            continue;
        }
        std::string tag = script.substr(at + 1, end - at - 1);
        if (std::ranges::find(safe_tags, tag) != safe_tags.end()) {
            at = end + 1;
            continue;
        }
        bool field = tag.starts_with("F-");
        if (tag != "matches" && tag != "reason" && !field) {
            if (std::ranges::find(foreign_tags, tag) != foreign_tags.end())
                tell(Fate::undecided, "action " + action.reference.name + ": <" + tag + "> in " +
                                          event + " is not known to bandd and stays as it is");
            at = end + 1;
            continue;
        }
        auto known = std::ranges::find(arguments, "<" + tag + ">");
        auto index = static_cast<std::size_t>(known - arguments.begin()) + 1;
        if (known == arguments.end()) arguments.push_back("<" + tag + ">");
        std::string by = "${" + std::to_string(index) + "}";
        script.replace(at, end + 1 - at, by);
        at += by.size();
    }
    std::vector<std::string> argv{"/bin/sh", "-c", script, action.reference.name};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return argv;
}

// A shell's text that writes a file: fail2ban's own actions do so as root (hosts.deny, a map of
// nginx's).
bool writes_files(std::string_view text) {
    // Tags are no redirections.
    std::string script = fill_in_tags(text, [](std::string_view tag) {
        return tag.find_first_of(" \t\n/") == std::string_view::npos
                   ? std::optional<std::string>("")
                   : std::nullopt;
    });
    for (const char* nothing : {">/dev/null", "> /dev/null", "2>&1", ">&2"})
        replace_all(script, nothing, "");
    return script.find('>') != std::string::npos || script.find("sed -i") != std::string::npos;
}

// fail2ban runs all programs as root. bandd does so only where it is known to be needed.
std::string rights_to_yaml(const ActionDefinition& action, const Tell& tell) {
    const std::string& name = action.reference.name;
    std::optional<ProgramNeed> need;
    bool writes = false, in_etc = false;
    for (const char* event : {"actionban", "actionunban"}) {
        std::string script = script_of(action, event);
        if (auto one = need_of({"/bin/sh", "-c", script}))
            if (!need || one->root) need = one;
        writes = writes || writes_files(script);
        in_etc = in_etc || (writes_files(script) && script.find("/etc/") != std::string::npos);
    }
    if (writes) need = ProgramNeed{"", true, {}};
    if (in_etc)
        tell(Fate::undecided, "action " + name +
                                  " writes below /etc, which bandd.service may not: systemctl edit "
                                  "bandd, with [Service] and ReadWritePaths=/etc");
    if (!need) {
        tell(Fate::undecided, "action " + name + " runs as " + std::string(default_program_user) +
                                  ", without root's rights; write \"user: root\" if it needs them");
        return {};
    }
    std::string text;
    for (const std::string& key : keys_for(*need)) text += "        " + key + "\n";
    return text;
}

std::string program(const ActionDefinition& action, const Tell& tell) {
    const std::string& name = action.reference.name;
    std::string events;
    for (const char* event : {"actionstart", "actionstop", "actioncheck", "actionflush",
                              "actionprolong", "actionreload", "actionrepair"})
        if (option(action.options, event).find_first_not_of(" \t\n") != std::string::npos)
            events += (events.empty() ? "" : ", ") + std::string(event);
    if (!events.empty())
        tell(Fate::lost, "action " + name + ": what it does besides bans (" + events + ")");
    std::string text;
    for (auto [event, key] : {std::pair{"actionban", "ban"}, std::pair{"actionunban", "unban"}}) {
        std::vector<std::string> argv = argv_of(action, event, tell);
        if (argv.empty()) continue;
        text += std::string("        ") + key + ":\n";
        for (const std::string& word : argv)
            text += "          - " + yaml_block(word, "            ") + "\n";
    }
    if (text.empty()) {
        tell(Fate::lost, "action " + name + " has neither actionban nor actionunban");
        return {};
    }
    return "    - exec:  # " + name + "\n" + text + rights_to_yaml(action, tell);
}

// What all firewall actions of a jail come to.
struct Firewall {
    bool any = false;
    bool all_ports = false;
    bool drop = false;
    std::set<std::string> ports, protocols;
};

bool closes_every_port(const std::string& name, const Options& options) {
    std::string port = option(options, "port");
    return name.find("allports") != std::string::npos || option(options, "type") == "allports" ||
           name == "route" || name == "csf" || name == "apf" || name.starts_with("ufw") ||
           name.starts_with("shorewall") || name.find("rich-rules") != std::string::npos ||
           port.empty() || port == "0:65535" || port == "1:65535" || port == "0-65535";
}

void add(const ActionDefinition& action, Firewall& firewall, const Tell& tell) {
    const std::string& name = action.reference.name;
    std::string block = ascii_lower(option(action.options, "blocktype"));
    if (block.starts_with("return") || block.starts_with("accept")) {
        tell(Fate::lost, "action " + name + " lets addresses through (blocktype = " + block +
                             "), which bandd has no action for");
        return;
    }
    firewall.any = true;
    std::string protocol = option(action.options, "protocol");
    if (closes_every_port(name, action.options) || protocol == "all") firewall.all_ports = true;
    for (const std::string& word : words_of(option(action.options, "port")))
        firewall.ports.insert(word);
    for (const std::string& word : words_of(protocol)) firewall.protocols.insert(word);
    firewall.drop = firewall.drop || block.starts_with("drop") || name == "route" || name == "csf";
    // Each firewall's own ways (chains, tables, marks) have no counterpart: bandd's table is looked
    // at before them all.
    if (name.find("-log") != std::string::npos)
        tell(Fate::undecided,
             "action " + name + ": packets are not logged; add log_prefix to nftables for that");
}

std::string ports_to_yaml(const Firewall& firewall, const Tell& tell) {
    std::string ports;
    for (std::string port : firewall.ports) {
        auto colon = port.find(':');
        if (!parse_port(port.substr(0, colon)) ||
            (colon != std::string::npos && !parse_port(port.substr(colon + 1)))) {
            tell(Fate::undecided,
                 "port = " + port + " is no service that bandd knows; write its number");
            continue;
        }
        if (colon != std::string::npos) port[colon] = '-';
        ports += (ports.empty() ? "" : ", ") + yaml_text(port);
    }
    std::string protocols;
    for (const std::string& protocol : firewall.protocols) {
        if (protocol == "tcp" || protocol == "udp")
            protocols += (protocols.empty() ? "" : ", ") + protocol;
        else
            tell(Fate::lost, "protocol = " + protocol + " is not known to bandd");
    }
    std::string text = "  port: [" + ports + "]\n";
    if (!protocols.empty()) text += "  protocol: [" + protocols + "]\n";
    return text;
}

}  // namespace

std::string actions_to_yaml(const JailDefinition& jail, const Tell& tell) {
    std::string list;
    Firewall firewall;
    for (const ActionDefinition& action : jail.actions) {
        if (action.python)
            tell(Fate::lost, "action " + action.reference.name +
                                 " is written in Python and cannot be carried over");
        else if (is_firewall(action.reference.name))
            add(action, firewall, tell);
        else
            list += program(action, tell);
    }
    if (firewall.any)
        list = std::string("    - nftables: {verdict: ") + (firewall.drop ? "drop" : "reject") +
               "}\n" + list;
    std::string text = list.empty() ? "  action: []\n" : "  action:\n" + list;
    if (list.empty()) tell(Fate::lost, "no action of it could be carried over: it bans nobody");
    if (firewall.any && !firewall.all_ports && !firewall.ports.empty())
        text += ports_to_yaml(firewall, tell);
    return text;
}

}  // namespace bandd::fail2ban
