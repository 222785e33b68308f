// SPDX-License-Identifier: GPL-2.0-or-later
// Preloaded into daemon and bandctl: their wall clock is the machine's plus BANDD_CLOCK_SHIFT's
// seconds (a file that holds one std::int64_t), which may change at any time, as if somebody set
// the clock or the machine slept. As in the kernel, timers with TFD_TIMER_CANCEL_ON_SET are then
// cancelled, which the next read or timerfd_settime tells; timeouts in kernel sets see nothing of
// it.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <thread>

namespace {

template <class Function>
Function real(const char* name) {
    return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
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

auto real_settime() {
    static auto next = real<int (*)(int, int, const itimerspec*, itimerspec*)>("timerfd_settime");
    return next;
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
        real_settime()(timer, TFD_TIMER_ABSTIME, &at_once, nullptr);
    }
}

}  // namespace

extern "C" {
int clock_gettime(clockid_t clock, timespec* time) noexcept {
    static auto next = real<int (*)(clockid_t, timespec*)>("clock_gettime");
    int done = next(clock, time);
    if (done == 0 && clock == CLOCK_REALTIME) time->tv_sec += shift()->load();
    return done;
}
int timerfd_create(int clock, int flags) noexcept {
    static auto next = real<int (*)(int, int)>("timerfd_create");
    int fd = next(clock, flags);
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
    int done = real_settime()(fd, flags, &moved, old);
    if (done != 0 || fd != timer || !cancelled.exchange(false)) return done;
    errno = ECANCELED;
    return -1;
}
ssize_t read(int fd, void* data, size_t size) {
    static auto next = real<ssize_t (*)(int, void*, size_t)>("read");
    ssize_t got = next(fd, data, size);
    if (fd != timer || !cancelled.exchange(false)) return got;
    errno = ECANCELED;
    return -1;
}
}
