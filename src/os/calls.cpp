// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/calls.h"

#include <linux/netlink.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>

#include "os/fd.h"

namespace bandd {
namespace {

using Names = std::initializer_list<const char*>;

// Names that this architecture does not have are left out. Where a call has a 32-bit and a 64-bit
// form of a time or an offset, both are here.
constexpr Names always{
    // Open descriptors.
    "read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "close",
    "close_range", "lseek", "_llseek", "fstat", "fstat64", "fcntl", "fcntl64", "dup", "dup2",
    "dup3", "pipe", "pipe2", "poll", "ppoll", "ppoll_time64", "select", "_newselect", "pselect6",
    "pselect6_time64", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait",
    "epoll_pwait2", "eventfd", "eventfd2", "timerfd_create", "timerfd_settime", "timerfd_settime64",
    "timerfd_gettime", "timerfd_gettime64", "signalfd", "signalfd4", "fadvise64", "fadvise64_64",
    "arm_fadvise64_64", "sendfile", "sendfile64",
    // Memory.
    "brk", "munmap", "mremap", "madvise", "mincore", "membarrier",
    // Time.
    "clock_gettime", "clock_gettime64", "clock_getres", "clock_getres_time64", "clock_nanosleep",
    "clock_nanosleep_time64", "nanosleep", "gettimeofday", "time", "times",
    // Threads and signals of its own.
    "futex", "futex_time64", "set_robust_list", "get_robust_list", "rseq", "set_tid_address",
    "sched_yield", "sched_getaffinity", "gettid", "getpid", "getppid", "getcpu", "rt_sigaction",
    "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "rt_sigtimedwait_time64",
    "sigreturn", "sigaltstack", "restart_syscall", "exit", "exit_group", "set_thread_area",
    "arch_prctl", "set_tls", "cacheflush", "riscv_flush_icache", "pause",
    // Who and what it is.
    "getuid", "getuid32", "geteuid", "geteuid32", "getgid", "getgid32", "getegid", "getegid32",
    "getgroups", "getgroups32", "getresuid", "getresuid32", "getresgid", "getresgid32", "getrusage",
    "getrlimit", "ugetrlimit", "uname", "sysinfo", "getrandom", "capget",
    // Sockets that are open or that a list below lets be made.
    "connect", "bind", "listen", "accept", "accept4", "getsockname", "getpeername", "getsockopt",
    "setsockopt", "send", "sendto", "sendmsg", "sendmmsg", "recv", "recvfrom", "recvmsg",
    "recvmmsg", "recvmmsg_time64", "shutdown"};

constexpr Names to_read_files{"open",
                              "openat",
                              "openat2",
                              "stat",
                              "stat64",
                              "lstat",
                              "lstat64",
                              "fstatat64",
                              "newfstatat",
                              "statx",
                              "access",
                              "faccessat",
                              "faccessat2",
                              "readlink",
                              "readlinkat",
                              "getdents",
                              "getdents64",
                              "statfs",
                              "statfs64",
                              "fstatfs",
                              "fstatfs64",
                              "getcwd",
                              "flock",
                              "inotify_init",
                              "inotify_init1",
                              "inotify_add_watch",
                              "inotify_rm_watch",
                              "name_to_handle_at",
                              "getxattr",
                              "memfd_create"};

constexpr Names to_write_files{
    "ftruncate",       "ftruncate64",      "fallocate", "fsync",    "fdatasync",
    "sync_file_range", "sync_file_range2", "rename",    "renameat", "renameat2",
    "unlink",          "unlinkat",         "mkdir",     "mkdirat",  "rmdir",
    "fchmod",          "fchown",           "fchown32",  "chmod",    "fchmodat",
    "utimensat",       "utimensat_time64", "utime",     "utimes",   "umask"};

// An attacker's calls, for which "no such call" would be a lie that sends a reader of strace
// astray.
constexpr Names refused{"execve",
                        "execveat",
                        "fork",
                        "vfork",
                        "ptrace",
                        "process_vm_readv",
                        "process_vm_writev",
                        "kill",
                        "tkill",
                        "pidfd_open",
                        "pidfd_getfd",
                        "pidfd_send_signal",
                        "mount",
                        "umount2",
                        "pivot_root",
                        "chroot",
                        "fsopen",
                        "fsmount",
                        "fsconfig",
                        "open_tree",
                        "move_mount",
                        "mount_setattr",
                        "unshare",
                        "setns",
                        "setuid",
                        "setgid",
                        "setreuid",
                        "setregid",
                        "setresuid",
                        "setresgid",
                        "setgroups",
                        "setfsuid",
                        "setfsgid",
                        "capset",
                        "mknod",
                        "mknodat",
                        "link",
                        "linkat",
                        "symlink",
                        "symlinkat",
                        "bpf",
                        "perf_event_open",
                        "userfaultfd",
                        "io_uring_setup",
                        "init_module",
                        "finit_module",
                        "delete_module",
                        "kexec_load",
                        "kexec_file_load",
                        "keyctl",
                        "add_key",
                        "request_key",
                        "reboot",
                        "swapon",
                        "swapoff",
                        "sethostname",
                        "setdomainname",
                        "settimeofday",
                        "clock_settime",
                        "clock_adjtime",
                        "adjtimex",
                        "personality",
                        "open_by_handle_at",
                        "quotactl",
                        "acct",
                        "syslog"};

#if defined(BANDD_ADDRESS_SANITIZER) || defined(BANDD_THREAD_SANITIZER)
constexpr bool sanitized = true;
// What the sanitizers' own threads and reports need: LeakSanitizer traces its process.
constexpr Names to_sanitize{"ptrace",
                            "clone",
                            "clone3",
                            "wait4",
                            "kill",
                            "open",
                            "openat",
                            "readlink",
                            "stat",
                            "prctl",
                            "newfstatat",
                            "statx",
                            "mmap",
                            "mmap2",
                            "mprotect",
                            "personality",
                            "process_vm_readv",
                            "access",
                            "getdents64",
                            "sched_getscheduler",
                            "setrlimit",
                            "prlimit64"};
#else
constexpr bool sanitized = false;
constexpr Names to_sanitize{};
#endif

struct Release {
    void operator()(void* filter) const { seccomp_release(filter); }
};

class List {
  public:
    List() : filter_(seccomp_init(SCMP_ACT_ERRNO(ENOSYS))) {}

    void add(const char* name, std::uint32_t action,
             std::initializer_list<scmp_arg_cmp> when = {}) {
        int number = seccomp_syscall_resolve_name(name);
        if (number == __NR_SCMP_ERROR) return;  // of a later kernel than this library's
        int failed = seccomp_rule_add_array(filter_.get(), action, number,
                                            static_cast<unsigned>(when.size()), when.begin());
        // EDOM: this architecture has no such call. EEXIST, EACCES: the same as the default.
        if (failed != 0 && failed != -EDOM && failed != -EEXIST && failed != -EACCES)
            fault_ = std::string(name) + ": " + std::strerror(-failed);
    }
    void allow(Names names) {
        for (const char* name : names) add(name, SCMP_ACT_ALLOW);
    }
    void allow_if(const char* name, std::initializer_list<scmp_arg_cmp> when) {
        add(name, SCMP_ACT_ALLOW, when);
    }
    scmp_filter_ctx get() const { return filter_.get(); }
    const std::string& fault() const { return fault_; }

  private:
    std::unique_ptr<void, Release> filter_;
    std::string fault_;
};

void allow_memory(List& list, bool machine_code) {
    for (const char* name : {"mmap", "mmap2", "mprotect"}) {
        if (machine_code)
            list.allow({name});
        else
            list.allow_if(name, {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)});
    }
}

// Threads, not processes. clone3's flags are out of a filter's sight: the C library falls back.
void allow_own_threads(List& list) {
    constexpr std::uint64_t thread = CLONE_VM | CLONE_THREAD | CLONE_SIGHAND;
#if defined(__s390__) || defined(__CRIS__)
    list.allow_if("clone", {SCMP_A1(SCMP_CMP_MASKED_EQ, thread, thread)});
#else
    list.allow_if("clone", {SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread)});
#endif
    // abort(3) signals itself.
    list.allow_if("tgkill", {SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(getpid()))});
    for (auto option : {PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_CAPBSET_READ})
        list.allow_if("prctl", {SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(option))});
    // Not TIOCSTI, which types into the administrator's terminal.
    for (auto request :
         {FIONREAD, FIONBIO, TCGETS, TIOCGWINSZ, SIOCOUTQ, SIOCGIFINDEX, SIOCGIFNAME})
        list.allow_if("ioctl", {SCMP_A1(SCMP_CMP_EQ, static_cast<scmp_datum_t>(request))});
    // Its own limits, and only to read them.
    list.allow_if("prlimit64", {SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0)});
}

void allow_sockets(List& list, const AllowedCalls& allowed) {
    auto allow = [&](int family) {
        list.allow_if("socket", {SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(family))});
    };
    if (allowed.local) {
        allow(AF_UNIX);
        list.allow_if("socketpair", {SCMP_A0(SCMP_CMP_EQ, AF_UNIX)});
    }
    auto allow_netlink = [&](int bus) {
        list.allow_if("socket", {SCMP_A0(SCMP_CMP_EQ, AF_NETLINK),
                                 SCMP_A2(SCMP_CMP_EQ, static_cast<scmp_datum_t>(bus))});
    };
    if (allowed.addresses)
        for (int bus : {NETLINK_ROUTE, NETLINK_SOCK_DIAG}) allow_netlink(bus);
    if (allowed.netfilter) allow_netlink(NETLINK_NETFILTER);
    if (!allowed.internet) return;
    allow(AF_INET);
    allow(AF_INET6);
}

}  // namespace

Result<bool> allow_only_calls(const AllowedCalls& allowed) {
    List list;
    if (list.get() == nullptr) return fail("seccomp_init", "out of memory");
    // Tables of calls instead of a chain of comparisons: each call passes some ten.
    seccomp_attr_set(list.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
    seccomp_attr_set(list.get(), SCMP_FLTATR_CTL_TSYNC, 1);
    list.allow(always);
    allow_memory(list, allowed.machine_code || sanitized);
    allow_own_threads(list);
    if (allowed.read_files) list.allow(to_read_files);
    if (allowed.write_files) list.allow(to_write_files);
    allow_sockets(list, allowed);
    list.allow(to_sanitize);
    if (!sanitized)
        for (const char* name : refused) list.add(name, SCMP_ACT_ERRNO(EPERM));
    if (!list.fault().empty()) return fail("seccomp", list.fault());
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("prctl no_new_privs");
    int failed = seccomp_load(list.get());
    // A kernel without seccomp filters runs without.
    if (failed == -EINVAL || failed == -ENOSYS || failed == -EOPNOTSUPP) return false;
    if (failed != 0) return fail("seccomp_load", std::strerror(-failed));
    return true;
}

}  // namespace bandd
