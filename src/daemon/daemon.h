// SPDX-License-Identifier: GPL-2.0-or-later
// Wiring: makes the parts, runs the loop, reloads, ends in order. What the parts do is in their own
// files; each gets references to those that it needs, and none knows the Daemon.
#pragma once

#include <memory>

#include "core/base/instant.h"
#include "core/decide/decision.h"
#include "daemon/latency.h"
#include "daemon/start.h"

namespace bandd {

class Announcer;
class LoginLog;
class Answerer;
class Checkpointer;
class Commands;
class ControlServer;
class Dispatch;
class Engine;
class Fleet;
class GeoDatabases;
class Geoip;
class LogHealth;
class Overrides;
class Logins;
class Pipeline;
class Programs;
class Restorer;
class RemoteBans;
class RoleErrors;
class ServicePorts;
class Slices;
class UsersFile;
struct CommandParts;
struct Report;
struct SavedSources;
struct Status;

class Daemon {
  public:
    // `options` and `log` outlive it.
    Daemon(const DaemonOptions& options, Opened opened, Log& log);
    ~Daemon();
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    // Restores the state, makes the kernel right, and is ready; of a large state, that is later.
    Result<> begin();
    // Until a signal, or the end of standard input.
    void run();

  private:
    // The start.
    Result<> make_parts();
    void make_request_parts();
    Result<> listen();
    Result<> listen_to_machine();
    void on_own_addresses();
    void lift_exempt(Instant now);
    SavedSources load_state(Instant now);
    void restore(Instant now);
    void finish_restoring(Instant now);
    void end_restoring(Instant now);
    void find_lost_bans(Instant now, Report& report, Duration longest);
    Result<> go_on_duty();
    void renew_engine(Instant now);
    Result<> make_carriers(const Config& config);
    CommandParts command_parts();
    void serve_requests();

    // A reload takes everything or changes nothing. `prepare` does what may fail; backends that it
    // made and nobody wants then do nothing.
    struct Prepared;
    std::expected<Prepared, Errors> prepare();
    std::expected<Prepared, Errors> prepare_for(Configuration configuration);
    void take(Prepared prepared, Instant now);
    // The keys whose new values wait for a restart.
    Result<std::vector<std::string>> reload();
    // What bandctl changed of the configuration.
    void restore_overrides();
    std::vector<Ban> renew_rules(Instant now);
    Result<> renew_jails();
    void apply_config(SavedSources saved, Instant now, Duration longest);
    void renew_ports(Instant now);
    void say_what_is_watched();

    // A turn.
    void turn(Instant now);
    void set_deadline(Instant now);
    void on_event(const Event& event);
    void on_signal(int signal);
    void stop();

    Config& config() { return opened_.configuration.config; }
    const Config& config() const { return opened_.configuration.config; }
    void say(const Error& error);
    Status status() const;

    const DaemonOptions& options_;
    Log& log_;
    Opened opened_;
    Instant started_;
    std::unique_ptr<RoleErrors> role_errors_;
    std::unique_ptr<Programs> programs_;
    std::unique_ptr<Answerer> answerer_;
    std::unique_ptr<Geoip> geoip_;
    std::unique_ptr<UsersFile> users_file_;
    std::unique_ptr<Overrides> overrides_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<Dispatch> dispatch_;
    std::unique_ptr<Pipeline> pipeline_;
    std::unique_ptr<Fleet> fleet_;  // null: there is none
    std::unique_ptr<Checkpointer> checkpointer_;
    std::unique_ptr<Restorer> restorer_;
    std::unique_ptr<ControlServer> control_;
    std::unique_ptr<LoginLog> login_log_;
    std::unique_ptr<Announcer> announcer_;
    std::unique_ptr<ServicePorts> ports_;
    std::unique_ptr<LogHealth> health_;
    std::unique_ptr<Logins> logins_;
    std::unique_ptr<RemoteBans> remote_bans_;
    std::unique_ptr<Slices> slices_;
    std::unique_ptr<Commands> commands_;
    LatencyHistogram turns_;  // how long the loop was busy
    bool ending_ = false;
};

}  // namespace bandd
