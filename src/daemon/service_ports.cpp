// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/service_ports.h"

#include <netinet/in.h>

#include <algorithm>
#include <set>

#include "config/ports.h"
#include "os/log.h"

namespace bandd {

Result<MachinePorts> look_at_machine() {
    auto listening = listening_ports();
    if (!listening) return std::unexpected(listening.error());
    return MachinePorts{std::move(*listening), forwards_packets(), first_ephemeral_port()};
}

void ServicePorts::configure(const Config& config, Instant now) {
    std::map<std::string, Jail> jails;
    for (const JailConfig& jail : config.jails) {
        Jail wanted{.service = jail.service};
        for (const ActionConfig& action : jail.actions)
            if (const auto* nftables = std::get_if<NftablesAction>(&action))
                if (nftables->auto_ports) wanted.actions.push_back(*nftables);
        if (wanted.actions.empty()) continue;
        wanted.users = numbers_of(jail.service.users);
        auto known = jails_.find(jail.rules.name);
        if (known != jails_.end() && known->second.service == wanted.service) {
            wanted.found = std::move(known->second.found);
            wanted.said_left_open = known->second.said_left_open;
        }
        jails.emplace(jail.rules.name, std::move(wanted));
    }
    jails_ = std::move(jails);
    due_.reset();
    if (!jails_.empty()) look(now, true);
}

bool ServicePorts::on_time(Instant now) {
    if (!due_ || now < *due_) return false;
    return look(now, false);
}

bool ServicePorts::look(Instant now, bool first) {
    due_ = now + pause;
    auto machine = look_();
    if (!machine) {
        if (!std::exchange(said_error_, true))
            log_.put(Severity::warning, "port: auto: " + to_line(machine.error()));
        return false;
    }
    said_error_ = false;
    bool turned = machine->forwards != machine_.forwards;
    machine_ = std::move(*machine);
    if (machine_.forwards && !std::exchange(said_forwards_, true))
        log_.put(
            Severity::notice,
            "this machine forwards packets for others, so \"port: auto\" closes the ports only "
            "that jails name");
    bool changed = turned;
    for (auto& [name, jail] : jails_) {
        bool other = update(jail, first);
        say_left_open(name, jail);
        changed = changed || other;
        if (!other || machine_.forwards) continue;
        for (const NftablesAction& action : jail.actions)
            log_.write(Severity::info, "jail {}: bans close ports {}", name,
                       to_string(filled(jail, action).ports));
    }
    return changed;
}

// Of an FTP server's data connection, or a resolver's question, there is a port for a moment, which
// is an ephemeral one.
bool ServicePorts::update(Jail& jail, bool first) const {
    bool changed = false;
    for (auto& [key, found] : jail.found) ++found.unseen;
    std::set<PortKey> left_open;
    for (const ListeningPort& one :
         ports_of(machine_.listening, jail.service.units, jail.users, machine_.first_ephemeral)) {
        PortKey key{one.protocol == IPPROTO_TCP ? Protocol::tcp : Protocol::udp, one.port};
        bool ephemeral = key.second >= machine_.first_ephemeral;
        if (!wants(jail, key)) continue;
        auto known = jail.found.find(key);
        if (known == jail.found.end()) {
            if (jail.found.size() == most_ports_of_service) {
                left_open.insert(key);
                continue;
            }
            bool sure = first || !ephemeral;
            jail.found.emplace(key, Found{0, sure});
            changed = changed || sure;
            continue;
        }
        bool in_a_row = known->second.unseen == 1;
        known->second.unseen = 0;
        if (known->second.sure || !in_a_row) continue;
        known->second.sure = changed = true;
    }
    std::erase_if(jail.found, [&](const auto& entry) {
        const Found& found = entry.second;
        bool gone = found.unseen >= (found.sure ? looks_to_forget : 1);
        changed = changed || (gone && found.sure);
        return gone;
    });
    jail.left_open = left_open.size();
    return changed;
}

// Some action closes ports of this protocol, and does not name this one.
bool ServicePorts::wants(const Jail& jail, const PortKey& key) {
    return std::ranges::any_of(jail.actions, [&](const NftablesAction& action) {
        return std::ranges::find(action.protocols, key.first) != action.protocols.end() &&
               !contains(action.ports, key.second);
    });
}

void ServicePorts::say_left_open(const std::string& name, Jail& jail) {
    if (jail.left_open == 0 || machine_.forwards || std::exchange(jail.said_left_open, true))
        return;
    log_.write(
        Severity::warning,
        "jail {}: its service listens on more ports than \"port: auto\" closes, which is {}: "
        "{} stay open; name them by \"port\", or \"all\"",
        name, most_ports_of_service, jail.left_open);
}

std::size_t ServicePorts::left_open(const std::string& name) const {
    auto known = jails_.find(name);
    return known == jails_.end() || machine_.forwards ? 0 : known->second.left_open;
}

NftablesAction ServicePorts::filled(const Jail& jail, NftablesAction action) const {
    if (machine_.forwards) return action;
    for (const auto& [key, found] : jail.found)
        if (found.sure && std::ranges::find(action.protocols, key.first) != action.protocols.end())
            action.ports.push_back({key.second, key.second});
    action.ports = sorted_and_merged(std::move(action.ports));
    return action;
}

ActionConfig ServicePorts::with_ports(const std::string& jail, const ActionConfig& action) const {
    const auto* nftables = std::get_if<NftablesAction>(&action);
    auto known = jails_.find(jail);
    if (nftables == nullptr || !nftables->auto_ports || known == jails_.end()) return action;
    return filled(known->second, *nftables);
}

void ServicePorts::on_ban(const std::string& name) {
    auto known = jails_.find(name);
    if (known == jails_.end() || known->second.warned || machine_.forwards || !due_) return;
    Jail& jail = known->second;
    for (const NftablesAction& action : jail.actions) {
        std::vector<PortRange> ports = filled(jail, action).ports;
        bool listens =
            ports.empty() || std::ranges::any_of(machine_.listening, [&](const auto& one) {
                return contains(ports, one.port);
            });
        if (listens) continue;
        jail.warned = true;
        log_.write(Severity::warning,
                   "jail {}: bans close ports {}, on which nothing listens here: the service "
                   "listens elsewhere; name its \"port\", or all",
                   name, to_string(ports));
        return;
    }
}

}  // namespace bandd
