// SPDX-License-Identifier: GPL-2.0-or-later
// Threads that share out a row of jobs. They are started with the first row, and sleep between
// rows.
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
    // `threads`: how many work at one time, the caller's among them; 1: nobody else does.
    explicit Workers(unsigned threads) : threads_(threads) {}
    ~Workers();
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    unsigned threads() const { return threads_; }
    // The helpers begin to call job(0) … job(count - 1), each once; `finish` calls what is left,
    // and returns when all are done. Both from one thread only, by turns. Jobs must not throw.
    void begin(std::size_t count, std::function<void(std::size_t)> job);
    void finish();

  private:
    void work();
    // Takes jobs until none is left; with `mutex_` held by `lock` on entry and return.
    void take_jobs(std::unique_lock<std::mutex>& lock);

    unsigned threads_;
    std::vector<std::thread> helpers_;
    std::mutex mutex_;
    std::condition_variable begun_, done_;
    std::function<void(std::size_t)> job_;
    std::atomic<std::uint64_t> begun_rows_ = 0;
    std::size_t next_ = 0, count_ = 0;
    std::atomic<std::size_t> running_ = 0;
    bool ending_ = false;
};

// Processors that this process may run on.
unsigned processors();

}  // namespace bandd
