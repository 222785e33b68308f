// SPDX-License-Identifier: GPL-2.0-or-later
// `port: auto`: on which ports of this machine the services of jails listen. They are looked for at
// a start, a reload, and every minute. Where the machine forwards packets for others, its own
// sockets say little of what its bans are for: there only the ports count that the jail names.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/types.h"
#include "os/listening_ports.h"

namespace bandd {

class Log;

// What this machine says of itself.
struct MachinePorts {
    std::vector<ListeningPort> listening;
    bool forwards = false;
    std::uint16_t first_ephemeral = 32768;
};
Result<MachinePorts> look_at_machine();

class ServicePorts {
  public:
    static constexpr Duration pause = std::chrono::minutes(1);
    // A service that is started anew listens nowhere for a moment. A port is one of its until it
    // was not there at so many looks in a row.
    static constexpr int looks_to_forget = 60;

    using LookAtMachine = std::function<Result<MachinePorts>()>;
    explicit ServicePorts(Log& log, LookAtMachine look = look_at_machine)
        : log_(log), look_(std::move(look)) {}

    // Looks at once. What is known of jails that go on is kept.
    void configure(const Config& config, Instant now);
    // True: some jail has other ports than before.
    bool on_time(Instant now);
    // Nothing: no jail asks.
    std::optional<Instant> next_deadline() const { return due_; }

    // An action with the ports that were found; one that does not ask stays as it is.
    ActionConfig with_ports(const std::string& jail, const ActionConfig& action) const;
    // A jail bans. It is said once if nothing listens on any port that its bans close, as then the
    // attacker comes in elsewhere.
    void on_ban(const std::string& jail);
    // On so many ports the jail's service listens that its bans do not close, as they are too many.
    std::size_t left_open(const std::string& jail) const;
    bool forwards() const { return machine_.forwards; }

  private:
    struct Found {
        int unseen = 0;    // looks in a row
        bool sure = true;  // an ephemeral port is believed when it is seen twice
    };
    using PortKey = std::pair<Protocol, std::uint16_t>;
    struct Jail {
        ServiceConfig service;
        std::vector<uid_t> users;             // the numbers of its users
        std::vector<NftablesAction> actions;  // that ask
        std::map<PortKey, Found> found;
        std::size_t left_open = 0;
        bool warned = false, said_left_open = false;
    };
    bool look(Instant now, bool first);
    bool update(Jail& jail, bool first) const;
    static bool wants(const Jail& jail, const PortKey& key);
    void say_left_open(const std::string& name, Jail& jail);
    NftablesAction filled(const Jail& jail, NftablesAction action) const;

    Log& log_;
    LookAtMachine look_;
    std::map<std::string, Jail> jails_;
    MachinePorts machine_;
    bool said_forwards_ = false, said_error_ = false;
    std::optional<Instant> due_;
};

}  // namespace bandd
