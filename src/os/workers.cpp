// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/workers.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <csignal>
#include <utility>

namespace bandd {
namespace {

// Some 100 microseconds: to sleep and be woken takes longer than most waits here.
constexpr int looks_before_sleep = 4000;

// Until another thread changes `count` from what it was; not for long.
void look_a_while(const std::atomic<std::uint64_t>& count, std::uint64_t was) {
    for (int i = 0; i < looks_before_sleep && count == was; ++i) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
    }
}

}  // namespace

Workers::~Workers() {
    {
        std::unique_lock lock(mutex_);
        ending_ = true;
    }
    opened_.notify_all();
    for (std::thread& helper : helpers_) helper.join();
}

bool Workers::do_next(std::unique_lock<std::mutex>& lock, unsigned thread) {
    if (!is_one_open()) return false;
    std::size_t index = next_++;
    ++running_;
    lock.unlock();
    job_(index, thread);
    lock.lock();
    --running_;
    is_done_[index] = true;
    ++times_done_;
    if (thread != 0) done_.notify_one();
    return true;
}

void Workers::work(unsigned thread) {
    // Signals are for the loop's thread.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    pthread_setname_np(pthread_self(), "bandd-matcher");
    std::unique_lock lock(mutex_);
    while (!ending_) {
        if (is_one_for_helpers() && do_next(lock, thread)) continue;
        std::uint64_t opened = times_opened_;
        lock.unlock();
        look_a_while(times_opened_, opened);
        lock.lock();
        opened_.wait(lock, [&] { return ending_ || is_one_for_helpers(); });
    }
}

void Workers::wake_helpers() {
    ++times_opened_;
    opened_.notify_all();
}

void Workers::begin(std::size_t count, std::size_t limit, Job job, bool alone) {
    std::unique_lock lock(mutex_);
    job_ = std::move(job);
    next_ = 0;
    count_ = count;
    limit_ = limit;
    is_done_.assign(count, false);
    alone_ = alone;
    if (count <= 1 || alone) return;  // done sooner than anybody wakes up
    while (helpers_.size() + 1 < threads_)
        helpers_.emplace_back(
            [this, thread = static_cast<unsigned>(helpers_.size() + 1)] { work(thread); });
    wake_helpers();
}

void Workers::raise_limit(std::size_t limit) {
    std::unique_lock lock(mutex_);
    bool waited = !is_one_open();
    limit_ = limit;
    if (waited && is_one_for_helpers()) wake_helpers();
}

void Workers::wait_for(std::size_t index) {
    std::unique_lock lock(mutex_);
    while (!is_done_[index]) {
        if (do_next(lock, 0)) continue;
        std::uint64_t done = times_done_;
        lock.unlock();
        look_a_while(times_done_, done);
        lock.lock();
        done_.wait(lock, [&] { return times_done_ != done; });
    }
}

void Workers::stop() {
    std::unique_lock lock(mutex_);
    count_ = next_;
    done_.wait(lock, [&] { return running_ == 0; });
}

unsigned processors() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
}

}  // namespace bandd
