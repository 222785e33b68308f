// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/actions.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

#include "config/section.h"
#include "core/base/suggest.h"

namespace bandd {
namespace {

// linux/netfilter/ipset/ip_set.h: IPSET_MAXNAMELEN is 32 with the ending zero.
constexpr std::size_t longest_ipset_name = 31;
// nf_log takes NF_LOG_PREFIXLEN 128 with the ending zero.
constexpr std::size_t longest_log_prefix = 127;

// The services that jails are about; /etc/services need not exist on a router.
constexpr std::array<std::pair<std::string_view, std::uint16_t>, 32> services{{
    {"ftp-data", 20}, {"ftps-data", 989},  {"ftps", 990},         {"ldap", 389},
    {"ldaps", 636},   {"socks", 1080},     {"ms-sql-s", 1433},    {"mdns", 5353},
    {"rsync", 873},   {"openvpn", 1194},   {"xmpp-client", 5222}, {"sip-tls", 5061},
    {"ftp", 21},      {"ssh", 22},         {"telnet", 23},        {"smtp", 25},
    {"domain", 53},   {"http", 80},        {"pop3", 110},         {"imap", 143},
    {"imap2", 143},   {"https", 443},      {"smtps", 465},        {"submissions", 465},
    {"ssmtp", 465},   {"submission", 587}, {"imaps", 993},        {"pop3s", 995},
    {"mysql", 3306},  {"sieve", 4190},     {"postgresql", 5432},  {"sip", 5060},
}};

}  // namespace

std::optional<std::uint16_t> parse_port(std::string_view text) {
    for (const auto& [name, port] : services)
        if (name == text) return port;
    std::uint16_t port = 0;
    auto [rest, fault] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (fault != std::errc{} || rest != text.data() + text.size() || port == 0) return {};
    return port;
}

namespace {

constexpr std::array<std::string_view, 8> severities{"emerg",   "alert",  "crit", "err",
                                                     "warning", "notice", "info", "debug"};
constexpr std::array<std::pair<std::string_view, int>, 20> facilities{{
    {"kern", 0},      {"user", 1},    {"mail", 2},    {"daemon", 3},  {"auth", 4},
    {"syslog", 5},    {"lpr", 6},     {"news", 7},    {"uucp", 8},    {"cron", 9},
    {"authpriv", 10}, {"ftp", 11},    {"local0", 16}, {"local1", 17}, {"local2", 18},
    {"local3", 19},   {"local4", 20}, {"local5", 21}, {"local6", 22}, {"local7", 23},
}};

NftablesAction parse_nftables(const Value& value, const ActionContext& context,
                              std::vector<Error>& errors) {
    Section section(value, "action nftables", "action nftables", errors);
    NftablesAction action;
    action.ports = context.ports;
    action.protocols = context.protocols;
    read_packets(section, action, errors);
    return action;
}

IpsetAction parse_ipset(const Value& value, const ActionContext& context,
                        std::vector<Error>& errors) {
    Section section(value, "action ipset", "action ipset", errors);
    IpsetAction action;
    section.text("set", action.set4);
    section.text("set6", action.set6);
    action.ours = action.set4.empty() && action.set6.empty();
    action.create = action.ours;
    if (action.ours) {
        action.set4 = "bandd-" + context.jail + "-4";
        action.set6 = "bandd-" + context.jail + "-6";
    }
    section.boolean("create", action.create);
    section.number("maxelem", action.maxelem, 1, 100'000'000);
    for (const std::string& name : {action.set4, action.set6})
        if (name.size() > longest_ipset_name)
            section.error(value, "ipset \"" + name + "\"",
                          "the kernel takes names of at most 31 bytes", "give one with \"set:\"");
    return action;
}

ExecAction parse_exec(const Value& value, std::vector<Error>& errors) {
    Section section(value, "action exec", "action exec", errors);
    ExecAction action;
    action.ban = parse_argv(section, "ban");
    action.unban = parse_argv(section, "unban");
    if (action.ban.empty() && action.unban.empty())
        section.error(value, "action exec", "has nothing to run",
                      "give \"ban\", \"unban\" or both");
    section.text("user", action.user);
    section.duration("timeout", action.timeout, false);
    section.number("parallel", action.parallel, 1, 64);
    return action;
}

SyslogAction parse_syslog(const Value& value, std::vector<Error>& errors) {
    Section section(value, "action syslog", "action syslog", errors);
    SyslogAction action;
    std::string facility = "local7";
    std::string severity = "notice";
    section.text("facility", facility);
    section.text("severity", severity);
    auto known = std::ranges::find(facilities, facility, &std::pair<std::string_view, int>::first);
    if (known != facilities.end())
        action.facility = known->second;
    else
        section.error(*section.find("facility"), "\"facility: " + facility + "\"",
                      "is no syslog facility", "use one of local0 … local7, mail, daemon, auth");
    auto level = std::ranges::find(severities, severity);
    if (level != severities.end())
        action.severity = static_cast<int>(level - severities.begin());
    else
        section.error(*section.find("severity"), "\"severity: " + severity + "\"",
                      "is no syslog severity", did_you_mean(severity, severities));
    section.text("tag", action.tag);
    section.text("ban", action.ban);
    section.text("unban", action.unban);
    return action;
}

constexpr int deepest_names = 5;

void parse_action(const std::string& name, const Value& at, const Value& keys,
                  const ActionContext& context, int depth, std::vector<ActionConfig>& actions,
                  std::vector<Error>& errors);

void parse_item(const Value& value, const ActionContext& context, int depth,
                std::vector<ActionConfig>& actions, std::vector<Error>& errors) {
    switch (value.kind) {
        case Value::Kind::list:
            for (const Value& item : value.items) parse_item(item, context, depth, actions, errors);
            break;
        case Value::Kind::scalar: {
            Value none;
            none.where = value.where;
            parse_action(value.text, value, none, context, depth, actions, errors);
            break;
        }
        case Value::Kind::map:
            for (const auto& [name, keys] : value.entries)
                parse_action(name.text, name, keys, context, depth, actions, errors);
            break;
        case Value::Kind::null:
            break;
    }
}

void parse_action(const std::string& name, const Value& at, const Value& keys,
                  const ActionContext& context, int depth, std::vector<ActionConfig>& actions,
                  std::vector<Error>& errors) {
    if (name == "nftables") {
        actions.emplace_back(parse_nftables(keys, context, errors));
    } else if (name == "ipset") {
        actions.emplace_back(parse_ipset(keys, context, errors));
    } else if (name == "exec") {
        actions.emplace_back(parse_exec(keys, errors));
    } else if (name == "syslog") {
        actions.emplace_back(parse_syslog(keys, errors));
    } else {
        std::vector<std::string> names{"nftables", "ipset", "exec", "syslog"};
        for (const std::string& directory : context.directories) {
            std::string path = directory + "/actions/" + name + ".yaml";
            std::error_code ignored;
            if (name.find('/') == std::string::npos && std::filesystem::exists(path, ignored) &&
                depth < deepest_names) {
                auto file = read_document(path);
                if (!file) {
                    errors.push_back(file.error());
                    return;
                }
                Section section(*file, "action file", "action \"" + name + "\"", errors);
                if (const Value* inside = section.find("action"))
                    parse_item(*inside, context, depth + 1, actions, errors);
                return;
            }
            for (const std::string& found : glob_files(directory + "/actions/*.yaml"))
                names.push_back(std::filesystem::path(found).stem().string());
        }
        std::vector<std::string_view> views(names.begin(), names.end());
        errors.push_back({"action \"" + name + "\"", "there is no such action",
                          did_you_mean(name, views), at.where});
    }
}

}  // namespace

void read_packets(const Section& section, NftablesAction& action, std::vector<Error>& errors) {
    if (auto words = section.words("hook"); !words.empty()) {
        action.hooks.clear();
        for (const Value* word : words) {
            constexpr std::array<std::string_view, 3> names{"prerouting", "input", "forward"};
            auto found = std::ranges::find(names, word->text);
            if (found == names.end())
                section.error(*word, "\"hook: " + word->text + "\"",
                              "must be one of prerouting, input, forward",
                              did_you_mean(word->text, names));
            else
                action.hooks.push_back(static_cast<Hook>(found - names.begin()));
        }
    }
    section.number("priority", action.priority, -2'000'000'000, 2'000'000'000);
    section.choice("verdict", action.verdict,
                   {{"drop", Verdict::drop}, {"reject", Verdict::reject}});
    section.text("log_prefix", action.log_prefix);
    if (action.log_prefix.size() > longest_log_prefix)
        section.error(*section.find("log_prefix"), "\"log_prefix\"",
                      "the kernel takes at most 127 bytes");
    if (auto words = section.words("port"); !words.empty())
        action.ports = parse_ports(words, errors);
    if (auto words = section.words("protocol"); !words.empty())
        action.protocols = parse_protocols(words, errors);
    if (!action.ports.empty() && action.protocols.empty()) action.protocols = {Protocol::tcp};
}

std::string_view action_name(const ActionConfig& action) {
    constexpr std::array<std::string_view, 4> names{"nftables", "ipset", "exec", "syslog"};
    return names[action.index()];
}

std::vector<PortRange> parse_ports(const std::vector<const Value*>& words,
                                   std::vector<Error>& errors) {
    std::vector<PortRange> ports;
    for (const Value* word : words) {
        std::string_view rest = word->text;
        while (!rest.empty()) {
            auto comma = rest.find(',');
            std::string_view part = rest.substr(0, comma);
            rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
            while (part.starts_with(' ')) part.remove_prefix(1);
            while (part.ends_with(' ')) part.remove_suffix(1);
            if (part == "all") return {};
            auto single = parse_port(part);
            auto dash = part.find_first_of("-:");
            auto first = single ? single : parse_port(part.substr(0, dash));
            auto last = single || dash == std::string_view::npos
                            ? single
                            : parse_port(part.substr(dash + 1));
            if (!first || !last || *first > *last) {
                errors.push_back({"\"port: " + std::string(part) + "\"",
                                  "is no port, range or service",
                                  "write 25, 1000-2000 or a service such as smtp", word->where});
                continue;
            }
            ports.push_back({*first, *last});
        }
    }
    std::ranges::sort(ports);
    std::vector<PortRange> merged;
    for (const PortRange& range : ports) {
        if (!merged.empty() && range.first <= merged.back().last + 1)
            merged.back().last = std::max(merged.back().last, range.last);
        else
            merged.push_back(range);
    }
    return merged;
}

std::vector<Protocol> parse_protocols(const std::vector<const Value*>& words,
                                      std::vector<Error>& errors) {
    std::vector<Protocol> protocols;
    for (const Value* word : words) {
        if (word->text == "tcp")
            protocols.push_back(Protocol::tcp);
        else if (word->text == "udp")
            protocols.push_back(Protocol::udp);
        else
            errors.push_back(
                {"\"protocol: " + word->text + "\"", "must be tcp or udp", {}, word->where});
    }
    return protocols;
}

std::vector<std::string> parse_argv(const Section& section, std::string_view key) {
    std::vector<std::string> argv;
    const Value* value = section.find(key);
    if (value == nullptr) return argv;
    if (value->kind != Value::Kind::list) {
        section.error(*value, fmt::format("\"{}\"", key), "must be a list: program and arguments",
                      "there is no shell; write [/usr/bin/program, \"<ip>\"]");
        return argv;
    }
    for (const Value* word : section.words(key)) argv.push_back(word->text);
    if (argv.empty() || !argv.front().starts_with('/'))
        section.error(*value, fmt::format("\"{}\"", key), "the program must be an absolute path");
    else if (argv.front().find('<') != std::string::npos)
        section.error(*value, fmt::format("\"{}\"", key), "the program itself can't hold a <tag>");
    return argv;
}

std::vector<ActionConfig> parse_actions(const Value& value, const ActionContext& context,
                                        std::vector<Error>& errors) {
    std::vector<ActionConfig> actions;
    parse_item(value, context, 0, actions, errors);
    return actions;
}

}  // namespace bandd
