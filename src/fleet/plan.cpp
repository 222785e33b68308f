// SPDX-License-Identifier: GPL-2.0-or-later
#include "fleet/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/document.h"
#include "fleet/subjects.h"

namespace bandd {
namespace {

std::string in_quotes(std::string_view text) { return fmt::format("\"{}\"", text); }

std::string joined(const std::vector<std::string>& texts) {
    std::string all;
    for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + in_quotes(text);
    return all;
}

std::string keys_text(const FleetNode& node) {
    std::string all;
    for (const FleetKey& key : node.keys) {
        all += fmt::format("{}{{nkey: {}", all.empty() ? "" : ", ", key.nkey);
        if (key.until != never) all += fmt::format(", until: {}", key.until.seconds());
        all += "}";
    }
    return all;
}

std::string text_at(const Value& map, std::string_view key) {
    const Value* value = map.find(key);
    return value == nullptr ? std::string() : value->text;
}

bool read_keys(const Value* list, FleetNode& node) {
    if (list == nullptr || list->kind != Value::Kind::list || list->items.empty()) return false;
    for (const Value& item : list->items) {
        FleetKey key{text_at(item, "nkey")};
        if (std::string until = text_at(item, "until"); !until.empty())
            key.until = Instant::from_seconds(std::atoll(until.c_str()));
        if (key.nkey.empty() || !is_fleet_name(key.nkey)) return false;
        node.keys.push_back(key);
    }
    return true;
}

bool is_plain_path(std::string_view path) {
    return path.starts_with('/') && path.find_first_of("\"\\\n") == std::string_view::npos;
}

struct Rights {
    std::vector<std::string> publish, subscribe;
};

Rights rights_of_node(const FleetNode& node) {
    std::string token = to_token(node.name);
    Rights rights;
    for (const char* kept : {"h", "d", "w", "m", "f"})
        rights.publish.push_back(fmt::format("ban.{}.{}.*.*", kept, token));
    for (const char* kind : {"hit", "node"})
        rights.publish.push_back(fmt::format("{}.{}", kind, token));
    for (const FleetStream& stream : fleet_streams) {
        if (stream.for_counting && !node.counts) continue;
        rights.publish.push_back(
            fmt::format("$JS.API.CONSUMER.MSG.NEXT.{}.{}", stream.name, token));
        rights.publish.push_back(fmt::format("$JS.API.CONSUMER.INFO.{}.{}", stream.name, token));
        rights.publish.push_back(fmt::format("$JS.ACK.{}.{}.>", stream.name, token));
    }
    if (node.counts)
        for (const FleetStream& stream : fleet_streams) {
            rights.publish.push_back(fmt::format("$JS.API.STREAM.CREATE.{}", stream.name));
            rights.publish.push_back(
                fmt::format("$JS.API.CONSUMER.DURABLE.CREATE.{}.*", stream.name));
            // Of a node that lost its state.
            rights.publish.push_back(fmt::format("$JS.API.CONSUMER.DELETE.{}.*", stream.name));
        }
    rights.subscribe = {fmt::format("r.{}.>", token), "ban.>", "node.>"};
    return rights;
}

Rights rights_of_operator() {
    Rights rights;
    for (const char* kept : {"h", "d", "w", "m", "f"})
        rights.publish.push_back(fmt::format("ban.{}.{}.*.*", kept, fleet_operator));
    rights.subscribe = {fmt::format("r.{}.>", fleet_operator), "ban.>", "node.>"};
    return rights;
}

std::string users_of(const FleetNode& node, const Rights& rights, Instant now) {
    std::string users;
    for (const FleetKey& key : node.keys) {
        if (key.until <= now) continue;
        users += fmt::format("      # {}{}\n      {{\n        nkey: {}\n        permissions: {{\n",
                             node.name, &key == &node.keys.back() ? "" : ", an old key", key.nkey);
        for (const auto& [what, subjects] :
             {std::pair{"publish", &rights.publish}, std::pair{"subscribe", &rights.subscribe}}) {
            users += fmt::format("          {}: {{allow: [\n", what);
            for (const std::string& subject : *subjects)
                users += fmt::format("            {}\n", in_quotes(subject));
            users += "          ]}\n";
        }
        users += "        }\n      }\n";
    }
    return users;
}

}  // namespace

FleetNode* FleetPlan::find(std::string_view node) {
    auto found = std::ranges::find(nodes, node, &FleetNode::name);
    return found == nodes.end() ? nullptr : &*found;
}

std::vector<std::string> FleetPlan::counting() const {
    std::vector<std::string> names;
    for (const FleetNode& node : nodes)
        if (node.counts) names.push_back(node.name);
    return names;
}

std::string to_text(const FleetPlan& plan) {
    std::vector<std::string> servers;
    for (const FleetServer& server : plan.servers) servers.push_back(to_string(server));
    std::string text = fmt::format(
        "# The fleet, as \"bandctl fleet\" keeps it: change it by bandctl fleet add, remove and "
        "rotate.\n"
        "# Keep a copy of this directory elsewhere: without it nobody can be added.\n"
        "fleet: {}\nservers: [{}]\nkey: {}\nserver-files: {}\nstore: {}\noperator: [{}]\nnodes:\n",
        in_quotes(plan.name), joined(servers), in_quotes(plan.key), in_quotes(plan.server_files),
        in_quotes(plan.store), keys_text(plan.head));
    for (const FleetNode& node : plan.nodes)
        text += fmt::format("  - {{name: {}, counts: {}, keys: [{}]}}\n", in_quotes(node.name),
                            node.counts, keys_text(node));
    return text;
}

Result<FleetPlan> parse_fleet_plan(const std::string& text, const std::string& name) {
    auto document = parse_document(text, name);
    if (!document) return std::unexpected(document.error());
    auto bad = [&](std::string_view key, const Value& at) {
        return fail(fmt::format("\"{}\"", key),
                    "is missing in the fleet's file, or not what it must be",
                    "take the file from your copy of the directory", at.where);
    };
    FleetPlan plan;
    plan.name = text_at(*document, "fleet");
    plan.key = text_at(*document, "key");
    plan.server_files = text_at(*document, "server-files");
    plan.store = text_at(*document, "store");
    plan.head.name = fleet_operator;
    if (!is_fleet_name(plan.name)) return bad("fleet", *document);
    if (plan.key.empty()) return bad("key", *document);
    if (!is_plain_path(plan.server_files)) return bad("server-files", *document);
    if (!is_plain_path(plan.store)) return bad("store", *document);
    const Value* servers = document->find("servers");
    if (servers == nullptr || servers->items.empty()) return bad("servers", *document);
    for (const Value& item : servers->items) {
        auto server = parse_fleet_server(item.text);
        if (!server) return bad("servers", item);
        plan.servers.push_back(std::move(*server));
    }
    if (!read_keys(document->find("operator"), plan.head)) return bad("operator", *document);
    const Value* nodes = document->find("nodes");
    if (nodes == nullptr) return bad("nodes", *document);
    for (const Value& item : nodes->items) {
        FleetNode node{text_at(item, "name"), text_at(item, "counts") == "true", {}};
        if (!is_fleet_name(node.name) || !read_keys(item.find("keys"), node))
            return bad("nodes", item);
        plan.nodes.push_back(std::move(node));
    }
    return plan;
}

std::string to_server_config(const FleetPlan& plan, Instant now) {
    // A machine without IPv6 could not listen there.
    bool has_ipv6 = std::ranges::any_of(plan.servers, [](const FleetServer& server) {
        return server.host.find(':') != std::string::npos;
    });
    std::string text = fmt::format(
        "# nats-server's configuration for the fleet \"{0}\", written by bandctl fleet.\n"
        "#\n"
        "# Don't change it here: bandctl fleet add, remove and rotate write it anew. Then, on the "
        "server:\n"
        "#   install -m 0640 -g nats nats-server.conf /etc/nats-server.conf && systemctl reload "
        "nats-server\n"
        "# A node that was removed is put out at that moment, and not before.\n"
        "#\n"
        "# Streams lie in {2}. They are a wire and a cache: if they are lost, nodes fill them "
        "again.\n"
        "# What needs a backup is the directory in which bandctl fleet made this file.\n"
        "server_name: {1}\n"
        "# \"::\": all addresses of this machine; \"0.0.0.0\": those of IPv4. Nodes come to this "
        "port only.\n"
        "host: \"{8}\"\n"
        "port: {3}\n"
        "max_payload: {4}\n"
        "max_subscriptions: 16\n"
        "\n"
        "# Nobody speaks to this server without TLS. The certificate is signed by the fleet's own "
        "authority.\n"
        "tls {{\n"
        "  cert_file: \"{5}/server.pem\"\n"
        "  key_file: \"{5}/server.key\"\n"
        "  timeout: 5\n"
        "}}\n"
        "\n"
        "jetstream {{\n"
        "  store_dir: \"{2}\"\n"
        "  max_memory_store: {6}\n"
        "  max_file_store: {7}\n"
        "}}\n"
        "\n"
        "# Who may say and hear what. A node publishes what is its own (its name is a part of each "
        "subject) and reads\n"
        "# by consumers that a counting node made for it. It can make, change and delete neither "
        "consumers nor streams.\n"
        "accounts {{\n"
        "  FLEET {{\n"
        "    jetstream: enabled\n"
        "    users: [\n",
        plan.name, to_token(plan.name), plan.store, plan.servers.front().port,
        largest_fleet_payload, plan.server_files, 64 * mebibytes, fleet_storage,
        has_ipv6 ? "::" : "0.0.0.0");
    text += users_of(plan.head, rights_of_operator(), now);
    for (const FleetNode& node : plan.nodes) text += users_of(node, rights_of_node(node), now);
    return text + "    ]\n  }\n}\n";
}

}  // namespace bandd
