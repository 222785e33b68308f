// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/workers.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <csignal>

namespace bandd {

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
        (*job_)(index);
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
        begun_.wait(lock, [&] { return ending_ || next_ < count_; });
    }
}

void Workers::run(std::size_t count, const std::function<void(std::size_t)>& job) {
    if (threads_ <= 1 || count <= 1) {
        for (std::size_t i = 0; i < count; ++i) job(i);
        return;
    }
    std::unique_lock lock(mutex_);
    job_ = &job;
    next_ = 0;
    count_ = count;
    while (helpers_.size() + 1 < threads_) helpers_.emplace_back([this] { work(); });
    begun_.notify_all();
    take_jobs(lock);
    done_.wait(lock, [&] { return running_ == 0; });
    count_ = next_ = 0;
}

unsigned processors() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
}

}  // namespace bandd
