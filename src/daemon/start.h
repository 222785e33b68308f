// SPDX-License-Identifier: GPL-2.0-or-later
// What bandd opens at its start, and as whom. The order is what matters here:
//   1. the configuration; helper processes, before anything is open that they could inherit;
//   2. as root: directories, the state's files, the log, sockets;
//   3. rights are dropped, dangerous calls forbidden;
//   4. what needs no rights.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "control/server.h"
#include "daemon/configuration.h"
#include "daemon/kernel_claims.h"
#include "fleet/membership.h"
#include "net/listening_sockets.h"
#include "os/credentials.h"
#include "os/fd.h"
#include "os/rights.h"
#include "os/roles.h"

namespace bandd {

class Endpoints;
class Log;
class Loop;
class Sources;
class Store;
struct DaemonOptions;

// Whom bandd is after its start.
struct Account {
    SystemUser user;
    gid_t group = 0;            // may use the control socket
    bool unprivileged = false;  // bandd was not started by root
};

struct Opened {
    Opened();
    Opened(Opened&&) noexcept;
    ~Opened();

    Configuration configuration;
    Account account;
    Fd signals;
    std::unique_ptr<Loop> loop;  // of what follows, which goes before it
    InheritedSockets inherited;  // until all sockets are open
    // Helper processes.
    std::unique_ptr<Roles> roles;
    // Sockets, and what is read.
    ControlServer::Socket control;
    ListeningSockets sockets;
    std::unique_ptr<Endpoints> endpoints;
    std::unique_ptr<Sources> sources;
    KernelClaims claims;
    // Without rights.
    std::unique_ptr<Store> store;
    std::optional<Membership> membership;  // in a fleet
    bool state_lost = false;  // the state is a new one: there was none, or a broken one
    // Opened last, by Daemon; closed where the machine does not have them.
    Fd address_notices;
};

// What is wrong is in the errors, and not said yet. What is said goes to `log`, which outlives it.
std::expected<Opened, Errors> open_all(const DaemonOptions& options, Log& log);

}  // namespace bandd
