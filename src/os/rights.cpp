// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/rights.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "os/calls.h"

namespace bandd {
namespace {

#if defined(BANDD_ADDRESS_SANITIZER) || defined(BANDD_THREAD_SANITIZER)
constexpr bool sanitized = true;  // a sanitizer reserves terabytes of addresses
#else
constexpr bool sanitized = false;
#endif

constexpr rlim_t mebibyte = 1 << 20;

struct RoleRights {
    const char* user;
    std::vector<unsigned> capabilities;
    AllowedCalls calls;
    OpenableFiles files;
    rlim_t descriptors;
    rlim_t memory;  // bytes of address space
};

// resolv.conf may be a link to where another program writes it.
OpenableFiles files_to_resolve() {
    std::error_code fault;
    auto target = std::filesystem::canonical("/etc/resolv.conf", fault).parent_path().string();
    OpenableFiles files{{"/etc"}, {}};
    if (!fault) files.read.push_back(target);
    return files;
}

// Whom this machine believes, as OpenSSL looks it up; where distributions put what that links to.
OpenableFiles files_of_authorities() {
    return {{"/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/usr/lib/ssl",
             "/usr/share/ca-certificates", "/usr/local/share/ca-certificates"},
            {}};
}

RoleRights rights_of(Role role) {
    switch (role) {
        case Role::resolver:
            return {
                "bandd-net",        {},  {.read_files = true, .addresses = true, .internet = true},
                files_to_resolve(), 256, 256 * mebibyte};
        case Role::http:
            return {"bandd-http", {}, {}, {}, 1024, 512 * mebibyte};
        case Role::auth:
            // A thread a question, each with what malloc sets aside for it.
            return {
                "bandd-auth",           {},  {.read_files = true, .local = true, .internet = true},
                files_of_authorities(), 512, 4096 * mebibyte};
        case Role::fleet:
            // libnats has threads of its own, and looks its servers up by the C library. The
            // fleet's authority comes from the daemon.
            return {
                "bandd-fleet",      {}, {.read_files = true, .addresses = true, .internet = true},
                files_to_resolve(), 64, 2048 * mebibyte};
        case Role::nftables:
        case Role::ipset:
        case Role::geoblocks:
            // It opens no file, but libipset reads addresses by getaddrinfo, which works without
            // /etc/resolv.conf, and not without a call to look for it.
            return {
                "bandd-kernel", {CAP_NET_ADMIN}, {.read_files = true, .netfilter = true}, {}, 64,
                RLIM_INFINITY};
        case Role::programs:
        case Role::sockets:
            break;  // they read nothing of strangers, stay root, and never ask
    }
    std::abort();
}

// Ctrl-C and kill are for the daemon. A role ends when its socket does.
void ignore_signals() {
    for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) std::signal(signal, SIG_IGN);
}

Result<Missing> allow_only(const OpenableFiles& files, const AllowedCalls& calls) {
    Missing missing;
    auto by_files = allow_only_files(files);
    if (!by_files) return std::unexpected(by_files.error());
    if (!*by_files)
        missing.push_back("this kernel has no Landlock: files are guarded by users only");
    auto by_calls = allow_only_calls(calls);
    if (!by_calls) return std::unexpected(by_calls.error());
    if (!*by_calls) missing.push_back("this kernel has no seccomp: no calls are forbidden");
    return missing;
}

Result<SystemUser> find_role_user(const char* name) {
    auto own = find_user(name);
    return own ? own : find_user("nobody");
}

}  // namespace

std::vector<Error> missing_role_users(std::span<const Role> roles) {
    std::vector<Error> missing;
    for (Role role : roles) {
        auto user = find_user(rights_of(role).user);
        if (user) continue;
        missing.push_back({user.error().what,
                           user.error().reason + ", so " + role_program(role) + " runs as nobody",
                           user.error().hint,
                           {}});
    }
    return missing;
}

Result<> enter_role(Role role) {
    ignore_signals();
    RoleRights rights = rights_of(role);
    if (geteuid() == 0) {
        auto user = find_role_user(rights.user);
        if (!user) return std::unexpected(user.error());
        // Changing the user takes away whether it ends with bandd-root.
        int with_parent = 0;
        prctl(PR_GET_PDEATHSIG, &with_parent);
        if (auto dropped = drop_privileges(*user, rights.capabilities); !dropped) return dropped;
        prctl(PR_SET_PDEATHSIG, with_parent);
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("prctl no_new_privs");
    prctl(PR_SET_DUMPABLE, 0);
    lower_limit(RLIMIT_CORE, 0);
    lower_limit(RLIMIT_NOFILE, rights.descriptors);
    if (!sanitized) lower_limit(RLIMIT_AS, rights.memory);
    auto allowed = allow_only(rights.files, rights.calls);
    if (!allowed) return std::unexpected(allowed.error());
    return {};
}

bool enters_role(Role role) {
    auto entered = enter_role(role);
    if (entered) return true;
    std::string line = "rights: " + to_line(entered.error()) + "\n";
    [[maybe_unused]] auto ignored = ::write(STDERR_FILENO, line.data(), line.size());
    return false;
}

Result<Missing> enter_daemon(const SystemUser& account, const std::vector<std::string>& writes) {
    constexpr std::array<unsigned, 1> kept{CAP_DAC_READ_SEARCH};
    if (geteuid() == 0)
        if (auto dropped = drop_privileges(account, kept); !dropped)
            return std::unexpected(dropped.error());
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("prctl no_new_privs");
    return allow_only({{"/"}, writes}, {.read_files = true,
                                        .write_files = true,
                                        .addresses = true,
                                        .local = true,
                                        .machine_code = true});
}

}  // namespace bandd
