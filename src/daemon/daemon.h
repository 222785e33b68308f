// SPDX-License-Identifier: GPL-2.0-or-later
// Wiring: makes the parts, runs the loop, ends in order.
#pragma once

#include <deque>
#include <memory>
#include <set>
#include <string>

#include "config/load.h"
#include "control/server.h"
#include "daemon/asker.h"
#include "daemon/endpoints.h"
#include "daemon/geoblocker.h"
#include "daemon/pipeline.h"
#include "daemon/streams.h"
#include "facts/databases.h"
#include "os/log.h"
#include "os/loop.h"
#include "os/replaced_files.h"
#include "os/spawner.h"

namespace bandd {

struct DaemonOptions {
    std::string config = "/etc/bandd";
    bool read_stdin = false;
};

class Daemon {
  public:
    explicit Daemon(DaemonOptions options) : options_(std::move(options)) {}

    // 0 after SIGTERM; 2 if the configuration or something it names can't be used (said on stderr).
    int run();

  private:
    Result<> start();
    void stop();
    void say_errors(const std::vector<Error>& errors);

    Result<> load(Config& config, std::shared_ptr<const Compiled>& compiled);
    Result<> enter_rights();
    Result<> make_backends(const Config& config);
    struct Saved {
        Watch::Saved logs;
        std::string journal_cursor;
    };
    Saved load_state();
    Result<> replace_state();
    void apply_config(Saved saved, Instant now);
    Result<> reload();
    Result<> start_asker();
    Result<> open_databases();
    Result<> start_geoblocker();
    void ask_again(Instant now);
    void take_answers(Instant now);
    void on_signal(int signal);
    void write_soon();
    void take_checkpoint(Instant now);
    void checkpoint(Instant now, bool last);
    void on_stored();
    void set_deadline(Instant now);
    void say_what_is_watched();
    void watch_health(bool starting);

    // daemon/events.cpp: what is logged, what watchers hear
    void on_event(const Event& event);
    void on_report(const Report& report);
    const std::string& jail_name(JailIndex jail) const;

    // daemon/asked.cpp: what Postfix, nginx, Dovecot, Prometheus and other machines ask
    Endpoints::Calls endpoint_calls();
    Decision on_login(const LoginRequest& request);
    void on_failed_password(const LoginRequest& request);
    RemoteReply on_remote(const PeerConfig& peer, const RemoteRequest& request);
    void on_account_over(const AccountOver& over);
    void load_users(bool starting);
    Result<> watch_users();
    std::string metrics() const;
    Json list_accounts(const Json& arguments);
    Json change_account(const Json& arguments);

    // daemon/commands.cpp: what bandctl asks
    std::optional<Json> on_command(const std::string& command, const Json& arguments,
                                   ControlServer::Reply reply);
    Json status(const Json& arguments);
    Json list_bans(const Json& arguments);
    Json ban(const Json& arguments);
    Json unban(const Json& arguments);
    std::optional<Json> explain(const Json& arguments, ControlServer::Reply reply);
    std::optional<Json> history(const Json& arguments, ControlServer::Reply reply);
    Json ban_to_json(const Ban& ban, bool with_matches) const;

    DaemonOptions options_;
    Config config_;
    std::shared_ptr<const Compiled> compiled_;
    Log log_;
    SystemUser account_;
    gid_t group_ = 0;
    bool unprivileged_ = false;  // not started by root
    std::unique_ptr<Loop> loop_;
    Fd signals_, address_notices_, mounts_, listening_;
    std::unique_ptr<Spawner> spawner_;
    GeoDatabases facts_;
    std::unique_ptr<ReplacedFiles> replaced_databases_;
    std::unique_ptr<Store> store_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<Dispatch> dispatch_;
    std::unique_ptr<Watch> watch_;
    std::unique_ptr<Pipeline> pipeline_;
    std::unique_ptr<Streams> streams_;
    std::unique_ptr<Asker> asker_;
    std::unique_ptr<Endpoints> endpoints_;
    std::unique_ptr<Geoblocker> geoblocker_;
    bool stale_geoblocks_ = false;  // of a daemon before us, and not configured any more
    std::unique_ptr<ReplacedFiles> users_file_;
    LatencyHistogram turns_;  // how long the loop was busy
    std::unique_ptr<ControlServer> control_;
    std::deque<Checkpoint> unwritten_;  // taken, in this order; the store takes one at a time
    std::optional<Error> store_error_;
    std::set<std::string> said_problems_;              // of those, what was said louder than `info`
    std::uint64_t health_version_ = 0;                 // of Watch, when it was last looked at
    std::map<std::string, std::string> log_problems_;  // by path: what was last said of it
    Instant started_, last_checkpoint_;
    bool state_lost_ = false;  // begun anew at this start
    // Notes as the last checkpoint has them.
    std::string saved_cursor_, saved_conversations_, saved_waiting_;
    bool dirty_ = false;  // something happened since the last checkpoint
    bool ending_ = false;
    bool starting_ = true;  // until the first checkpoint is written
    std::uint64_t seen_lines_ = 0;
};

// Tells a supervisor (systemd's notify protocol) how things are; nothing where there is none.
void notify_supervisor(const std::string& state);

}  // namespace bandd
