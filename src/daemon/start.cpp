// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/start.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "config/document.h"
#include "control/server.h"
#include "daemon/endpoints.h"
#include "daemon/run.h"
#include "os/log.h"
#include "os/loop.h"
#include "os/signals.h"
#include "os/trusted_path.h"
#include "source/sources.h"
#include "store/store.h"

namespace bandd {
namespace {

namespace fs = std::filesystem;

Result<Account> find_account(const Config& config) {
    Account account{{"", geteuid(), getegid()}, getegid(), geteuid() != 0};
    if (account.unprivileged) return account;
    account.user = {"root", 0, 0};
    if (config.user != "root") {
        auto user = find_user(config.user);
        if (!user)
            return fail(user.error().what, user.error().reason,
                        user.error().hint + "; or write \"user: root\" in bandd.yaml");
        account.user = *user;
    }
    auto group = find_group(config.group);
    account.group = group ? *group : account.user.gid;
    return account;
}

Result<> start_roles(Opened& opened, const std::string& configuration) {
    auto roles = Roles::start(configuration);
    if (!roles) return std::unexpected(roles.error());
    opened.roles = std::make_unique<Roles>(std::move(*roles));
    return {};
}

// Every log is a descriptor.
void allow_many_files() {
    rlimit files{};
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= files.rlim_max) return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

Result<> make_directories(const Config& config, const SystemUser& user) {
    for (const std::string& file : {config.state, config.socket})
        if (auto made = make_directory(fs::path(file).parent_path().string(), 0750, user); !made)
            return made;
    return {};
}

// The state's files exist afterwards, and are the account's. `is_new`: there was none, or it was
// broken, which `warning` says then.
Result<> prepare_state(const Config& config, const SystemUser& user, bool& is_new,
                       std::string& warning) {
    if (auto prepared = Store::prepare(config.state, user); !prepared) return prepared;
    // A broken state is moved aside at the first opening, and a new one is made. With root's rights
    // only where nobody but root made what is there: SQLite goes by paths, and gives files away.
    std::optional<ActingAs> guard;
    if (!is_ours_alone(fs::path(config.state).parent_path().string())) guard.emplace(user);
    {
        auto first = Store::open(config.state, warning);
        if (!first) return std::unexpected(first.error());
        is_new = first->is_new();
        first->leave_log();
    }
    guard.reset();
    return Store::prepare(config.state, user);
}

Result<> open_own_log(const LogConfig& config, const Account& account, Log& log) {
    if (!is_file(config)) return open_log(log, config);
    SystemUser owner{account.user.name, account.user.uid, account.group};
    if (auto made = make_own_file(config.target, 0640, owner); !made)
        return fail("log " + made.error().what, made.error().reason, made.error().hint);
    ActingAs guard(owner);
    return open_log(log, config);
}

Result<> open_listening(Opened& opened, Log& log) {
    const Config& config = opened.configuration.config;
    const Account& account = opened.account;
    if (Fd given = opened.inherited.take(ControlServer::address(config.socket))) {
        opened.control = {std::move(given), config.socket, false};
    } else {
        auto control = ControlServer::listen(config.socket, account.user.uid, account.group);
        if (!control) return std::unexpected(control.error());
        opened.control = std::move(*control);
    }
    opened.endpoints = std::make_unique<Endpoints>(*opened.roles);
    auto wanted = wanted_sockets(config);
    opened.sockets = take_sockets(opened.inherited, wanted);
    std::vector<std::string> known;
    for (const auto& [name, socket] : opened.sockets) known.push_back(name);
    auto sockets = open_sockets(wanted, known);
    if (!sockets) return std::unexpected(sockets.error());
    opened.sockets.merge(*sockets);
    for (const std::string& name : opened.inherited.names())
        log.put(Severity::warning,
                to_line({"socket " + name + ", which bandd was handed at its start",
                         "is named nowhere in the configuration",
                         "name it with \"listen:\" (or \"socket:\"), or take it out of the unit",
                         {}}));
    opened.inherited = {};
    return {};
}

Result<> open_sources(Opened& opened, Log& log) {
    opened.sources = std::make_unique<Sources>(
        *opened.loop, [&log](const Error& error) { log.put(Severity::error, to_line(error)); });
    return opened.sources->open(opened.configuration.config, opened.sockets, true);
}

// Where the daemon writes: its state, its log, the sockets that it takes away at its end. A
// reload cannot add a directory.
std::vector<std::string> written_directories(const Config& config) {
    std::vector<std::string> directories;
    auto add = [&](const std::string& file) {
        directories.push_back(fs::path(file).parent_path().string());
    };
    add(config.state);
    add(config.socket);
    if (is_file(config.log)) add(config.log.target);
    return directories;
}

Result<> drop_rights(const Account& account, const Config& config, Log& log) {
    auto missing = enter_daemon(account.user, written_directories(config));
    if (!missing) return std::unexpected(missing.error());
    for (const std::string& what : *missing) log.put(Severity::warning, what);
    return {};
}

// A role without a user of its own shares "nobody" with others.
void warn_of_missing_users(const Config& config, const Account& account, Log& log) {
    if (account.unprivileged) return;
    std::vector<Role> roles{Role::resolver, Role::nftables};  // one of the three with that user
    if (config.http.listen) roles.push_back(Role::http);
    if (config.http.listen && config.http.auth) roles.push_back(Role::auth);
    if (!config.fleet.join.empty()) roles.push_back(Role::fleet);
    for (const Error& error : missing_role_users(roles)) log.put(Severity::warning, to_line(error));
}

// As root: the file is nobody else's.
Result<> read_membership(Opened& opened, Log& log) {
    const FleetConfig& fleet = opened.configuration.config.fleet;
    if (fleet.join.empty()) return {};
    if (::access(find_own_program(role_program(Role::fleet)).c_str(), X_OK) != 0)
        return fail("fleet", std::string(role_program(Role::fleet)) + " is not installed",
                    "apt install bandd-fleet");
    struct stat file{};
    if (::stat(fleet.join.c_str(), &file) == 0 && (file.st_mode & 0077U) != 0)
        log.put(Severity::warning, to_line({"fleet: " + fleet.join,
                                            "others than its owner may open it, and it is secret",
                                            "chmod 0600 " + fleet.join,
                                            {}}));
    auto text = read_text(fleet.join);
    if (!text)
        return fail("fleet: " + text.error().what, text.error().reason,
                    "copy the file that bandctl fleet made for this machine there, mode 0600");
    auto membership = parse_join_file(*text, fleet.join);
    if (!membership) return std::unexpected(membership.error());
    opened.membership = std::move(*membership);
    return {};
}

// Signals are blocked late: a helper process would inherit that. And early: a thread that is
// started before would not block them, and the first signal would end bandd.
Result<> make_loop(Opened& opened) {
    auto signals = open_signals({SIGTERM, SIGINT, SIGHUP, SIGUSR1});
    if (!signals) return std::unexpected(signals.error());
    opened.signals = std::move(*signals);
    std::signal(SIGPIPE, SIG_IGN);
    // As a container's first process bandd is the parent of all whose own has ended: no zombies.
    std::signal(SIGCHLD, SIG_IGN);
    auto loop = Loop::create();
    if (!loop) return std::unexpected(loop.error());
    opened.loop = std::make_unique<Loop>(std::move(*loop));
    return {};
}

Result<> open_without_rights(Opened& opened, std::string& warning) {
    const Config& config = opened.configuration.config;
    auto store = Store::open(config.state, warning);
    if (!store) return std::unexpected(store.error());
    opened.store = std::make_unique<Store>(std::move(*store));
    return opened.sources->start(config);
}

Result<> open_in_order(Opened& opened, const std::string& configuration, Log& log) {
    const Config& config = opened.configuration.config;
    auto account = find_account(config);
    if (!account) return std::unexpected(account.error());
    opened.account = *account;
    if (auto read = read_membership(opened, log); !read) return read;
    if (auto started = start_roles(opened, configuration); !started) return started;
    allow_many_files();
    std::string warning;
    if (auto made = make_directories(config, account->user); !made) return made;
    if (auto prepared = prepare_state(config, account->user, opened.state_lost, warning); !prepared)
        return prepared;
    if (auto own = open_own_log(config.log, *account, log); !own) return own;
    warn_of_missing_users(config, *account, log);
    if (auto sockets = open_listening(opened, log); !sockets) return sockets;
    if (auto claimed = opened.claims.take(config, account->user.uid); !claimed) return claimed;
    if (auto made = make_loop(opened); !made) return made;
    if (auto sources = open_sources(opened, log); !sources) return sources;
    if (auto dropped = drop_rights(*account, config, log); !dropped) return dropped;
    if (auto rest = open_without_rights(opened, warning); !rest) return rest;
    if (!warning.empty()) log.put(Severity::warning, warning);
    return {};
}

}  // namespace

Opened::Opened() = default;
Opened::Opened(Opened&&) noexcept = default;
Opened::~Opened() = default;

std::expected<Opened, Errors> open_all(const DaemonOptions& options, Log& log) {
    auto inherited = InheritedSockets::find();
    auto configuration = load_configuration(options.config, Samples::skip);
    if (!configuration) return std::unexpected(std::move(configuration.error()));
    if (auto others = written_by_others(options.config))
        log.put(Severity::warning, to_line(*others));
    for (const Error& warning : configuration->compiled.warnings)
        log.put(Severity::warning, to_line(warning));
    Opened opened;
    opened.configuration = std::move(*configuration);
    opened.inherited = std::move(inherited);
    if (auto done = open_in_order(opened, options.config, log); !done)
        return std::unexpected(Errors{done.error()});
    return opened;
}

}  // namespace bandd
