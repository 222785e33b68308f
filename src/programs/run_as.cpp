// SPDX-License-Identifier: GPL-2.0-or-later
#include "programs/run_as.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "config/capabilities.h"
#include "os/credentials.h"
#include "os/trusted_path.h"

namespace bandd {
namespace {

constexpr rlim_t most_files = 1024;  // as login shells have
constexpr unsigned most_capabilities = 64;

void give_up(const Error& error) {
    std::string text = to_line(error);
    [[maybe_unused]] auto ignored = ::write(STDERR_FILENO, text.data(), text.size());
    _exit(127);
}

Result<SystemUser> user_of(const ProgramConfig& program) {
    auto user = find_user(program.user);
    if (!user && program.user == default_program_user) return find_user("nobody");
    return user;
}

Capabilities permitted() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
    if (syscall(SYS_capget, &header, data.data()) != 0) return 0;
    return data[0].permitted | Capabilities{data[1].permitted} << 32;
}

// They survive execve.
Result<> hand_down(Capabilities kept) {
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (unsigned i = 0; i < most_capabilities; ++i)
        if ((kept >> i & 1) != 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) != 0)
            return fail_errno("prctl PR_CAP_AMBIENT_RAISE");
    return {};
}

Result<> change_rights(const ProgramConfig& program) {
    auto user = user_of(program);
    if (!user) return std::unexpected(user.error());
    // With rights, it must be one that only root could have written.
    if (user->uid == 0 || program.capabilities.value_or(0) != 0)
        if (auto trusted = check_trusted_program(program.argv.front()); !trusted) return trusted;
    if (user->uid == 0 && !program.capabilities) return change_user(*user);
    Capabilities kept = program.capabilities.value_or(0);
    if (Capabilities missing = kept & ~permitted(); missing != 0)
        return fail("capabilities: " + capabilities_text(missing), "bandd itself was not given it",
                    "add it to CapabilityBoundingSet= of bandd's unit");
    if (auto bounded = bound_capabilities(kept); !bounded) return bounded;
    prctl(PR_SET_KEEPCAPS, 1);  // execve undoes it
    if (auto changed = change_user(*user); !changed) return changed;
    if (auto set = set_capabilities(kept, kept); !set) return set;
    return hand_down(kept);
}

void reset_process(int standard_error) {
    int null = ::open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(standard_error, STDERR_FILENO);
    syscall(SYS_close_range, 3U, ~0U, 0U);
    setpgid(0, 0);
    for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD}) std::signal(signal, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    lower_limit(RLIMIT_NOFILE, most_files);
    lower_limit(RLIMIT_CORE, 0);
}

}  // namespace

void become_program(const std::vector<std::string>& argv, const ProgramConfig& program,
                    int standard_error) {
    reset_process(standard_error);
    if (::chdir("/") != 0) give_up(fail_errno("chdir /").error());
    if (geteuid() == 0)
        if (auto changed = change_rights(program); !changed) give_up(changed.error());
    std::vector<char*> pointers;
    for (const std::string& word : argv) pointers.push_back(const_cast<char*>(word.c_str()));
    pointers.push_back(nullptr);
    std::string path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    std::string language = "LANG=C.UTF-8";
    std::array<char*, 3> environment{path.data(), language.data(), nullptr};
    execve(pointers.front(), pointers.data(), environment.data());
    give_up(fail_errno("cannot run " + argv.front()).error());
    _exit(127);
}

}  // namespace bandd
