// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/daemon.h"

#include <sys/epoll.h>

#include <algorithm>
#include <csignal>

#include "action/make_carrier.h"
#include "control/server.h"
#include "daemon/announcer.h"
#include "daemon/answerer.h"
#include "daemon/checkpointer.h"
#include "daemon/commands.h"
#include "daemon/endpoints.h"
#include "daemon/geoip.h"
#include "daemon/log_health.h"
#include "daemon/logins.h"
#include "daemon/pipeline.h"
#include "daemon/remote_bans.h"
#include "daemon/run.h"
#include "daemon/status.h"
#include "daemon/supervisor.h"
#include "daemon/users_file.h"
#include "net/tls.h"
#include "os/clock.h"
#include "os/interfaces.h"
#include "os/log.h"
#include "os/loop.h"
#include "os/memory.h"
#include "os/signals.h"
#include "programs/programs.h"
#include "source/sources.h"
#include "store/store.h"

namespace bandd {
namespace {

EngineLimits limits_of(const Config& config) {
    EngineLimits limits;
    limits.bans = config.ban_limit;
    limits.offence_memory = config.dbpurgeage;
    return limits;
}

std::vector<JailRules> rules_of(const Config& config) {
    std::vector<JailRules> rules;
    for (const JailConfig& jail : config.jails) rules.push_back(jail.rules);
    return rules;
}

std::vector<JailActions> actions_of(const Config& config, const Engine& engine) {
    std::vector<JailActions> jails;
    for (std::size_t i = 0; i < config.jails.size(); ++i)
        jails.push_back({engine.jails()[i], config.jails[i].rules.name, config.jails[i].actions});
    return jails;
}

// Certificates and keys are read when they are put to use; whether that will succeed is found out
// here.
Result<> check_tls(const Config& config) {
    auto check = [](const char* what, const std::vector<ListenAddress>& addresses) -> Result<> {
        for (const ListenAddress& address : addresses) {
            if (address.kind != ListenAddress::Kind::tls) continue;
            auto loaded = TlsServer::load(address.tls);
            if (loaded) continue;
            Error error = loaded.error();
            error.what = std::string(what) + ": " + to_string(address) + ": " + error.what;
            return std::unexpected(error);
        }
        return {};
    };
    for (const JailConfig& jail : config.jails)
        if (jail.syslog)
            if (auto good = check("syslog", jail.syslog->listen); !good) return good;
    if (auto good = check("policy", config.policy.listen); !good) return good;
    return check("remote", config.remote.listen);
}

// What `fresh` listens at and `config` does not.
Result<ListeningSockets> new_sockets(Roles& roles, const Config& fresh, const Config& config) {
    std::vector<std::string> known;
    for (const WantedSocket& socket : wanted_sockets(config))
        known.push_back(to_string(socket.address));
    bool all_known = std::ranges::all_of(wanted_sockets(fresh), [&](const WantedSocket& socket) {
        return std::ranges::find(known, to_string(socket.address)) != known.end();
    });
    if (all_known) return ListeningSockets{};
    return ask_for_sockets(roles, known);
}

bool needs_restart(const Config& fresh, const Config& config) {
    return fresh.state != config.state || fresh.socket != config.socket ||
           fresh.user != config.user || fresh.group != config.group;
}

// Each kind of sets has a bandd-kernel of its own.
StartKernel starting_kernel(Roles& roles) {
    return [&roles](kernel::Served served) {
        switch (served) {
            case kernel::Served::nftables:
                return roles.start_role(Role::nftables);
            case kernel::Served::ipset:
                return roles.start_role(Role::ipset);
            case kernel::Served::geoblocks:
                break;
        }
        return roles.start_role(Role::geoblocks);
    };
}

}  // namespace

Daemon::Daemon(const DaemonOptions& options, Opened opened, Log& log)
    : options_(options), log_(log), opened_(std::move(opened)), started_(now()) {}

Daemon::~Daemon() = default;

void Daemon::say(const Error& error) { log_.put(Severity::error, to_line(error)); }

Result<> Daemon::make_carriers(const Config& config) {
    for (const JailConfig& jail : config.jails)
        for (const ActionConfig& action : jail.actions) {
            std::size_t kind = action.index();
            if (dispatch_->has_carrier(kind)) continue;
            auto carrier = make_carrier(action, *programs_, starting_kernel(*opened_.roles));
            if (!carrier) return std::unexpected(carrier.error());
            int fd = (*carrier)->notice_fd();
            dispatch_->add_carrier(kind, std::move(*carrier));
            if (fd < 0) continue;
            [[maybe_unused]] auto added =
                opened_.loop->add(fd, EPOLLIN, [this, kind](std::uint32_t) {
                    Report report;
                    dispatch_->on_notice(kind, now(), report);
                    pipeline_->put(report);
                });
        }
    return {};
}

Result<> Daemon::make_parts() {
    Loop& loop = *opened_.loop;
    programs_ = std::make_unique<Programs>(*opened_.roles, loop,
                                           [this](const Error& error) { say(error); });
    answerer_ = std::make_unique<Answerer>(*opened_.roles, loop, config().dns_servers, *programs_,
                                           [this](const Error& error) { say(error); });
    auto geoip = Geoip::start(loop, config(), starting_kernel(*opened_.roles), log_);
    if (!geoip) return std::unexpected(geoip.error());
    geoip_ = std::move(*geoip);
    engine_ = std::make_unique<Engine>(limits_of(config()));
    engine_->set_facts(&geoip_->facts());
    auto users = UsersFile::start(loop, config(), *engine_, log_);
    if (!users) return std::unexpected(users.error());
    users_file_ = std::move(*users);
    users_file_->configure(true);
    dispatch_ = std::make_unique<Dispatch>(engine_->bans(), Dispatch::Carriers{});
    pipeline_ = std::make_unique<Pipeline>(
        *engine_, *dispatch_, *opened_.sources,
        Pipeline::Listener{[this](const Event& event) { on_event(event); },
                           [this](const Question& question) { answerer_->ask(question, now()); },
                           [this](const Report& report) { announcer_->tell(report); }});
    auto checkpointer = Checkpointer::start(
        {config(), log_, loop, *engine_, *pipeline_, *opened_.sources}, std::move(opened_.store),
        opened_.state_lost, [] { release_start_memory(); });
    if (!checkpointer) return std::unexpected(checkpointer.error());
    checkpointer_ = std::move(*checkpointer);
    health_ = std::make_unique<LogHealth>(log_, opened_.sources->files(), *engine_);
    return {};
}

// What others request of us.
void Daemon::make_request_parts() {
    control_ = std::make_unique<ControlServer>(
        *opened_.loop, std::move(opened_.control), opened_.account.group, opened_.account.user.uid,
        [this](const std::string& command, const Json& arguments, ControlServer::Reply reply) {
            return commands_->run(command, arguments, reply);
        },
        [this](const Error& error) { log_.put(Severity::warning, "control: " + to_line(error)); });
    announcer_ = std::make_unique<Announcer>(log_, *engine_, *dispatch_, *control_);
    logins_ = std::make_unique<Logins>(Logins::Parts{config(), log_, *engine_, *pipeline_,
                                                     *announcer_, *programs_, geoip_->facts(),
                                                     [this] { checkpointer_->changed(); }});
    remote_bans_ = std::make_unique<RemoteBans>(config().remote, *engine_, *pipeline_,
                                                [this] { checkpointer_->write_soon(); });
    commands_ = std::make_unique<Commands>(command_parts());
    serve_requests();
}

CommandParts Daemon::command_parts() {
    return {config(),
            log_,
            *engine_,
            *dispatch_,
            *pipeline_,
            geoip_->facts(),
            *checkpointer_,
            [this] { return status(); },
            [this] { return reload(); }};
}

void Daemon::serve_requests() {
    Endpoints::Calls calls;
    calls.on_login = [this](const LoginRequest& request) { return logins_->decide(request); };
    calls.on_failure = [this](const LoginRequest& request) {
        logins_->on_failed_password(request);
    };
    calls.on_remote = [this](const PeerConfig& peer, const RemoteRequest& request,
                             const Address& asker) {
        return remote_bans_->carry_out(peer, request, asker);
    };
    calls.metrics = [this] { return status_to_prometheus(status()); };
    calls.on_error = [this](const Error& error) { say(error); };
    calls.on_warning = [this](const Error& error) { log_.put(Severity::warning, to_line(error)); };
    calls.audit = [this](std::string line) { log_.put(Severity::notice, std::move(line)); };
    opened_.endpoints->set_calls(std::move(calls));
}

Status Daemon::status() const {
    return collect_status({options_.config, started_, config(), *engine_, *dispatch_, *pipeline_,
                           *opened_.sources, *answerer_, *programs_, *opened_.endpoints, *control_,
                           log_, turns_, checkpointer_->error()});
}

Result<> Daemon::listen() {
    return opened_.loop->add(opened_.signals.get(), EPOLLIN, [this](std::uint32_t) {
        while (int signal = read_signal(opened_.signals)) on_signal(signal);
    });
}

// Its own addresses.
Result<> Daemon::listen_to_machine() {
    engine_->set_own_addresses(PrefixSet(own_addresses()));
    if (auto notices = open_address_notices()) {
        opened_.address_notices = std::move(*notices);
        auto added =
            opened_.loop->add(opened_.address_notices.get(), EPOLLIN, [this](std::uint32_t) {
                drain(opened_.address_notices);
                engine_->set_own_addresses(PrefixSet(own_addresses()));
            });
        if (!added) return added;
    }
    return {};
}

SavedSources Daemon::load_state(Instant at) {
    Outcome outcome;
    engine_->set_rules(rules_of(config()), at, outcome);
    if (auto saved = checkpointer_->load()) return std::move(*saved);
    renew_engine(at);
    return {};
}

// Another engine in place of the one that half of a broken state was restored to.
void Daemon::renew_engine(Instant at) {
    *engine_ = Engine(limits_of(config()));
    engine_->set_facts(&geoip_->facts());
    Outcome outcome;
    engine_->set_rules(rules_of(config()), at, outcome);
    engine_->set_own_addresses(PrefixSet(own_addresses()));
    users_file_->configure(true);
}

Result<> Daemon::begin() {
    if (auto made = make_parts(); !made) return made;
    make_request_parts();
    if (options_.read_stdin) opened_.sources->standard_input().want([this] { ending_ = true; });
    if (auto listening = listen(); !listening) return listening;
    if (auto listening = listen_to_machine(); !listening) return listening;
    Instant at = now();
    SavedSources saved = load_state(at);
    // Bans go on without them.
    if (auto read = programs_->prepare(config()); !read) say(read.error());
    programs_->take(config());
    if (auto made = make_carriers(config()); !made) return made;
    dispatch_->hold_removals();
    // Nobody waits for us yet.
    apply_config(std::move(saved), at, KernelCarrier::longest_silence);
    if (auto set_up = opened_.endpoints->configure(config(), *opened_.loop, opened_.sockets);
        !set_up)
        return set_up;
    if (auto prepared = geoip_->prepare_blocks(config()); !prepared) return prepared;
    geoip_->make_blocks();
    log_.write(Severity::notice, "bandd {} started: {} jails, {} bans, state {}", BANDD_VERSION,
               config().jails.size(), engine_->bans().size(), config().state);
    say_what_is_watched();
    notify_supervisor("READY=1");
    // Where reading began is written at once: a log may be rotated before anything happens in it.
    checkpointer_->changed();
    return {};
}

void Daemon::apply_config(SavedSources saved, Instant at, Duration longest) {
    Report report;
    dispatch_->set_targets(actions_of(config(), *engine_));
    if (checkpointer_->take_lost())
        for (Ban& ban : dispatch_->bans_in_sets(at, report, longest))
            if (engine_->bans().find(ban.key) == nullptr) engine_->restore_ban(std::move(ban));
    dispatch_->make_right(at, report, longest);
    pipeline_->put(report);
    pipeline_->configure(config(), opened_.configuration.compiled);
    opened_.sources->configure(config(), engine_->jails(), std::move(saved), at);
    answerer_->configure(config());
    for (const Question& question : engine_->questions()) answerer_->ask(question, at);
}

void Daemon::say_what_is_watched() {
    bool reads = std::ranges::any_of(config().jails,
                                     [](const JailConfig& jail) { return jail.reads_anything(); });
    bool serves =
        !config().policy.listen.empty() || config().http.listen || !config().remote.listen.empty();
    if (!reads && !serves)
        log_.write(
            Severity::warning,
            "nothing to watch: no jail has a log that exists here; name one with \"logpath:\" "
            "in {}/jails/NAME.yaml, then run bandctl reload",
            config().directory);
    health_->say_all();
}

struct Daemon::Prepared {
    Configuration configuration;
    GeoDatabases databases;
    std::vector<JailRules> rules;
    ListeningSockets sockets;  // that are new
};

std::expected<Daemon::Prepared, Errors> Daemon::prepare() {
    auto loaded = load_configuration(options_.config, Samples::read);
    if (!loaded) return std::unexpected(std::move(loaded.error()));
    Prepared prepared{std::move(*loaded), {}, {}, {}};
    Config& fresh = prepared.configuration.config;
    bool restart = needs_restart(fresh, config());
    fresh.state = config().state;
    fresh.socket = config().socket;
    fresh.user = config().user;
    fresh.group = config().group;
    auto refuse = [](const Error& error) { return std::unexpected(Errors{error}); };
    if (auto good = check_tls(fresh); !good) return refuse(good.error());
    auto sockets = new_sockets(*opened_.roles, fresh, config());
    if (!sockets) return refuse(sockets.error());
    prepared.sockets = std::move(*sockets);
    auto databases = GeoDatabases::open(fresh.geoip);
    if (!databases) return refuse(databases.error());
    prepared.databases = std::move(*databases);
    prepared.rules = rules_of(fresh);
    if (auto room = engine_->check_room(prepared.rules); !room) return refuse(room.error());
    if (auto ready = geoip_->prepare_blocks(fresh); !ready) return refuse(ready.error());
    if (auto made = make_carriers(fresh); !made) return refuse(made.error());
    if (auto read = programs_->prepare(fresh); !read) return refuse(read.error());
    // The last, as it changes something. The log may have been rotated: it is opened anew even if
    // its name is the same.
    if (auto opened = open_log(log_, fresh.log); !opened) return refuse(opened.error());
    if (restart)
        log_.write(Severity::warning,
                   "state, socket, user and group change only when bandd is restarted");
    return prepared;
}

void Daemon::take(Prepared prepared, Instant at) {
    for (const Error& warning : prepared.configuration.compiled.warnings)
        log_.put(Severity::warning, to_line(warning));
    Outcome outcome;
    engine_->set_rules(std::move(prepared.rules), at, outcome);
    // The bans of jails that are gone are lifted by the actions that they were made with.
    pipeline_->put_at_once(outcome, at);
    opened_.configuration = std::move(prepared.configuration);
    programs_->take(config());
    geoip_->take(std::move(prepared.databases));
    engine_->set_own_addresses(PrefixSet(own_addresses()));
    [[maybe_unused]] auto said_by_sources =
        opened_.sources->open(config(), prepared.sockets, false);
    users_file_->configure(false);
    apply_config({}, at, Dispatch::patience);
    auto set_up = opened_.endpoints->configure(config(), *opened_.loop, prepared.sockets);
    if (!set_up) say(set_up.error());
    geoip_->make_blocks();
    checkpointer_->changed();
}

Result<> Daemon::reload() {
    auto prepared = prepare();
    if (!prepared) {
        for (const Error& error : prepared.error()) say(error);
        log_.write(Severity::error, "the configuration was not changed");
        return std::unexpected(summary_of(prepared.error()));
    }
    take(std::move(*prepared), now());
    log_.write(Severity::notice, "configuration loaded: {} jails, {} bans", config().jails.size(),
               engine_->bans().size());
    say_what_is_watched();
    return {};
}

void Daemon::on_signal(int signal) {
    switch (signal) {
        case SIGHUP: {
            notify_supervisor("RELOADING=1");
            [[maybe_unused]] auto said_by_reload = reload();
            notify_supervisor("READY=1");
            break;
        }
        case SIGUSR1:  // as logrotate's postrotate uses it: only open the log anew
            if (auto opened = open_log(log_, config().log); !opened) say(opened.error());
            break;
        default:
            ending_ = true;
    }
}

void Daemon::on_event(const Event& event) {
    checkpointer_->changed();
    announcer_->tell(event);
    if (const auto* over = std::get_if<AccountOver>(&event)) logins_->run_action(*over);
}

void Daemon::set_deadline(Instant at) {
    Instant next = never;
    auto consider = [&](std::optional<Instant> due) {
        if (due && *due < next) next = *due;
    };
    consider(engine_->next_deadline());
    consider(dispatch_->next_deadline());
    consider(opened_.sources->next_deadline());
    consider(opened_.endpoints->next_deadline());
    consider(control_->next_deadline());
    consider(answerer_->next_deadline());
    consider(geoip_->next_deadline());
    consider(programs_->next_deadline());
    consider(checkpointer_->next_deadline(at));
    opened_.loop->set_deadline(next == never ? std::optional<Instant>{} : next);
}

void Daemon::turn(Instant at) {
    while (auto answer = answerer_->next_answer()) pipeline_->take_answer(*answer, at);
    bool more = pipeline_->turn(at) || answerer_->has_answers();
    if (more) {
        opened_.loop->again();
        checkpointer_->changed();
    }
    Report report;
    if (opened_.loop->take_clock_change()) {
        log_.write(Severity::notice, "the clock was set; the ends of bans are made right");
        dispatch_->on_clock_change(at, report);
    }
    if (auto due = dispatch_->next_deadline(); due && *due <= at) dispatch_->on_time(at, report);
    pipeline_->put(report);
    if (auto due = opened_.endpoints->next_deadline(); due && *due <= at)
        opened_.endpoints->on_time(at);
    if (auto due = opened_.sources->next_deadline(); due && *due <= at)
        opened_.sources->on_time(at);
    if (auto due = control_->next_deadline(); due && *due <= at) control_->on_time(at);
    if (auto due = answerer_->next_deadline(); due && *due <= at) answerer_->on_time(at);
    geoip_->on_time(at);
    programs_->on_time(at);
    checkpointer_->on_turn(at);
    health_->say_changes();
    set_deadline(at);
}

void Daemon::run() {
    while (!ending_) {
        double turn_begin = stopwatch();
        turn(now());
        turns_.add(stopwatch() - turn_begin);
        opened_.loop->turn();
    }
    stop();
}

void Daemon::stop() {
    notify_supervisor("STOPPING=1");
    Instant at = now();
    if (config().flush_on_stop) {
        dispatch_->clear(at, KernelCarrier::longest_silence);
        geoip_->clear_blocks();
    }
    dispatch_->finish();
    checkpointer_->finish(at);
    log_.write(Severity::notice, "bandd stopped; bans: {}, which {}", engine_->bans().size(),
               config().flush_on_stop ? "were taken out of the kernel" : "stay in the kernel");
    control_.reset();
}

}  // namespace bandd
