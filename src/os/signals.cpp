// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/signals.h"

#include <sys/signalfd.h>

#include <csignal>

namespace bandd {

Result<Fd> open_signals(std::initializer_list<int> signals) {
    sigset_t set;
    sigemptyset(&set);
    for (int signal : signals) sigaddset(&set, signal);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    Fd fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd) return fail_errno("signalfd");
    return fd;
}

int read_signal(const Fd& signals) {
    signalfd_siginfo info{};
    if (::read(signals.get(), &info, sizeof info) != sizeof info) return 0;
    return static_cast<int>(info.ssi_signo);
}

}  // namespace bandd
