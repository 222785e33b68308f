// SPDX-License-Identifier: GPL-2.0-or-later
// Threads that share the jobs of a list. They are started with the first list that has more than
// one job, and sleep between lists.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace bandd {

class Workers {
  public:
    // `thread`: 0 is the caller's own, helpers from 1 on.
    using Job = std::function<void(std::size_t index, unsigned thread)>;

    // `threads`: how many work at one time, the caller's among them; 1: nobody else does.
    explicit Workers(unsigned threads) : threads_(threads) {}
    ~Workers();
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    unsigned threads() const { return threads_; }

    // All of these are called by one thread only. A list is the jobs 0 … count - 1. They are begun
    // in this order, each once; those from `limit` on wait until it is raised. Jobs must not throw.
    // `alone`: the helpers sleep on, and each job is done when it is waited for.
    void begin(std::size_t count, std::size_t limit, Job job, bool alone = false);
    void raise_limit(std::size_t limit);
    // Returns once this job, which is below the limit, is done. The caller does others meanwhile.
    void wait_for(std::size_t index);
    // Begins no more jobs, and returns once none is running. To be called before the next list.
    void stop();

  private:
    void work(unsigned thread);
    bool is_one_for_helpers() const { return !alone_ && is_one_open(); }
    bool is_one_open() const { return next_ < count_ && next_ < limit_; }
    // Does the next job, if one is open; with `mutex_` held by `lock` on entry and return.
    bool do_next(std::unique_lock<std::mutex>& lock, unsigned thread);
    void wake_helpers();

    unsigned threads_;
    std::vector<std::thread> helpers_;
    std::mutex mutex_;
    std::condition_variable opened_, done_;
    Job job_;
    std::size_t next_ = 0, count_ = 0, limit_ = 0;
    std::vector<bool> is_done_;
    std::size_t running_ = 0;
    // How often jobs were opened and done: changed with `mutex_` held, looked at without.
    std::atomic<std::uint64_t> times_opened_ = 0, times_done_ = 0;
    bool alone_ = false;
    bool ending_ = false;
};

// Processors that this process may run on.
unsigned processors();

}  // namespace bandd
