// SPDX-License-Identifier: GPL-2.0-or-later
// Wiring: makes the parts, runs the loop, ends in order.
#pragma once

#include <memory>
#include <string>

#include "config/load.h"
#include "control/server.h"
#include "daemon/announcer.h"
#include "daemon/answerer.h"
#include "daemon/commands.h"
#include "daemon/endpoints.h"
#include "daemon/geoblocker.h"
#include "daemon/geoip.h"
#include "daemon/log_health.h"
#include "daemon/logins.h"
#include "daemon/pipeline.h"
#include "daemon/programs.h"
#include "daemon/remote_bans.h"
#include "daemon/status.h"
#include "daemon/users_file.h"
#include "os/log.h"
#include "os/loop.h"
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
    SavedSources load_state();
    Result<> replace_state();
    void apply_config(SavedSources saved, Instant now);
    Result<> reload();
    Result<> start_answerer();
    void make_parts();
    Result<> start_geoblocker();
    void ask_again(Instant now);
    void take_answers(Instant now);
    void on_signal(int signal);
    void write_soon();
    Checkpoint take_checkpoint(Instant now);
    void checkpoint(Instant now, bool last);
    void on_stored();
    void set_deadline(Instant now);
    void say_what_is_watched();
    void on_event(const Event& event);
    void on_report(const Report& report);
    Endpoints::Calls endpoint_calls();
    CommandParts command_parts();
    Status status() const;

    DaemonOptions options_;
    Config config_;
    std::shared_ptr<const Compiled> compiled_;
    Log log_;
    SystemUser account_;
    gid_t group_ = 0;
    bool unprivileged_ = false;  // not started by root
    std::unique_ptr<Loop> loop_;
    Fd signals_, address_notices_, listening_;
    std::unique_ptr<Spawner> spawner_;
    std::unique_ptr<Geoip> geoip_;
    std::unique_ptr<Store> store_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<Dispatch> dispatch_;
    std::unique_ptr<Sources> sources_;
    std::unique_ptr<Pipeline> pipeline_;
    std::unique_ptr<Programs> programs_;
    std::unique_ptr<Answerer> answerer_;
    std::unique_ptr<Endpoints> endpoints_;
    std::unique_ptr<Geoblocker> geoblocker_;
    bool stale_geoblocks_ = false;  // of a daemon before us, and not configured any more
    std::unique_ptr<UsersFile> users_file_;
    LatencyHistogram turns_;  // how long the loop was busy
    std::unique_ptr<ControlServer> control_;
    std::unique_ptr<Announcer> announcer_;
    std::unique_ptr<LogHealth> health_;
    std::unique_ptr<Logins> logins_;
    std::unique_ptr<RemoteBans> remote_bans_;
    std::unique_ptr<Commands> commands_;
    std::optional<Error> store_error_;
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
