// SPDX-License-Identifier: GPL-2.0-or-later
// A look at a disk is many system calls, and the world goes on between them: what is seen was never
// there all at once. Here two take turns at every such call, in one order for one seed.
//
//   Beside world([&] { copy(); world.pause(); truncate(); });  // goes on only when it is let
//   before_each_look([&] { if (chance()) world.go_on(); });    // up to its next pause
//   reading.turn();                                            // looks, and is interrupted
//   before_each_look({});
//   world.finish();
#pragma once

#include <exception>
#include <functional>
#include <semaphore>
#include <thread>

namespace bandd {

// Called before each call by which this thread looks at a file or a directory: open, stat, lstat,
// fstat, pread, readlink, opendir, access.
void before_each_look(std::function<void()> call);

// What is done beside the caller, in pieces. Only one of both goes on at a time.
class Beside {
  public:
    explicit Beside(std::function<void()> work)
        : thread_([this, work = std::move(work)] {
              mine_.acquire();
              try {
                  work();
              } catch (...) {
                  failure_ = std::current_exception();
              }
              done_ = true;
              yours_.release();
          }) {}
    ~Beside() {
        while (!done_) go_on();
        thread_.join();
    }
    Beside(const Beside&) = delete;
    Beside& operator=(const Beside&) = delete;

    bool is_done() const { return done_; }
    // Lets it go on to its next pause, or its end.
    void go_on() {
        if (done_) return;
        mine_.release();
        yours_.acquire();
    }
    void finish() {
        while (!done_) go_on();
        if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    }
    // Called by the work.
    void pause() {
        yours_.release();
        mine_.acquire();
    }

  private:
    std::binary_semaphore mine_{0}, yours_{0};
    bool done_ = false;
    std::exception_ptr failure_;
    std::thread thread_;
};

}  // namespace bandd
