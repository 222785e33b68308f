// SPDX-License-Identifier: GPL-2.0-or-later
// Makes a fleet and changes who is in it: keys, the server's configuration, and one file a node.
// Needs neither daemon nor server; what is to be done with the files is printed.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cli/command.h"
#include "cli/fleet_calls.h"
#include "cli/output.h"
#include "config/document.h"
#include "fleet/certificate.h"
#include "fleet/directory.h"
#include "fleet/nkey.h"
#include "fleet/plan.h"
#include "os/clock.h"

namespace bandd {
namespace {

constexpr const char* plan_file = "fleet.yaml";
constexpr const char* server_file = "nats-server.conf";
constexpr const char* authority_file = "authority.pem";
constexpr std::size_t most_nodes = 4096;

struct Options {
    std::string verb, jail, directory = "/etc/bandd/fleet", keep_for, server_files = "/etc/nats",
                            store = "/var/lib/nats";
    std::vector<std::string> names, servers, counting;
    bool end = false;
};

std::string join_file_of(const std::string& node) { return node + ".join"; }

Result<> check_node_name(const std::string& name) {
    if (name == fleet_operator)
        return fail("\"" + name + "\"", "is the name of the fleet's operator",
                    "give the node another one");
    if (!is_fleet_name(name))
        return fail("\"" + name + "\"", "is no name of a node",
                    "take the machine's host name: letters, digits, dots, - and _");
    return {};
}

// Gives the node a new key, and makes the file that has its seed.
Result<FleetFile> give_key(const FleetPlan& plan, FleetNode& node, const std::string& authority) {
    auto seed = make_nkey_seed();
    if (!seed) return std::unexpected(seed.error());
    auto known = public_nkey_of(*seed);
    if (!known) return std::unexpected(known.error());
    node.keys.push_back({*known, never});
    Membership membership;
    membership.access = {plan.name, node.name, {}, plan.counting(), authority, *seed};
    for (const FleetServer& server : plan.servers)
        membership.access.servers.push_back(to_string(server));
    membership.key = plan.key;
    return FleetFile{join_file_of(node.name), to_join_file(membership)};
}

Result<FleetPlan> planned(const Options& options) {
    FleetPlan plan;
    plan.name = options.names.front();
    plan.server_files = options.server_files;
    plan.store = options.store;
    plan.head.name = fleet_operator;
    if (!is_fleet_name(plan.name))
        return fail("\"" + plan.name + "\"", "is no name of a fleet",
                    "letters, digits, dots, - and _");
    if (options.servers.empty())
        return fail("--server", "is missing",
                    "say where nodes reach the server: --server HOST[:PORT]");
    if (options.servers.size() > most_fleet_servers)
        return fail("--server", fmt::format("is given more than {} times", most_fleet_servers));
    for (const std::string& text : options.servers) {
        auto server = parse_fleet_server(text);
        if (!server) return std::unexpected(server.error());
        plan.servers.push_back(*server);
    }
    for (auto name = options.names.begin() + 1; name != options.names.end(); ++name) {
        if (auto fits = check_node_name(*name); !fits) return std::unexpected(fits.error());
        if (plan.find(*name) != nullptr) return fail("\"" + *name + "\"", "is named twice");
        plan.nodes.push_back({*name, false, {}});
    }
    if (plan.nodes.size() > most_nodes)
        return fail("fleet init", fmt::format("has more than {} nodes", most_nodes));
    for (const std::string& name : options.counting) {
        FleetNode* node = plan.find(name);
        if (node == nullptr)
            return fail("--count \"" + name + "\"", "is not among the nodes",
                        "name it among them, too");
        node->counts = true;
    }
    auto counting = plan.counting().size();
    if (counting == 0 || counting > most_counting_nodes)
        return fail("--count",
                    fmt::format("is to name one to {} of the nodes", most_counting_nodes),
                    "one counts hits for all; two or three, and one may be lost");
    auto key = make_fleet_key();
    if (!key) return std::unexpected(key.error());
    plan.key = *key;
    return plan;
}

void print_server_steps(const FleetPlan& plan, const std::string& directory, bool fresh) {
    fmt::print("\nOn the server's machine (package nats-server), as root:\n");
    if (fresh)
        fmt::print(
            "  install -d -m 0755 {0}\n"
            "  install -m 0640 -g nats {1}/server.pem {1}/server.key {0}\n"
            "  install -d -m 0700 -o nats -g nats {2}\n",
            plan.server_files, directory, plan.store);
    fmt::print(
        "  install -m 0640 -g nats {}/{} /etc/nats-server.conf\n  systemctl {} nats-server\n",
        directory, server_file, fresh ? "restart" : "reload");
}

void print_node_steps(const std::string& directory, const std::vector<std::string>& nodes) {
    fmt::print("\nOn each node, its own file and no other, as root's, mode 0600:\n");
    for (const std::string& node : nodes)
        fmt::print("  {}/{}  ->  {}:/etc/bandd/fleet.join\n", directory, join_file_of(node), node);
    fmt::print("and in its /etc/bandd/bandd.yaml:\n  fleet: {{join: /etc/bandd/fleet.join}}\n");
}

Result<> init(const CommonOptions& common, const Options& options) {
    auto plan = planned(options);
    if (!plan) return std::unexpected(plan.error());
    auto authority = make_authority(plan->name);
    if (!authority) return std::unexpected(authority.error());
    std::vector<std::string> hosts;
    for (const FleetServer& server : plan->servers) hosts.push_back(server.host);
    auto server = make_server_certificate(*authority, plan->name, hosts);
    if (!server) return std::unexpected(server.error());
    std::vector<FleetFile> files{{authority_file, authority->certificate},
                                 {"authority.key", authority->key},
                                 {"server.pem", server->certificate},
                                 {"server.key", server->key}};
    std::vector<std::string> names;
    for (FleetNode& node : plan->nodes) {
        auto file = give_key(*plan, node, authority->certificate);
        if (!file) return std::unexpected(file.error());
        files.push_back(std::move(*file));
        names.push_back(node.name);
    }
    auto head = give_key(*plan, plan->head, authority->certificate);
    if (!head) return std::unexpected(head.error());
    files.push_back(std::move(*head));
    files.push_back({server_file, to_server_config(*plan, now())});
    files.push_back({plan_file, to_text(*plan)});
    if (auto made = FleetDirectory::make(options.directory, files); !made) return made;
    if (common.json) {
        print_json({{"fleet", plan->name}, {"directory", options.directory}, {"nodes", names}});
        return {};
    }
    fmt::print(
        "The fleet \"{}\" of {} is in {}. Keep a copy of that directory in a safe place.\n"
        "Its authority and certificate are good for {} years.\n",
        plan->name, count_of(names.size(), "node"), options.directory, certified_years);
    print_server_steps(*plan, options.directory, true);
    print_node_steps(options.directory, names);
    fmt::print("\n{}/{} stays here: whoever has it may lift bans of all.\n", options.directory,
               join_file_of(std::string(fleet_operator)));
    return {};
}

// A fleet that was made before.
struct Opened {
    FleetDirectory directory;
    FleetPlan plan;
};

Result<Opened> open_fleet(const Options& options) {
    auto directory = FleetDirectory::open(options.directory);
    if (!directory) return std::unexpected(directory.error());
    auto text = directory->read(plan_file);
    if (!text) return std::unexpected(text.error());
    auto plan = parse_fleet_plan(*text, options.directory + "/" + plan_file);
    if (!plan) return std::unexpected(plan.error());
    // What no longer holds is forgotten.
    auto forget = [](FleetNode& node) {
        std::erase_if(node.keys, [](const FleetKey& key) { return key.until <= now(); });
    };
    std::ranges::for_each(plan->nodes, forget);
    forget(plan->head);
    return Opened{std::move(*directory), std::move(*plan)};
}

// The server's file last: it is the one that is acted upon.
Result<> write_plan(const Opened& fleet) {
    if (auto done = fleet.directory.replace({plan_file, to_text(fleet.plan)}); !done) return done;
    return fleet.directory.replace({server_file, to_server_config(fleet.plan, now())});
}

Result<FleetNode*> named_node(Opened& fleet, const std::string& name, bool or_operator) {
    if (or_operator && name == fleet_operator) return &fleet.plan.head;
    FleetNode* node = fleet.plan.find(name);
    if (node == nullptr)
        return fail("\"" + name + "\"", "is no node of the fleet \"" + fleet.plan.name + "\"",
                    "see " + fleet.directory.path() + "/" + plan_file);
    return node;
}

void print_done(const CommonOptions& common, const Opened& fleet, const std::string& what,
                const std::vector<std::string>& names, bool new_files) {
    if (common.json) {
        print_json({{"fleet", fleet.plan.name}, {"done", what}, {"nodes", names}});
        return;
    }
    for (const std::string& name : names) fmt::print("{}: {}\n", name, what);
    print_server_steps(fleet.plan, fleet.directory.path(), false);
    if (new_files) print_node_steps(fleet.directory.path(), names);
}

Result<> add(const CommonOptions& common, const Options& options) {
    auto fleet = open_fleet(options);
    if (!fleet) return std::unexpected(fleet.error());
    auto authority = fleet->directory.read(authority_file);
    if (!authority) return std::unexpected(authority.error());
    for (const std::string& name : options.names) {
        if (auto fits = check_node_name(name); !fits) return fits;
        if (fleet->plan.find(name) != nullptr || fleet->directory.has(join_file_of(name)))
            return fail("\"" + name + "\"", "is in the fleet already",
                        "bandctl fleet rotate " + name + " gives it a new key");
        fleet->plan.nodes.push_back({name, false, {}});
    }
    if (fleet->plan.nodes.size() > most_nodes)
        return fail("fleet add", fmt::format("makes more than {} nodes", most_nodes));
    for (const std::string& name : options.names) {
        auto file = give_key(fleet->plan, *fleet->plan.find(name), *authority);
        if (!file) return std::unexpected(file.error());
        if (auto made = fleet->directory.make_file(*file); !made) return made;
    }
    if (auto done = write_plan(*fleet); !done) return done;
    print_done(common, *fleet, "added", options.names, true);
    return {};
}

Result<> remove(const CommonOptions& common, const Options& options) {
    auto fleet = open_fleet(options);
    if (!fleet) return std::unexpected(fleet.error());
    for (const std::string& name : options.names) {
        auto node = named_node(*fleet, name, false);
        if (!node) return std::unexpected(node.error());
        if ((*node)->counts && fleet->plan.counting().size() == 1)
            return fail("\"" + name + "\"", "is the only node that counts",
                        "make another fleet, in which others count");
        std::erase_if(fleet->plan.nodes,
                      [&](const FleetNode& other) { return other.name == name; });
    }
    if (auto done = write_plan(*fleet); !done) return done;
    for (const std::string& name : options.names)
        if (auto done = fleet->directory.remove(join_file_of(name)); !done) return done;
    print_done(common, *fleet, "removed; it is put out when the server has the new file",
               options.names, false);
    return {};
}

Result<> rotate(const CommonOptions& common, const Options& options) {
    auto fleet = open_fleet(options);
    if (!fleet) return std::unexpected(fleet.error());
    auto authority = fleet->directory.read(authority_file);
    if (!authority) return std::unexpected(authority.error());
    auto old_holds =
        options.keep_for.empty() ? std::optional(forever) : parse_duration(options.keep_for);
    if (!old_holds) return fail("--for \"" + options.keep_for + "\"", "is no duration", "1d, 12h");
    std::vector<FleetFile> files;
    for (const std::string& name : options.names) {
        auto found = named_node(*fleet, name, true);
        if (!found) return std::unexpected(found.error());
        FleetNode& node = **found;
        if (options.end) {
            node.keys.erase(node.keys.begin(), node.keys.end() - 1);
            continue;
        }
        if (node.keys.size() > 1)
            return fail("\"" + name + "\"", "has two keys already",
                        "end the old one first: bandctl fleet rotate " + name + " --end");
        node.keys.back().until = now() + *old_holds;
        auto file = give_key(fleet->plan, node, *authority);
        if (!file) return std::unexpected(file.error());
        files.push_back(std::move(*file));
    }
    for (const FleetFile& file : files)
        if (auto done = fleet->directory.replace(file); !done) return done;
    if (auto done = write_plan(*fleet); !done) return done;
    if (options.end) {
        print_done(common, *fleet, "the old key holds no longer", options.names, false);
        return {};
    }
    print_done(common, *fleet, "has a new key, and its file is another one", options.names, true);
    if (!common.json)
        fmt::print(
            "\nUntil the old key is ended, both hold. Then, and reload the server once more:\n  "
            "bandctl fleet rotate {} --end\n",
            fmt::join(options.names, " "));
    return {};
}

int run_fleet(const CommonOptions& common, const Options& options) {
    if (options.verb == "status") return print_fleet_status(common);
    Result<> done;
    if (options.names.empty())
        done = fail("fleet " + options.verb, "names nobody", "see bandctl fleet --help");
    else if (options.verb == "init")
        done = init(common, options);
    else if (options.verb == "add")
        done = add(common, options);
    else if (options.verb == "remove")
        done = remove(common, options);
    else if (options.verb == "unban") {
        auto text = read_text(options.directory + "/" + join_file_of(std::string(fleet_operator)));
        auto head = text ? parse_join_file(*text, "operator.join")
                         : Result<Membership>(std::unexpected(text.error()));
        if (head) return lift_for_all(common, *head, options.names, options.jail);
        done = std::unexpected(head.error());
    } else
        done = rotate(common, options);
    if (done) return exit_done;
    print_error(done.error());
    return exit_usage;
}

}  // namespace

Run fleet_command(CommandLine& line) {
    auto options = std::make_shared<Options>();
    line.choice(
        "what", options->verb, {"init", "add", "remove", "rotate", "status", "unban"},
        "init NAME NODE…: make a fleet; add, remove NODE…; rotate NODE…: give it another key; "
        "status: how this machine's node is; unban ADDRESS…: lift bans of all machines",
        Must::be_given);
    line.texts("names", options->names,
               "with init the fleet's name, and then host names of nodes; with unban addresses");
    line.text("-j,--jail", options->jail,
              "unban: only of this jail (default: of those that this machine knows of)");
    line.each("--server", options->servers,
              "init: where nodes reach the server, HOST[:PORT]; may be given again");
    line.each("--count", options->counting,
              "init: a node that counts hits for all; one to three of them");
    line.text("--directory", options->directory, "where the fleet's files are");
    line.text("--for", options->keep_for,
              "rotate: how long the old key holds, too (default: until --end)");
    line.flag("--end", options->end, "rotate: the old key holds no longer");
    line.text("--server-files", options->server_files,
              "init: where the server finds its certificate");
    line.text("--store", options->store, "init: where the server keeps its streams");
    return [options](const CommonOptions& common) { return run_fleet(common, *options); };
}

}  // namespace bandd
