// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/daemon.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "action/make_backend.h"
#include "os/clock.h"
#include "os/interfaces.h"
#include "os/memory.h"
#include "os/seccomp.h"
#include "os/signals.h"
#include "os/zoneinfo.h"

namespace bandd {
namespace {

// A failed checkpoint is tried again this often.
constexpr Duration store_retry = std::chrono::seconds(5);

Severity severity_of(LogLevel level) {
    return static_cast<Severity>(static_cast<int>(level) + static_cast<int>(Severity::error));
}

EngineLimits limits_of(const Config& config) {
    EngineLimits limits;
    limits.bans = config.ban_limit;
    limits.offence_memory = config.dbpurgeage;
    return limits;
}

// Names of notes in the state.
constexpr const char* journal_note = "journal";
constexpr const char* conversations_note = "conversations";
constexpr const char* waiting_note = "waiting";

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

}  // namespace

void notify_supervisor(const std::string& state) {
    const char* path = std::getenv("NOTIFY_SOCKET");
    if (path == nullptr || *path == '\0') return;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::size_t length = std::strlen(path);
    if (length >= sizeof address.sun_path) return;
    std::memcpy(address.sun_path, path, length);
    if (*path == '@') address.sun_path[0] = '\0';
    Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL,
           reinterpret_cast<const sockaddr*>(&address),
           static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
}

void Daemon::say_errors(const std::vector<Error>& errors) {
    for (const Error& error : errors) log_.put(Severity::error, to_line(error));
}

Result<> Daemon::load(Config& config, std::shared_ptr<const Compiled>& compiled) {
    Loaded loaded = load_config(options_.config, data_directories(), read_zone);
    auto made = std::make_shared<Compiled>();
    if (loaded.errors.empty()) {
        *made = compile(loaded.config);
        std::ranges::copy(made->errors, std::back_inserter(loaded.errors));
    }
    if (!loaded.errors.empty()) {
        say_errors(loaded.errors);
        Error error = loaded.errors.front();
        if (loaded.errors.size() > 1)
            error.hint += (error.hint.empty() ? "" : "; ") +
                          fmt::format("and {} more: see bandctl check", loaded.errors.size() - 1);
        return std::unexpected(error);
    }
    for (const Error& warning : made->warnings) log_.put(Severity::warning, to_line(warning));
    config = std::move(loaded.config);
    compiled = std::move(made);
    return {};
}

Result<> Daemon::enter_rights() {
    unprivileged_ = geteuid() != 0;
    account_ = {"", geteuid(), getegid()};
    group_ = getegid();
    if (unprivileged_) return {};
    if (config_.user == "root") {
        account_ = {"root", 0, 0};
    } else if (auto account = find_user(config_.user)) {
        account_ = *account;
    } else if (config_.user_given) {
        return std::unexpected(account.error());
    } else {
        account_ = {"root", 0, 0};
        log_.write(Severity::warning, "user \"{}\" does not exist, so bandd stays root; {}",
                   config_.user, account.error().hint);
    }
    auto group = find_group(config_.group);
    group_ = group ? *group : account_.gid;
    return {};
}

Result<> Daemon::make_backends(const Config& config) {
    for (const JailConfig& jail : config.jails)
        for (const ActionConfig& action : jail.actions) {
            std::size_t kind = action.index();
            if (dispatch_->has_backend(kind)) continue;
            auto backend = make_backend(action, *spawner_);
            if (!backend) return std::unexpected(backend.error());
            int fd = (*backend)->notice_fd();
            dispatch_->add_backend(kind, std::move(*backend));
            if (fd < 0) continue;
            [[maybe_unused]] auto added = loop_->add(fd, EPOLLIN, [this, kind](std::uint32_t) {
                Report report;
                dispatch_->on_notice(kind, now(), report);
                pipeline_->put(report);
            });
        }
    return {};
}

// The helpers that answer the engine's questions: processes with the rights they need and no more.
Result<> Daemon::start_answerer() {
    auto spawner = Spawner::start();
    if (!spawner) return std::unexpected(spawner.error());
    programs_ = std::make_unique<Programs>(std::move(*spawner));
    SystemUser nobody = account_;
    if (auto known = find_user("nobody"); known && account_.uid == 0) nobody = *known;
    auto resolver = Resolver::start(nobody, config_.dns_servers);
    if (!resolver) return std::unexpected(resolver.error());
    answerer_ = std::make_unique<Answerer>(
        std::move(*resolver), *programs_,
        [this](const Error& e) { log_.put(Severity::error, to_line(e)); });
    return {};
}

void Daemon::ask_again(Instant at) {
    answerer_->configure(config_);
    for (const Question& question : engine_->questions()) answerer_->ask(question, at);
}

void Daemon::take_answers(Instant at) {
    while (auto answer = answerer_->next_answer()) pipeline_->take_answer(*answer, at);
}

void Daemon::on_event(const Event& event) {
    dirty_ = true;
    announcer_->tell(event);
    if (const auto* over = std::get_if<AccountOver>(&event)) logins_->run_action(*over);
}

void Daemon::on_report(const Report& report) { announcer_->tell(report); }

Endpoints::Calls Daemon::endpoint_calls() {
    Endpoints::Calls calls;
    calls.on_login = [this](const LoginRequest& request) { return logins_->decide(request); };
    calls.on_failure = [this](const LoginRequest& request) {
        logins_->on_failed_password(request);
    };
    calls.on_remote = [this](const PeerConfig& peer, const RemoteRequest& request, const Address&) {
        return remote_bans_->carry_out(peer, request);
    };
    calls.metrics = [this] { return status_to_prometheus(status()); };
    calls.on_error = [this](const Error& error) { log_.put(Severity::error, to_line(error)); };
    calls.audit = [this](std::string line) { log_.put(Severity::notice, std::move(line)); };
    return calls;
}

CommandParts Daemon::command_parts() {
    return {config_,
            log_,
            *engine_,
            *dispatch_,
            *pipeline_,
            geoip_->facts(),
            *store_,
            [this] { return status(); },
            [this] { return reload(); },
            [this] { write_soon(); },
            [this] { checkpoint(now(), false); }};
}

Status Daemon::status() const {
    return collect_status({options_.config, started_, config_, *engine_, *dispatch_, *pipeline_,
                           *sources_, *answerer_, *endpoints_, *control_, log_, turns_,
                           store_error_});
}

// Once the engine is there.
void Daemon::make_parts() {
    dispatch_ = std::make_unique<Dispatch>(engine_->bans(), Dispatch::Backends{});
    pipeline_ = std::make_unique<Pipeline>(
        *engine_, *dispatch_, *sources_,
        Pipeline::Listener{[this](const Event& event) { on_event(event); },
                           [this](const Question& question) { answerer_->ask(question, now()); },
                           [this](const Report& report) { on_report(report); }});
    control_ = std::make_unique<ControlServer>(
        *loop_, std::move(listening_), config_.socket, group_, account_.uid,
        [this](const std::string& command, const Json& arguments, ControlServer::Reply reply) {
            return commands_->run(command, arguments, reply);
        });
    announcer_ = std::make_unique<Announcer>(log_, *engine_, *dispatch_, *control_);
    health_ = std::make_unique<LogHealth>(log_, sources_->files(), *engine_);
    logins_ = std::make_unique<Logins>(Logins::Parts{config_, log_, *engine_, *pipeline_,
                                                     *announcer_, *programs_, geoip_->facts(),
                                                     [this] { dirty_ = true; }});
    remote_bans_ = std::make_unique<RemoteBans>(*engine_, *pipeline_, [this] { write_soon(); });
}

Result<> Daemon::start_geoblocker() {
    if (!geoblocker_) {
        if (config_.geoblocks.empty() && !stale_geoblocks_) return {};
        auto started = Geoblocker::start(*loop_, [this](const GeoblockReport& report) {
            for (const auto& [name, networks] : report.networks)
                log_.write(Severity::notice, "geoblock {}: {} networks are kept out", name,
                           networks);
            if (report.error)
                log_.write(Severity::error, "{}; it is tried again in {}", to_line(*report.error),
                           format_duration(Geoblocker::pause));
        });
        if (!started) return std::unexpected(started.error());
        geoblocker_ = std::move(*started);
    }
    geoblocker_->set(config_.geoblocks, config_.geoip);
    return {};
}

Result<> Daemon::start() {
    started_ = now();
    if (auto loaded = load(config_, compiled_); !loaded) return fail("");  // said already
    if (auto rights = enter_rights(); !rights) return rights;

    // Before anything else is open, so that programs inherit nothing.
    auto spawner = Spawner::start();
    if (!spawner) return std::unexpected(spawner.error());
    spawner_ = std::make_unique<Spawner>(std::move(*spawner));
    if (auto helpers = start_answerer(); !helpers) return helpers;

    rlimit files{};
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    namespace fs = std::filesystem;
    for (const std::string& file : {config_.state, config_.socket})
        if (auto made = make_directory(fs::path(file).parent_path().string(), 0750, account_);
            !made)
            return made;
    if (auto prepared = Store::prepare(config_.state, account_.uid, account_.gid); !prepared)
        return prepared;
    std::string warning;
    {
        // The first opening may have to make files, which the daemon's user may not.
        auto first = Store::open(config_.state, warning);
        if (!first) return std::unexpected(first.error());
    }
    if (auto prepared = Store::prepare(config_.state, account_.uid, account_.gid); !prepared)
        return prepared;
    if (auto opened = log_.open(config_.log.target, severity_of(config_.log.level)); !opened)
        return opened;
    if (config_.log.target.find('/') != std::string::npos && !unprivileged_ &&
        ::chown(config_.log.target.c_str(), account_.uid, group_) != 0)
        return fail_errno("log \"" + config_.log.target + "\"");
    auto listening = ControlServer::listen(config_.socket, account_.uid, group_);
    if (!listening) return std::unexpected(listening.error());
    listening_ = std::move(*listening);
    endpoints_ = std::make_unique<Endpoints>(endpoint_calls());
    SystemUser nobody = account_;
    if (auto known = find_user("nobody"); known && account_.uid == 0) nobody = *known;
    if (auto opened = endpoints_->open(config_, nobody); !opened) return opened;
    auto signals = open_signals({SIGTERM, SIGINT, SIGHUP, SIGUSR1});
    if (!signals) return std::unexpected(signals.error());
    signals_ = std::move(*signals);
    std::signal(SIGPIPE, SIG_IGN);
    auto loop = Loop::create();
    if (!loop) return std::unexpected(loop.error());
    loop_ = std::make_unique<Loop>(std::move(*loop));
    sources_ = std::make_unique<Sources>(
        *loop_, [this](const Error& error) { log_.put(Severity::error, to_line(error)); });
    if (auto opened = sources_->open(config_, true); !opened) return opened;
    if (options_.read_stdin) sources_->standard_input().want([this] { ending_ = true; });
    if (!unprivileged_)
        if (auto dropped = drop_privileges(account_); !dropped) return dropped;
    if (auto forbidden = forbid_dangerous_calls(); !forbidden) return forbidden;

    auto store = Store::open(config_.state, warning);
    if (!store) return std::unexpected(store.error());
    store_ = std::make_unique<Store>(std::move(*store));
    if (!warning.empty()) log_.put(Severity::warning, warning);
    state_lost_ = !warning.empty();
    if (auto started = sources_->start(config_); !started) return started;

    auto geoip = Geoip::start(*loop_, config_, log_, [this] {
        if (geoblocker_) geoblocker_->set(config_.geoblocks, config_.geoip);
    });
    if (!geoip) return std::unexpected(geoip.error());
    geoip_ = std::move(*geoip);
    engine_ = std::make_unique<Engine>(limits_of(config_));
    engine_->set_facts(&geoip_->facts());
    auto users = UsersFile::start(*loop_, config_, *engine_, log_);
    if (!users) return std::unexpected(users.error());
    users_file_ = std::move(*users);
    users_file_->configure(true);
    make_parts();
    for (const auto& [fd, callback] : std::initializer_list<std::pair<int, Loop::Callback>>{
             {signals_.get(),
              [this](std::uint32_t) {
                  while (int signal = read_signal(signals_)) on_signal(signal);
              }},
             {programs_->fd(), [this](std::uint32_t) { programs_->on_ready(now()); }},
             {answerer_->resolver_fd(),
              [this](std::uint32_t) {
                  answerer_->on_resolver(now());
                  if (!answerer_->resolver_ended()) return;
                  loop_->remove(answerer_->resolver_fd());
                  log_.put(Severity::error,
                           "the resolver has ended: host names are not looked up; restart bandd");
              }},
             {store_->fd(), [this](std::uint32_t) { on_stored(); }}})
        if (auto added = loop_->add(fd, EPOLLIN, callback); !added) return added;
    if (auto notices = open_address_notices()) {
        address_notices_ = std::move(*notices);
        if (auto added = loop_->add(address_notices_.get(), EPOLLIN,
                                    [this](std::uint32_t) {
                                        drain(address_notices_);
                                        engine_->set_own_addresses(PrefixSet(own_addresses()));
                                    });
            !added)
            return added;
    }
    engine_->set_own_addresses(PrefixSet(own_addresses()));
    Instant at = now();
    Outcome outcome;
    engine_->set_rules(rules_of(config_), at, outcome);
    auto saved = load_state();
    if (store_->broken()) {
        if (auto replaced = replace_state(); !replaced) return replaced;
        saved = {};
        engine_->set_rules(rules_of(config_), at, outcome);
        engine_->set_own_addresses(PrefixSet(own_addresses()));
        users_file_->configure(true);
    }
    // Asked before anything is changed: the kernel lets a socket go only once its changes are done,
    // which takes a while.
    stale_geoblocks_ = config_.geoblocks.empty() && geoblocks_stand();
    if (auto made = make_backends(config_); !made) return made;
    dispatch_->hold_removals();
    apply_config(std::move(saved), at);
    if (auto set_up = endpoints_->configure(config_, *loop_); !set_up) return set_up;
    if (auto started = start_geoblocker(); !started) return started;
    commands_ = std::make_unique<Commands>(command_parts());
    log_.write(Severity::notice, "bandd {} started: {} jails, {} bans, state {}", BANDD_VERSION,
               config_.jails.size(), engine_->bans().size(), config_.state);
    say_what_is_watched();
    notify_supervisor("READY=1");
    // Where reading began is written at once: a log may be rotated before anything happens in it.
    dirty_ = true;
    return {};
}

SavedSources Daemon::load_state() {
    SavedSources saved;
    Restore restore;
    restore.expect = [&](std::size_t bans) { engine_->expect_bans(bans); };
    restore.ban = [&](Ban ban) { engine_->restore_ban(std::move(ban)); };
    restore.window = [&](const WindowChange& window) { engine_->restore_window(window); };
    restore.offences = [&](const BanKey& key, const Offences& offences) {
        engine_->restore_offences(key, offences);
    };
    restore.counts = [&](JailIndex jail, const JailCounts& counts) {
        engine_->restore_counts(jail, counts);
    };
    restore.account = [&](AccountChange account) { engine_->restore_account(std::move(account)); };
    restore.history_since = now() - lateness;
    restore.history = [&](const Unbanned& ended) {
        if (ended.why == Unbanned::Why::expired) engine_->restore_ended(ended);
    };
    restore.written = [&](Instant at) { saved.logs.at = at; };
    restore.note = [&](std::string_view name, std::string_view value) {
        if (name == journal_note) saved.journal_cursor = value;
        if (name == conversations_note) engine_->restore_conversations(value);
        if (name == waiting_note) engine_->restore_waiting_hits(value);
    };
    restore.position = [&](const TailPosition& at) { saved.logs.positions.push_back(at); };
    if (auto loaded = store_->load(engine_->jail_names(), restore); !loaded)
        log_.put(Severity::error, to_line(loaded.error()));
    return saved;
}

// The database is broken inside: a new one, and a new engine, as half of the old state is worse
// than none. Bans come back from the kernel's sets, windows from the logs.
Result<> Daemon::replace_state() {
    loop_->remove(store_->fd());
    store_.reset();
    auto aside = Store::set_aside(config_.state);
    if (!aside) return std::unexpected(aside.error());
    log_.write(Severity::warning,
               "state \"{}\" is broken; it was moved to \"{}\", and bandd begins with an empty one",
               config_.state, *aside);
    std::string warning;
    auto store = Store::open(config_.state, warning);
    if (!store) return std::unexpected(store.error());
    store_ = std::make_unique<Store>(std::move(*store));
    *engine_ = Engine(limits_of(config_));
    engine_->set_facts(&geoip_->facts());
    state_lost_ = true;
    return loop_->add(store_->fd(), EPOLLIN, [this](std::uint32_t) { on_stored(); });
}

void Daemon::apply_config(SavedSources saved, Instant at) {
    Report report;
    dispatch_->set_targets(actions_of(config_, *engine_));
    if (std::exchange(state_lost_, false))
        for (Ban& ban : dispatch_->bans_in_sets(at, report))
            if (engine_->bans().find(ban.key) == nullptr) engine_->restore_ban(std::move(ban));
    dispatch_->make_right(at, report);
    pipeline_->put(report);
    pipeline_->configure(config_, *compiled_);
    sources_->configure(config_, engine_->jails(), std::move(saved), at);
    ask_again(at);
}

void Daemon::say_what_is_watched() {
    bool any = std::ranges::any_of(config_.jails,
                                   [](const JailConfig& jail) { return jail.reads_anything(); });
    bool asked =
        !config_.policy.listen.empty() || config_.http.listen || !config_.remote.listen.empty();
    if (!any && !asked)
        log_.write(
            Severity::warning,
            "nothing to watch: no jail has a log that exists here; name one with \"logpath:\" "
            "in {}/jails/NAME.yaml, then run bandctl reload",
            config_.directory);
    health_->say_all();
}

Result<> Daemon::reload() {
    Config fresh;
    std::shared_ptr<const Compiled> compiled;
    if (auto loaded = load(fresh, compiled); !loaded) {
        log_.write(Severity::error, "the configuration was not changed");
        return loaded;
    }
    if (fresh.state != config_.state || fresh.socket != config_.socket ||
        fresh.user != config_.user || fresh.group != config_.group)
        log_.write(Severity::warning,
                   "state, socket, user and group change only when bandd is restarted");
    fresh.state = config_.state;
    fresh.socket = config_.socket;
    fresh.user = config_.user;
    fresh.group = config_.group;
    // The log may have been rotated: opened anew even if its name is the same.
    if (auto opened = log_.open(fresh.log.target, severity_of(fresh.log.level)); !opened) {
        log_.put(Severity::error, to_line(opened.error()));
        return opened;
    }
    auto databases = GeoDatabases::open(fresh.geoip);
    if (!databases) {
        log_.put(Severity::error, to_line(databases.error()));
        log_.write(Severity::error, "the configuration was not changed");
        return std::unexpected(databases.error());
    }
    std::vector<JailRules> rules = rules_of(fresh);
    if (auto room = engine_->check_room(rules); !room) {
        log_.put(Severity::error, to_line(room.error()));
        log_.write(Severity::error, "the configuration was not changed");
        return room;
    }
    Instant at = now();
    if (auto made = make_backends(fresh); !made) return made;
    Outcome outcome;
    engine_->set_rules(std::move(rules), at, outcome);
    // The bans of jails that are gone are lifted by the actions that they were made with.
    pipeline_->put_at_once(outcome, at);
    config_ = std::move(fresh);
    compiled_ = std::move(compiled);
    geoip_->take(std::move(*databases));
    engine_->set_own_addresses(PrefixSet(own_addresses()));
    [[maybe_unused]] auto said_by_sources = sources_->open(config_, false);
    users_file_->configure(false);
    apply_config({}, at);
    if (auto set_up = endpoints_->configure(config_, *loop_); !set_up)
        log_.put(Severity::error, to_line(set_up.error()));
    if (auto started = start_geoblocker(); !started)
        log_.put(Severity::error, to_line(started.error()));
    dirty_ = true;
    log_.write(Severity::notice, "configuration loaded: {} jails, {} bans", config_.jails.size(),
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
            if (auto opened = log_.open(config_.log.target, severity_of(config_.log.level));
                !opened)
                log_.put(Severity::error, to_line(opened.error()));
            break;
        default:
            ending_ = true;
    }
}

// The next turn takes a checkpoint, whenever the last one was.
void Daemon::write_soon() {
    dirty_ = true;
    last_checkpoint_ = now() - config_.checkpoint;
}

Checkpoint Daemon::take_checkpoint(Instant at) {
    Checkpoint checkpoint;
    checkpoint.jails = engine_->jail_names();
    checkpoint.at = at;
    SourceChanges read = sources_->take_changes(at);
    checkpoint.positions = std::move(read.logs);
    checkpoint.gone = std::move(read.gone);
    checkpoint.changes = engine_->take_changes();
    auto take_note = [&](const char* name, std::string value, std::string& saved) {
        if (value != saved) checkpoint.notes.emplace_back(name, value);
        saved = std::move(value);
    };
    take_note(journal_note, read.journal_cursor, saved_cursor_);
    take_note(conversations_note, engine_->conversations(), saved_conversations_);
    take_note(waiting_note, engine_->waiting_hits(), saved_waiting_);
    Duration longest{0};
    for (JailIndex jail : engine_->jails())
        longest = std::max(longest, engine_->rules(jail).findtime);
    checkpoint.windows_before = at - longest * 2;
    checkpoint.accounts_before = at - std::max(longest, config_.access.rules.accounts.findtime) * 2;
    checkpoint.offences_before = at - config_.dbpurgeage;
    dirty_ = false;
    last_checkpoint_ = at;
    return checkpoint;
}

void Daemon::checkpoint(Instant at, bool last) {
    if (last) store_->wait();
    if (store_->failed()) {
        store_->retry();
        if (last) store_->wait();
    }
    if (!store_->idle()) return;
    Checkpoint checkpoint = take_checkpoint(at);
    if (checkpoint.empty()) return;
    store_->write(std::move(checkpoint));
    if (last) store_->wait();
}

void Daemon::on_stored() {
    auto error = store_->take_result();
    if (error && (!store_error_ || to_line(*store_error_) != to_line(*error)))
        log_.put(Severity::error, to_line(*error));
    if (!error && store_error_)
        log_.write(Severity::notice, "state \"{}\" is written again", config_.state);
    store_error_ = std::move(error);
    if (std::exchange(starting_, false)) release_start_memory();
}

void Daemon::set_deadline(Instant at) {
    Instant next = never;
    auto consider = [&](std::optional<Instant> due) {
        if (due && *due < next) next = *due;
    };
    consider(engine_->next_deadline());
    consider(dispatch_->next_deadline());
    consider(sources_->next_deadline());
    consider(endpoints_->next_deadline());
    if (control_) consider(control_->next_deadline());
    if (geoblocker_) consider(geoblocker_->next_deadline());
    if (store_->failed())
        consider(std::max(at, last_checkpoint_ + store_retry));
    else if (dirty_)
        consider(last_checkpoint_ + config_.checkpoint);
    loop_->set_deadline(next == never ? std::optional<Instant>{} : next);
}

int Daemon::run() {
    if (auto started = start(); !started) {
        if (!started.error().what.empty()) log_.put(Severity::error, to_line(started.error()));
        return exit_usage;
    }
    while (!ending_) {
        double turn_begin = stopwatch();
        Instant at = now();
        take_answers(at);
        bool more = pipeline_->turn(at) || answerer_->has_answers();
        if (loop_->take_clock_change()) {
            log_.write(Severity::notice, "the clock was set; the ends of bans are made right");
            Report report;
            dispatch_->on_clock_change(at, report);
            pipeline_->put(report);
        }
        if (more) {
            loop_->again();
            dirty_ = true;
        }
        Report report;
        if (auto due = dispatch_->next_deadline(); due && *due <= at) {
            dispatch_->on_time(at, report);
            pipeline_->put(report);
        }
        if (auto due = endpoints_->next_deadline(); due && *due <= at) endpoints_->on_time(at);
        if (auto due = sources_->next_deadline(); due && *due <= at) sources_->on_time(at);
        if (auto due = control_->next_deadline(); due && *due <= at) control_->on_time(at);
        if (geoblocker_) geoblocker_->on_time(at);
        if (std::exchange(seen_lines_, pipeline_->counts().lines) != pipeline_->counts().lines)
            dirty_ = true;
        if (at < last_checkpoint_) last_checkpoint_ = at;  // the clock was set back
        if ((dirty_ || store_->failed()) &&
            at >= last_checkpoint_ + (store_->failed() ? store_retry : config_.checkpoint)) {
            last_checkpoint_ = at;
            checkpoint(at, false);
        }
        health_->say_changes();
        set_deadline(at);
        turns_.add(stopwatch() - turn_begin);
        loop_->turn();
    }
    stop();
    return exit_done;
}

void Daemon::stop() {
    notify_supervisor("STOPPING=1");
    Instant at = now();
    if (config_.flush_on_stop) dispatch_->clear(at);
    if (config_.flush_on_stop && geoblocker_) geoblocker_->clear();
    checkpoint(at, true);
    if (auto error = store_->take_result()) log_.put(Severity::error, to_line(*error));
    log_.write(Severity::notice, "bandd stopped; bans: {}, which {}", engine_->bans().size(),
               config_.flush_on_stop ? "were taken out of the kernel" : "stay in the kernel");
    control_.reset();
}

}  // namespace bandd
