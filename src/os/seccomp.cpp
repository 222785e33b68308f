// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/seccomp.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <vector>

#include "os/fd.h"

namespace bandd {
namespace {

constexpr std::uint32_t own_architecture =
#if defined(__x86_64__)
    AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
    AUDIT_ARCH_AARCH64;
#elif defined(__i386__)
    AUDIT_ARCH_I386;
#elif defined(__arm__)
    AUDIT_ARCH_ARM;
#elif defined(__riscv) && __riscv_xlen == 64
    AUDIT_ARCH_RISCV64;
#else
    0;  // not known here: no filter
#endif

// Not every architecture has every one of them.
const std::vector<long> refused{
    SYS_execve,
    SYS_execveat,
#ifndef BANDD_ADDRESS_SANITIZER  // which looks for leaks by it
    SYS_ptrace,
#endif
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_unshare,
    SYS_setns,
    SYS_setuid,
    SYS_setgid,
    SYS_setreuid,
    SYS_setregid,
    SYS_setresuid,
    SYS_setresgid,
    SYS_setgroups,
    SYS_capset,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_userfaultfd,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_adjtimex,
    SYS_quotactl,
    SYS_acct,
    SYS_mknodat,
    SYS_personality,
    SYS_syslog,
#ifdef SYS_io_uring_setup
    SYS_io_uring_setup,
#endif
#ifdef SYS_open_by_handle_at
    SYS_open_by_handle_at,
#endif
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
};

}  // namespace

Result<> forbid_dangerous_calls(Network network) {
    if (own_architecture == 0) return {};
    constexpr auto architecture = static_cast<std::uint32_t>(offsetof(seccomp_data, arch));
    constexpr auto number = static_cast<std::uint32_t>(offsetof(seccomp_data, nr));
    constexpr auto first_argument = static_cast<std::uint32_t>(offsetof(seccomp_data, args));
    constexpr std::uint32_t refuse = SECCOMP_RET_ERRNO | EPERM;
    std::vector<sock_filter> code{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, architecture),
        // Calls of another architecture (32-bit ones on amd64) have other numbers: none of them.
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, own_architecture, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, refuse),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, number),
    };
    for (long call : refused) {
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1));
        code.push_back(BPF_STMT(BPF_RET | BPF_K, refuse));
    }
    // Sockets: Unix and netlink only. Nothing that an attacker makes us do leaves this machine.
    if (network == Network::forbidden) {
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 4));
        code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, first_argument));
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 2, 0));
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 1, 0));
        code.push_back(BPF_STMT(BPF_RET | BPF_K, refuse));
    }
    code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("prctl no_new_privs");
    // A kernel without seccomp filters runs without.
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0 && errno != EINVAL)
        return fail_errno("prctl seccomp");
    return {};
}

}  // namespace bandd
