// SPDX-License-Identifier: GPL-2.0-or-later
#include "fleet/membership.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "config/document.h"
#include "core/base/address.h"

namespace bandd {
namespace {

std::string indented(std::string_view text) {
    std::string lines;
    while (!text.empty()) {
        auto end = text.find('\n');
        lines += "  " + std::string(text.substr(0, end)) + "\n";
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return lines;
}

// Reads keys of a map. The first fault is kept; whatever is read after it is empty.
class Keys {
  public:
    explicit Keys(const Value& map) : map_(map) {}
    std::string text(std::string_view key, std::size_t longest) {
        const Value* value = map_.find(key);
        if (value == nullptr || value->kind != Value::Kind::scalar || value->text.empty() ||
            value->text.size() > longest)
            note(key);
        return fault_ ? std::string() : value->text;
    }
    std::vector<std::string> texts(std::string_view key, std::size_t most) {
        const Value* value = map_.find(key);
        std::vector<std::string> texts;
        if (value == nullptr || value->kind != Value::Kind::list || value->items.size() > most)
            note(key);
        else
            for (const Value& item : value->items) texts.push_back(item.text);
        return texts;
    }
    void note(std::string_view key) {
        if (!fault_)
            fault_ = Error{fmt::format("\"{}\"", key),
                           "is missing in a file of a fleet, or not what it must be",
                           "take the file again that bandctl fleet made", map_.where};
    }
    const std::optional<Error>& fault() const { return fault_; }

  private:
    const Value& map_;
    std::optional<Error> fault_;
};

bool is_hexadecimal(std::string_view text) {
    return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

bool is_fleet_name(std::string_view name) {
    auto fits = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    };
    return !name.empty() && name.size() <= longest_fleet_name && name.front() != '.' &&
           name.front() != '-' && std::ranges::all_of(name, fits);
}

Result<FleetServer> parse_fleet_server(const std::string& text) {
    FleetServer server{text, "4222"};
    std::string rest;
    if (text.starts_with('[')) {
        auto end = text.find(']');
        if (end == std::string::npos) end = 0;
        server.host = text.substr(1, std::max<std::size_t>(end, 1) - 1);
        rest = text.substr(end + 1);
    } else if (auto colon = text.find(':'); colon != std::string::npos) {
        server.host = text.substr(0, colon);
        rest = text.substr(colon);
    }
    unsigned port = 0;
    if (!rest.empty()) server.port = rest.substr(1);
    auto [end, fault] =
        std::from_chars(server.port.data(), server.port.data() + server.port.size(), port);
    bool port_fits = fault == std::errc() && end == server.port.data() + server.port.size() &&
                     port >= 1 && port <= 65535 && (rest.empty() || rest[0] == ':');
    if (!port_fits || !(is_fleet_name(server.host) || parse_address(server.host)))
        return fail("\"" + text + "\"", "is no server",
                    "name it as HOST or HOST:PORT; [ADDRESS]:PORT of IPv6");
    return server;
}

std::string to_string(const FleetServer& server) {
    bool in_brackets = server.host.find(':') != std::string::npos;
    return (in_brackets ? "[" + server.host + "]" : server.host) + ":" + server.port;
}

std::string to_join_file(const Membership& membership) {
    const FleetAccess& access = membership.access;
    return fmt::format(
        "# What \"{0}\" is in the fleet \"{1}\" by. Copy it to that machine alone, as root's, mode "
        "0600, and\n"
        "# name it in bandd.yaml:  fleet: {{join: FILE}}\n"
        "# Whoever has it can speak for this node. If it is lost: bandctl fleet rotate {0}\n"
        "fleet: \"{1}\"\nnode: \"{0}\"\nservers: [\"{2}\"]\ncounting: [{3}]\nseed: {4}\nkey: "
        "\"{5}\"\n"
        "authority: |\n{6}",
        access.node, access.fleet, fmt::join(access.servers, "\", \""),
        access.counting.empty() ? std::string()
                                : fmt::format("\"{}\"", fmt::join(access.counting, "\", \"")),
        access.seed, membership.key, indented(access.authority));
}

Result<Membership> parse_join_file(const std::string& text, const std::string& name) {
    auto document = parse_document(text, name);
    if (!document) return std::unexpected(document.error());
    Keys keys(*document);
    Membership membership;
    FleetAccess& access = membership.access;
    access.fleet = keys.text("fleet", longest_fleet_name);
    access.node = keys.text("node", longest_fleet_name);
    access.servers = keys.texts("servers", most_fleet_servers);
    access.counting = keys.texts("counting", most_counting_nodes);
    access.seed = keys.text("seed", longest_fleet_name);
    membership.key = keys.text("key", 128);
    access.authority = keys.text("authority", largest_authority);
    if (!is_fleet_name(access.fleet)) keys.note("fleet");
    if (!is_fleet_name(access.node)) keys.note("node");
    if (!std::ranges::all_of(access.counting, is_fleet_name)) keys.note("counting");
    if (!is_hexadecimal(membership.key)) keys.note("key");
    if (access.servers.empty()) keys.note("servers");
    for (const std::string& server : access.servers)
        if (!parse_fleet_server(server)) keys.note("servers");
    if (keys.fault()) return std::unexpected(*keys.fault());
    return membership;
}

}  // namespace bandd
