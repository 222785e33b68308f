// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/workers.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <csignal>

namespace bandd {
namespace {

// Some 100 microseconds: to sleep and be woken takes longer than most waits here.
constexpr int looks_before_sleep = 4000;

void pause_a_little() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

}  // namespace

Workers::~Workers() {
    {
        std::unique_lock lock(mutex_);
        ending_ = true;
    }
    begun_.notify_all();
    for (std::thread& helper : helpers_) helper.join();
}

void Workers::take_jobs(std::unique_lock<std::mutex>& lock) {
    while (next_ < count_) {
        std::size_t index = next_++;
        ++running_;
        lock.unlock();
        job_(index);
        lock.lock();
        --running_;
    }
}

void Workers::work() {
    // Signals are for the loop's thread.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    pthread_setname_np(pthread_self(), "bandd-matcher");
    std::unique_lock lock(mutex_);
    while (!ending_) {
        take_jobs(lock);
        if (running_ == 0) done_.notify_one();
        // In a backlog the next row follows at once.
        std::uint64_t rows = begun_rows_;
        lock.unlock();
        for (int i = 0; i < looks_before_sleep && begun_rows_ == rows; ++i) pause_a_little();
        lock.lock();
        begun_.wait(lock, [&] { return ending_ || next_ < count_; });
    }
}

void Workers::begin(std::size_t count, std::function<void(std::size_t)> job) {
    std::unique_lock lock(mutex_);
    job_ = std::move(job);
    next_ = 0;
    count_ = count;
    ++begun_rows_;
    while (helpers_.size() + 1 < threads_) helpers_.emplace_back([this] { work(); });
    begun_.notify_all();
}

void Workers::finish() {
    std::unique_lock lock(mutex_);
    take_jobs(lock);
    if (running_ > 0) {  // with the last jobs, which are short
        lock.unlock();
        for (int i = 0; i < looks_before_sleep && running_ > 0; ++i) pause_a_little();
        lock.lock();
    }
    done_.wait(lock, [&] { return running_ == 0; });
}

unsigned processors() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
}

}  // namespace bandd
