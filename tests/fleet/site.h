// SPDX-License-Identifier: GPL-2.0-or-later
// Three machines with bandd, each in a network namespace of its own on one bridge, and a real
// nats-server.
#pragma once

#include <fmt/format.h>

#include <array>
#include <map>
#include <memory>
#include <string>

#include "fleet/fleet_server.h"
#include "support/setup.h"

namespace bandd {

// The server is at 10.9.0.1; gate, mx1 and mx2 are at .2, .3 and .4 on the same bridge.
class Site {
  public:
    static std::unique_ptr<Site> make() {
        if (!has_nats_server()) return {};
        return std::unique_ptr<Site>(new Site);
    }
    ~Site() {
        nodes_.clear();
        for (const char* name : names) sh(std::string("ip netns del ") + name);
        sh("ip link del fleet0");
    }

    struct Node : AppSetup {
        explicit Node(const std::string& name) : AppSetup("ip netns exec " + name), name(name) {}
        std::string name;
        bool holds(const std::string& ip) const {
            return has(sh("ip netns exec " + name + " nft list ruleset").out, " " + ip + " ");
        }
        // In the kernel's set.
        bool gets(const std::string& ip, double seconds = 15) const {
            bool done = wait_for([&] { return holds_any(ip); }, seconds);
            if (!done) UNSCOPED_INFO(name << ": " << daemon.log());
            return done;
        }
        bool loses(const std::string& ip, double seconds = 15) const {
            bool done = wait_for([&] { return !holds_any(ip); }, seconds);
            if (!done) UNSCOPED_INFO(name << ": " << daemon.log());
            return done;
        }

      private:
        bool holds_any(const std::string& ip) const {
            std::string rules = sh("ip netns exec " + name + " nft list ruleset").out;
            for (const char* after : {" ", ",", "\n", "}"})
                if (has(rules, ip + after)) return true;
            return false;
        }
    };

    Node& operator[](const std::string& name) { return *nodes_.at(name); }
    void configure(const std::string& name, const std::string& jail_keys = "",
                   const std::string& fleet_keys = "") {
        Node& node = (*this)[name];
        node.configure_app(jail_keys,
                           "fleet:\n  join: " + fleet.fleet + "/" + name + ".join\n" + fleet_keys);
    }
    void start_all() {
        fleet.start();
        for (const char* name : names) {
            configure(name);
            (*this)[name].start();
        }
    }
    bool all_get(const std::string& ip) {
        return std::ranges::all_of(names, [&](const char* name) { return (*this)[name].gets(ip); });
    }
    bool all_lose(const std::string& ip) {
        return std::ranges::all_of(names,
                                   [&](const char* name) { return (*this)[name].loses(ip); });
    }
    void hit(const std::string& node, const std::string& ip, int times = 2) {
        for (int i = 0; i < times; ++i) (*this)[node].denied(ip);
    }
    static void cut(const std::string& node) { must("ip link set to-" + node + " down"); }
    static void heal(const std::string& node) { must("ip link set to-" + node + " up"); }

    static constexpr std::array names{"gate", "mx1", "mx2"};
    FleetSetup fleet{"10.9.0.1:4222"};

  private:
    Site() {
        must(
            "ip link add fleet0 type bridge && ip addr add 10.9.0.1/24 dev fleet0 && ip link set "
            "fleet0 up");
        int number = 2;
        for (const char* name : names)
            must(fmt::format(
                "ip netns add {0} && ip link add to-{0} type veth peer name eth0 netns {0} && "
                "ip link set to-{0} master fleet0 up && ip -n {0} link set lo up && "
                "ip -n {0} addr add 10.9.0.{1}/24 dev eth0 && ip -n {0} link set eth0 up",
                name, number++));
        for (const char* name : names) nodes_[name] = std::make_unique<Node>(name);
    }
    std::map<std::string, std::unique_ptr<Node>> nodes_;
};

}  // namespace bandd
