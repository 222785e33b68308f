// SPDX-License-Identifier: GPL-2.0-or-later
// A bandd-kernel, started as bandd has it started.
#pragma once

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <vector>

#include "action/kernel_carrier.h"
#include "support/machine.h"

namespace bandd {

// Those that this test started; they end with it.
inline std::vector<pid_t>& kernel_processes() {
    static std::vector<pid_t> pids;
    return pids;
}

inline Result<Fd> start_kernel_process() {
    std::array<int, 2> ends{-1, -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return fail_errno("socketpair");
    std::string program = built("bandd-kernel");
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int theirs = fcntl(ends[1], F_DUPFD, 10);
        dup2(theirs, 3);
        for (int fd = 4; fd < 1024; ++fd) ::close(fd);
        execl(program.c_str(), "bandd-kernel", nullptr);
        _exit(127);
    }
    ::close(ends[1]);
    kernel_processes().push_back(pid);
    return Fd(ends[0]);
}

}  // namespace bandd
