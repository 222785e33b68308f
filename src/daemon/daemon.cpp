// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/daemon.h"

#include <sys/epoll.h>

#include <fmt/ranges.h>

#include <algorithm>
#include <csignal>

#include "action/make_carrier.h"
#include "config/engine_limits.h"
#include "control/server.h"
#include "daemon/address_answers.h"
#include "daemon/announcer.h"
#include "daemon/answerer.h"
#include "daemon/blind_filters.h"
#include "daemon/checkpointer.h"
#include "daemon/commands.h"
#include "daemon/endpoints.h"
#include "daemon/fleet.h"
#include "daemon/geoip.h"
#include "daemon/log_health.h"
#include "daemon/login_log.h"
#include "daemon/logins.h"
#include "daemon/overrides.h"
#include "daemon/pipeline.h"
#include "daemon/remote_bans.h"
#include "daemon/restorer.h"
#include "daemon/run.h"
#include "daemon/service_ports.h"
#include "daemon/slices.h"
#include "daemon/status.h"
#include "daemon/supervisor.h"
#include "daemon/users_file.h"
#include "net/tls.h"
#include "os/clock.h"
#include "os/interfaces.h"
#include "os/log.h"
#include "os/loop.h"
#include "os/memory.h"
#include "os/role_errors.h"
#include "os/signals.h"
#include "programs/programs.h"
#include "source/sources.h"
#include "store/store.h"

namespace bandd {
namespace {

std::vector<JailRules> rules_of(const Config& config) {
    std::vector<JailRules> rules;
    for (const JailConfig& jail : config.jails) {
        rules.push_back(jail.rules);
        rules.back().tells_hits =
            !config.fleet.join.empty() && jail.share == Share::hits && !jail.rules.simulate;
    }
    return rules;
}

std::vector<JailActions> actions_of(const Config& config, const Engine& engine,
                                    const ServicePorts& ports) {
    std::vector<JailActions> jails;
    for (std::size_t i = 0; i < config.jails.size(); ++i) {
        const JailConfig& jail = config.jails[i];
        jails.push_back({engine.jails()[i], jail.rules.name, {}});
        for (const ActionConfig& action : jail.actions)
            jails.back().actions.push_back(ports.with_ports(jail.rules.name, action));
    }
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
    role_errors_ = std::make_unique<RoleErrors>(
        *opened_.roles, loop,
        [this](const std::string& line) { log_.put(Severity::warning, line); });
    programs_ = std::make_unique<Programs>(*opened_.roles, loop,
                                           [this](const Error& error) { say(error); });
    answerer_ = std::make_unique<Answerer>(*opened_.roles, loop, config().dns_servers, *programs_,
                                           [this](const Error& error) { say(error); });
    auto geoip = Geoip::start(loop, config(), starting_kernel(*opened_.roles), log_);
    if (!geoip) return std::unexpected(geoip.error());
    geoip_ = std::move(*geoip);
    engine_ = std::make_unique<Engine>(engine_limits(config()));
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
                           [this](const Report& report) { announcer_->tell(report); },
                           [this](const Lines& lines) {
                               auto news = health_->clock_news(lines, now());
                               checkpointer_->when_written(
                                   now(), [this, news = std::move(news)](const auto&) {
                                       if (news) log_.put(news->severity, news->text);
                                   });
                           },
                           [this](const Lines& lines, std::uint64_t count) {
                               health_->count_old(lines, count, now());
                           },
                           [this](const Lines& lines, std::uint64_t count) {
                               health_->count_given_up(lines, count, now());
                           },
                           [this](ToldHit hit) {
                               if (fleet_) fleet_->on_hit(hit);
                           }},
        [] { return now(); });
    restore_overrides();
    if (opened_.membership)
        fleet_ = std::make_unique<Fleet>(
            Fleet::Parts{config(), log_, loop, *engine_, *pipeline_, *opened_.roles,
                         [this] { checkpointer_->changed(); }},
            *opened_.membership);
    auto checkpointer = Checkpointer::start(
        {config(), log_, loop, *engine_, *pipeline_, *opened_.sources, *overrides_, fleet_.get()},
        std::move(opened_.store), opened_.state_lost, [] { release_start_memory(); });
    if (!checkpointer) return std::unexpected(checkpointer.error());
    checkpointer_ = std::move(*checkpointer);
    restorer_ = std::make_unique<Restorer>(Restorer::Parts{
        log_, loop, *engine_, *dispatch_, *pipeline_, checkpointer_->store(), fleet_.get()});
    ports_ = std::make_unique<ServicePorts>(log_);
    health_ = std::make_unique<LogHealth>(log_, opened_.sources->files(), *engine_);
    return {};
}

// What others request of us.
void Daemon::make_request_parts() {
    control_ = std::make_unique<ControlServer>(
        *opened_.loop, std::move(opened_.control), opened_.account.group, opened_.account.user.uid,
        [this](const std::string& command, const Json& arguments, Reply reply) {
            return commands_->run(command, arguments, reply);
        },
        [this](const Error& error) { log_.put(Severity::warning, "control: " + to_line(error)); });
    login_log_ = std::make_unique<LoginLog>(log_, *opened_.loop, config().access);
    announcer_ = std::make_unique<Announcer>(log_, *login_log_, *engine_, *dispatch_, *control_);
    logins_ = std::make_unique<Logins>(Logins::Parts{config(), log_, *engine_, *pipeline_,
                                                     *announcer_, *programs_, geoip_->facts(),
                                                     [this] { checkpointer_->changed(); }});
    remote_bans_ = std::make_unique<RemoteBans>(config().remote, *engine_, *pipeline_,
                                                [this] { checkpointer_->write_soon(); });
    slices_ = std::make_unique<Slices>();
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
            *overrides_,
            *slices_,
            fleet_.get(),
            [this] { return status(); },
            [this] { return reload(); },
            [this] { return renew_rules(now()); },
            [this] { return renew_jails(); }};
}

void Daemon::serve_requests() {
    Endpoints::Calls calls;
    calls.on_login = [this](const LoginRequest& request) { return logins_->decide(request); };
    calls.on_failure = [this](const LoginRequest& request) {
        return logins_->on_failed_password(request);
    };
    calls.on_remote = [this](const PeerConfig& peer, const RemoteRequest& request,
                             const Address& asker) {
        return remote_bans_->carry_out(peer, request, asker);
    };
    calls.geo = [this](const Address& address) { return geo_answer(geoip_->facts(), address); };
    calls.verdict = [this](const Address& address) {
        return verdict_answer(*engine_, geoip_->facts(), address, now());
    };
    calls.metrics = [this] { return status_to_prometheus(status()); };
    calls.on_error = [this](const Error& error) { say(error); };
    calls.on_warning = [this](const Error& error) { log_.put(Severity::warning, to_line(error)); };
    calls.audit = [this](std::string line) { log_.put(Severity::notice, std::move(line)); };
    opened_.endpoints->set_calls(std::move(calls));
}

Status Daemon::status() const {
    return collect_status({options_.config, started_, config(), *engine_, *dispatch_, *pipeline_,
                           *opened_.sources, *answerer_, *programs_, *role_errors_,
                           *opened_.endpoints, *control_, log_, turns_, geoip_->blocks(), *ports_,
                           checkpointer_->error(), fleet_.get()});
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
                on_own_addresses();
            });
        if (!added) return added;
    }
    return {};
}

void Daemon::on_own_addresses() {
    PrefixSet addresses{own_addresses()};
    if (addresses == engine_->own_addresses()) return;
    engine_->set_own_addresses(std::move(addresses));
    lift_exempt(now());
}

// Bans of what is ignored, or has become our own address.
void Daemon::lift_exempt(Instant at) {
    Outcome outcome;
    engine_->lift_exempt(at, outcome);
    pipeline_->put(outcome, at);
}

SavedSources Daemon::load_state(Instant at) {
    Outcome outcome;
    engine_->set_rules(rules_of(config()), at, outcome);
    if (auto saved = restorer_->begin(at)) return std::move(*saved);
    checkpointer_->on_lost();
    renew_engine(at);
    return {};
}

void Daemon::finish_restoring(Instant at) {
    if (!restorer_->restoring()) return;
    restorer_->finish(at);
    end_restoring(at);
}

// A piece a turn.
void Daemon::restore(Instant at) {
    if (!restorer_->restoring()) return;
    restorer_->on_turn(at);
    if (!restorer_->restoring()) end_restoring(at);
}

// What came of a state that turned out to be broken is kept. The rest is in the kernel's sets: that
// is waited for, as it would be removed there otherwise.
void Daemon::end_restoring(Instant at) {
    Report report;
    if (checkpointer_->store().wants_all()) {
        checkpointer_->on_lost();
        find_lost_bans(at, report, KernelCarrier::longest_silence);
        lift_exempt(at);
    }
    dispatch_->end_restoring();
    pipeline_->put(report);
    if (auto done = go_on_duty(); !done) say(done.error());
}

// Another engine in place of the one that half of a broken state was restored to.
void Daemon::renew_engine(Instant at) {
    *engine_ = Engine(engine_limits(config()));
    if (fleet_) fleet_->forget();
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
    if (auto prepared = geoip_->prepare_blocks(config()); !prepared) return prepared;
    geoip_->make_blocks();
    if (!restorer_->restoring()) return go_on_duty();
    control_->hold();
    return {};
}

// All that is remembered is there: whoever asks is answered.
Result<> Daemon::go_on_duty() {
    control_->go_on();
    if (auto set_up = opened_.endpoints->configure(config(), *opened_.loop, opened_.sockets);
        !set_up)
        return set_up;
    if (fleet_) fleet_->begin(now());
    log_.write(Severity::notice, "bandd {} started: {} jails, {} bans, state {}", BANDD_VERSION,
               config().jails.size(), engine_->bans().size(), config().state);
    say_what_is_watched();
    notify_supervisor("READY=1");
    // Where reading began is written at once: a log may be rotated before anything happens in it.
    checkpointer_->changed();
    return {};
}

// In place of those of a state that was lost.
void Daemon::find_lost_bans(Instant at, Report& report, Duration longest) {
    std::vector<std::uint32_t> slots;
    for (Ban& ban : dispatch_->bans_in_sets(at, report, longest))
        if (engine_->bans().find(ban.key) == nullptr)
            slots.push_back(engine_->restore_ban(std::move(ban)));
    dispatch_->on_restored(slots);
}

void Daemon::apply_config(SavedSources saved, Instant at, Duration longest) {
    Report report;
    ports_->configure(config(), at);
    if (fleet_) fleet_->configure();
    dispatch_->set_targets(actions_of(config(), *engine_, *ports_));
    if (checkpointer_->take_lost()) find_lost_bans(at, report, longest);
    lift_exempt(at);  // of what the state or the kernel gave
    dispatch_->make_right(at, report, longest);
    pipeline_->put(report);
    pipeline_->configure(config(), opened_.configuration.compiled);
    opened_.sources->configure(config(), engine_->jails(), std::move(saved), at);
    answerer_->configure(config());
    for (const Question& question : engine_->questions()) answerer_->ask(question, at);
}

// Sets stay, with their bans; the rules that name ports are written anew.
void Daemon::renew_ports(Instant at) {
    if (!ports_->on_time(at)) return;
    Report report;
    dispatch_->set_targets(actions_of(config(), *engine_, *ports_));
    dispatch_->make_right(at, report);
    pipeline_->put(report);
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
    // It looks as if the jail did nothing, long after somebody stopped it.
    for (const auto& [name, limits] : overrides_->all_limits())
        if (limits.stopped && overrides_->loaded_jail(name) != nullptr)
            log_.write(Severity::warning, "jail \"{}\": it is stopped by hand; bandctl start {}",
                       name, name);
    health_->say_all();
}

struct Daemon::Prepared {
    LoadedJails loaded;
    Configuration configuration;  // with what bandctl changed
    GeoDatabases databases;
    std::vector<JailRules> rules;
    ListeningSockets sockets;          // that are new
    std::vector<std::string> waiting;  // keys whose new values need a restart
};

std::expected<Daemon::Prepared, Errors> Daemon::prepare() {
    auto loaded = load_configuration(options_.config, Samples::read);
    if (!loaded) return std::unexpected(std::move(loaded.error()));
    return prepare_for(std::move(*loaded));
}

std::expected<Daemon::Prepared, Errors> Daemon::prepare_for(Configuration configuration) {
    Prepared prepared{{configuration.config.jails, configuration.compiled.filters},
                      std::move(configuration),
                      {},
                      {},
                      {},
                      {}};
    overrides_->put_over(prepared.loaded, prepared.configuration);
    Config& fresh = prepared.configuration.config;
    prepared.waiting = keep_until_restart(fresh, config());
    auto refuse = [](const Error& error) { return std::unexpected(Errors{error}); };
    if (auto good = check_tls(fresh); !good) return refuse(good.error());
    if (auto claimed = opened_.claims.take(fresh, opened_.account.user.uid); !claimed)
        return refuse(claimed.error());
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
    if (!prepared.waiting.empty())
        log_.write(Severity::warning, "{}: new values hold only when bandd is restarted",
                   fmt::join(prepared.waiting, ", "));
    return prepared;
}

void Daemon::take(Prepared prepared, Instant at) {
    for (const Error& warning : prepared.configuration.compiled.warnings)
        log_.put(Severity::warning, to_line(warning));
    Outcome outcome;
    engine_->set_own_addresses(PrefixSet(own_addresses()));
    engine_->set_rules(std::move(prepared.rules), at, outcome);
    engine_->lift_exempt(at, outcome);
    // What ends here is lifted by the actions that it was made with.
    pipeline_->put_at_once(outcome, at);
    opened_.configuration = std::move(prepared.configuration);
    engine_->set_limits(engine_limits(config()));
    opened_.claims.keep_only(config());
    overrides_->set_loaded(std::move(prepared.loaded));
    programs_->take(config());
    geoip_->take(std::move(prepared.databases));
    [[maybe_unused]] auto said_by_sources =
        opened_.sources->open(config(), prepared.sockets, false);
    users_file_->configure(false);
    apply_config({}, at, Dispatch::patience);
    auto set_up = opened_.endpoints->configure(config(), *opened_.loop, prepared.sockets);
    if (!set_up) say(set_up.error());
    geoip_->make_blocks();
    checkpointer_->changed();
}

Result<std::vector<std::string>> Daemon::reload() {
    auto prepared = prepare();
    if (!prepared) {
        for (const Error& error : prepared.error()) say(error);
        log_.write(Severity::error, "the configuration was not changed");
        return std::unexpected(summary_of(prepared.error()));
    }
    std::vector<std::string> waiting = prepared->waiting;
    take(std::move(*prepared), now());
    log_.write(Severity::notice, "configuration loaded: {} jails, {} bans", config().jails.size(),
               engine_->bans().size());
    say_what_is_watched();
    return waiting;
}

// Before the state is loaded: windows are restored by the limits that they were counted with.
void Daemon::restore_overrides() {
    overrides_ = std::make_unique<Overrides>();
    if (auto saved = opened_.store->note(overrides_note)) overrides_->restore(*saved);
    overrides_->on_time(now());
    overrides_->set_loaded({config().jails, opened_.configuration.compiled.filters});
    overrides_->put_over(overrides_->loaded(), opened_.configuration);
}

std::vector<Ban> Daemon::renew_rules(Instant at) {
    overrides_->renew_rules(config());
    Outcome outcome;
    engine_->set_rules(rules_of(config()), at, outcome);
    engine_->lift_exempt(at, outcome);
    std::vector<Ban> lifted;
    for (const Event& event : outcome.events)
        if (const auto* ended = std::get_if<Unbanned>(&event)) lifted.push_back(ended->ban);
    pipeline_->put_at_once(outcome, at);
    return lifted;
}

// As a reload, but of what was loaded before.
Result<> Daemon::renew_jails() {
    Configuration configuration = opened_.configuration;
    configuration.config.jails = overrides_->loaded().jails;
    configuration.compiled.filters = overrides_->loaded().filters;
    configuration.compiled.warnings.clear();  // they were said
    auto prepared = prepare_for(std::move(configuration));
    if (!prepared) return std::unexpected(summary_of(prepared.error()));
    take(std::move(*prepared), now());
    return {};
}

void Daemon::on_signal(int signal) {
    switch (signal) {
        case SIGHUP: {
            finish_restoring(now());
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
    if (fleet_) fleet_->on_event(event);
    if (const auto* banned = std::get_if<Banned>(&event);
        banned != nullptr && banned->ban.state != BanState::simulated)
        ports_->on_ban(engine_->rules(banned->ban.key.jail).name);
    if (const auto* over = std::get_if<AccountOver>(&event)) logins_->run_action(*over);
}

void Daemon::set_deadline(Instant at) {
    Instant next = never;
    auto consider = [&](std::optional<Instant> due) {
        if (due && *due < next) next = *due;
    };
    if (!restorer_->restoring()) {
        consider(engine_->next_deadline());
        consider(ports_->next_deadline());
        consider(checkpointer_->next_deadline(at));
        consider(overrides_->next_deadline());
        if (fleet_) consider(fleet_->next_deadline());
    }
    consider(checkpointer_->next_answer());
    consider(dispatch_->next_deadline());
    consider(opened_.sources->next_deadline());
    consider(opened_.endpoints->next_deadline());
    consider(control_->next_deadline());
    consider(answerer_->next_deadline());
    consider(geoip_->next_deadline());
    consider(programs_->next_deadline());
    consider(role_errors_->next_deadline());
    opened_.loop->set_deadline(next == never ? std::optional<Instant>{} : next);
}

void Daemon::turn(Instant at) {
    while (auto answer = answerer_->next_answer()) pipeline_->take_answer(*answer, at);
    bool more = pipeline_->turn(at) || answerer_->has_answers();
    if (more) {
        opened_.loop->again();
        checkpointer_->changed();
    }
    if (pipeline_->wants_look()) opened_.loop->again();
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
    role_errors_->on_time(at);
    restore(at);
    if (!restorer_->restoring()) {
        renew_ports(at);
        if (overrides_->on_time(at)) {
            checkpointer_->changed();
            renew_rules(at);
        }
        if (slices_->on_turn()) opened_.loop->again();
        if (fleet_) fleet_->on_turn(at);
        checkpointer_->on_turn(at);
    }
    checkpointer_->answer_late(at);
    health_->say_changes();
    say_blind_filters(log_, config(), *engine_, *pipeline_);
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
    Instant at = now();
    finish_restoring(at);
    notify_supervisor("STOPPING=1");
    if (config().flush_on_stop) {
        dispatch_->clear(at, KernelCarrier::longest_silence);
        geoip_->clear_blocks();
    }
    Report report;
    dispatch_->finish(at, report);
    pipeline_->put(report);
    checkpointer_->finish(at);
    log_.write(Severity::notice, "bandd stopped; bans: {}, which {}", engine_->bans().size(),
               config().flush_on_stop ? "were taken out of the kernel" : "stay in the kernel");
    control_.reset();
}

}  // namespace bandd
