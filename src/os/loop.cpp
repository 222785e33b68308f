// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/loop.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <array>

namespace bandd {

Result<Loop> Loop::create() {
    Loop loop;
    loop.epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
    if (!loop.epoll_) return fail_errno("epoll_create1");
    loop.timer_ = Fd(timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK));
    if (!loop.timer_) return fail_errno("timerfd_create");
    int timer = loop.timer_.get();
    // A clock that is set makes the read fail with ECANCELED: a wake-up as good as any, since what
    // is due is judged anew after every turn.
    auto added = loop.add(timer, EPOLLIN, [timer](std::uint32_t) {
        std::uint64_t expirations = 0;
        [[maybe_unused]] auto ignored = ::read(timer, &expirations, sizeof expirations);
    });
    if (!added) return std::unexpected(added.error());
    return loop;
}

Result<> Loop::add(int fd, std::uint32_t events, Callback callback) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return fail_errno("epoll_ctl add");
    callbacks_[fd] = std::make_shared<Callback>(std::move(callback));
    return {};
}

void Loop::modify(int fd, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Loop::remove(int fd) {
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    callbacks_.erase(fd);
}

void Loop::set_deadline(std::optional<Instant> at) {
    if (at == deadline_) return;
    deadline_ = at;
    itimerspec spec{};
    if (at && *at != never) {
        // Zero would disarm the timer; a time in the past fires at once.
        std::int64_t us = std::max<std::int64_t>(at->us, 1);
        spec.it_value.tv_sec = us / 1'000'000;
        spec.it_value.tv_nsec = us % 1'000'000 * 1000;
    }
    // A clock that was set since the last call is told here, and only here: the timer is armed all
    // the same.
    if (timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec,
                        nullptr) != 0 &&
        errno == ECANCELED)
        clock_changed_ = again_ = true;
}

// Afterwards all that was ready when it woke has been called: who finds nothing to read then has
// read all.
void Loop::turn() {
    std::array<epoll_event, 64> events{};
    int most = static_cast<int>(events.size());
    int count = epoll_wait(epoll_.get(), events.data(), most, again_ ? 0 : -1);
    again_ = false;
    // Woken by a signal, after a sleep perhaps (SIGCONT): what is ready was not asked for yet.
    if (count < 0) count = epoll_wait(epoll_.get(), events.data(), most, 0);
    for (int round = 0; count > 0 && round < most_rounds; ++round) {
        for (int i = 0; i < count; ++i) call(events[static_cast<std::size_t>(i)]);
        if (count < most) return;
        count = epoll_wait(epoll_.get(), events.data(), most, 0);
    }
}

void Loop::call(const epoll_event& event) {
    if (event.data.fd == timer_.get()) {
        std::uint64_t expirations = 0;
        if (::read(timer_.get(), &expirations, sizeof expirations) < 0 && errno == ECANCELED)
            clock_changed_ = true;
        deadline_.reset();
    }
    auto found = callbacks_.find(event.data.fd);
    if (found == callbacks_.end()) return;
    auto callback = found->second;
    (*callback)(event.events);
}

}  // namespace bandd
