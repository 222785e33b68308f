// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/ports.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace bandd {
namespace {

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

// "25", "smtp", "1000-2000" or "1000:2000".
std::optional<PortRange> parse_range(std::string_view text) {
    if (auto port = parse_port(text)) return PortRange{*port, *port};
    auto dash = text.find_first_of("-:");
    if (dash == std::string_view::npos) return {};
    auto first = parse_port(text.substr(0, dash));
    auto last = parse_port(text.substr(dash + 1));
    if (!first || !last || *first > *last) return {};
    return PortRange{*first, *last};
}

}  // namespace

std::vector<PortRange> sorted_and_merged(std::vector<PortRange> ports) {
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

bool contains(const std::vector<PortRange>& ports, std::uint16_t port) {
    return std::ranges::any_of(
        ports, [&](const PortRange& range) { return range.first <= port && port <= range.last; });
}

std::string to_string(const std::vector<PortRange>& ports) {
    if (ports.empty()) return "all";
    std::string text;
    for (const PortRange& range : ports) {
        text += (text.empty() ? "" : ", ") + std::to_string(range.first);
        if (range.last != range.first) text += "-" + std::to_string(range.last);
    }
    return text;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
    for (const auto& [name, port] : services)
        if (name == text) return port;
    std::uint16_t port = 0;
    auto [rest, fault] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (fault != std::errc{} || rest != text.data() + text.size() || port == 0) return {};
    return port;
}

void read_ports(const Field& field, std::vector<PortRange>& ports, bool& automatic) {
    auto words = field.words();
    if (words.empty()) return;
    std::vector<PortRange> found;
    automatic = false;
    for (const Value* word : words) {
        std::string_view rest = word->text;
        while (!rest.empty()) {
            auto comma = rest.find(',');
            std::string_view item = rest.substr(0, comma);
            rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
            while (item.starts_with(' ')) item.remove_prefix(1);
            while (item.ends_with(' ')) item.remove_suffix(1);
            if (item == "all") {
                ports.clear();
                automatic = false;
                return;
            }
            if (item == "auto") {
                automatic = true;
                continue;
            }
            if (auto range = parse_range(item)) {
                found.push_back(*range);
                continue;
            }
            field.item_error(*word, item, "is no port, range or service",
                             "write 25, 1000-2000 or a service such as smtp");
        }
    }
    ports = sorted_and_merged(std::move(found));
}

void read_protocols(const Field& field, std::vector<Protocol>& protocols) {
    auto words = field.words();
    if (words.empty()) return;
    protocols.clear();
    for (const Value* word : words) {
        if (word->text == "tcp")
            protocols.push_back(Protocol::tcp);
        else if (word->text == "udp")
            protocols.push_back(Protocol::udp);
        else
            field.error(*word, "must be tcp or udp");
    }
}

}  // namespace bandd
