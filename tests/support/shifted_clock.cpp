// SPDX-License-Identifier: GPL-2.0-or-later
// Preloaded into daemon and bandctl: their wall clock is the machine's plus BANDD_CLOCK_SHIFT's
// seconds (a file that holds one std::int64_t), which may change at any time, as if somebody set
// the clock or the machine slept. As in the kernel, timers with TFD_TIMER_CANCEL_ON_SET are then
// cancelled, which the next read or timerfd_settime tells; timeouts in kernel sets see nothing of
// it.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <thread>

namespace {

// The kernel is asked, not the C library, whose functions would have to be looked up first: a
// sanitizer may want the time in the midst of that.
#ifdef SYS_clock_gettime64  // 32 bits
constexpr long gettime_number = SYS_clock_gettime64;
constexpr long settime_number = SYS_timerfd_settime64;
#else
constexpr long gettime_number = SYS_clock_gettime;
constexpr long settime_number = SYS_timerfd_settime;
#endif

int real_settime(int fd, int flags, const itimerspec* spec, itimerspec* old) {
    return static_cast<int>(syscall(settime_number, fd, flags, spec, old));
}

std::atomic<std::int64_t>* shift() {
    static auto* mapped = [] {
        const char* path = std::getenv("BANDD_CLOCK_SHIFT");
        int fd = path == nullptr ? -1 : open(path, O_RDONLY | O_CLOEXEC);
        void* at = fd < 0 ? MAP_FAILED : mmap(nullptr, 8, PROT_READ, MAP_SHARED, fd, 0);
        if (at == MAP_FAILED) std::abort();
        close(fd);
        return static_cast<std::atomic<std::int64_t>*>(at);
    }();
    return mapped;
}

std::atomic<int> timer{-1};  // the daemon has one on the wall clock
std::atomic<bool> cancelled{false};

void watch_shift() {
    std::int64_t seen = shift()->load();
    for (;;) {
        usleep(5000);
        if (shift()->load() == seen) continue;
        seen = shift()->load();
        if (timer < 0) continue;
        cancelled = true;
        itimerspec at_once{{}, {0, 1}};
        real_settime(timer, TFD_TIMER_ABSTIME, &at_once, nullptr);
    }
}

}  // namespace

extern "C" {
int clock_gettime(clockid_t clock, timespec* time) noexcept {
    int done = static_cast<int>(syscall(gettime_number, clock, time));
    if (done == 0 && clock == CLOCK_REALTIME) time->tv_sec += shift()->load();
    return done;
}
int timerfd_create(int clock, int flags) noexcept {
    int fd = static_cast<int>(syscall(SYS_timerfd_create, clock, flags));
    if (clock == CLOCK_REALTIME && timer.exchange(fd) < 0) std::thread(watch_shift).detach();
    return fd;
}
int timerfd_settime(int fd, int flags, const itimerspec* spec, itimerspec* old) noexcept {
    itimerspec moved = *spec;
    bool armed = moved.it_value.tv_sec != 0 || moved.it_value.tv_nsec != 0;
    if (fd == timer && (flags & TFD_TIMER_ABSTIME) != 0 && armed) {
        moved.it_value.tv_sec -= shift()->load();
        if (moved.it_value.tv_sec < 0) moved.it_value = {0, 1};
    }
    int done = real_settime(fd, flags, &moved, old);
    if (done != 0 || fd != timer || !cancelled.exchange(false)) return done;
    errno = ECANCELED;
    return -1;
}
ssize_t read(int fd, void* data, size_t size) {
    ssize_t got = syscall(SYS_read, fd, data, size);
    if (fd != timer || !cancelled.exchange(false)) return got;
    errno = ECANCELED;
    return -1;
}
}
