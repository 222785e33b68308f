// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps geoblocks as they are configured: reads the databases and talks to the kernel on a thread
// of its own, as both take their time; again when databases are replaced, or when somebody else
// changed what stands in the kernel.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "action/kernel_geoblocks.h"
#include "os/loop.h"

namespace bandd {

struct GeoblockReport {
    std::vector<std::pair<std::string, std::size_t>> networks;  // by name of the block
    std::optional<Error> error;
};

class Geoblocker {
  public:
    // Before a failure is tried again.
    static constexpr Duration pause = std::chrono::minutes(1);

    using OnDone = std::function<void(const GeoblockReport&)>;
    static Result<std::unique_ptr<Geoblocker>> start(Loop& loop, StartKernel start_kernel,
                                                     OnDone on_done);
    ~Geoblocker();  // bandd-kernel finishes what is under way
    Geoblocker(const Geoblocker&) = delete;
    Geoblocker& operator=(const Geoblocker&) = delete;

    // From now on these, out of these databases. `on_done` is called on the loop.
    void set(std::vector<GeoblockConfig> blocks, std::vector<std::string> databases);
    std::optional<Instant> next_deadline() const { return retry_at_; }
    void on_time(Instant now);
    // Takes all of them out of the kernel, and waits for it. One that hangs is replaced.
    void clear();

  private:
    Geoblocker(Loop& loop, StartKernel start_kernel, Fd done, OnDone on_done);
    Result<> listen();
    void ignore();
    void begin();
    void finish();

    Loop& loop_;
    KernelGeoblocks kernel_;
    int listening_ = -1;  // its descriptor, while it is listened to
    Fd done_;             // eventfd
    OnDone on_done_;
    std::vector<GeoblockConfig> blocks_;
    std::vector<std::string> databases_;
    std::thread thread_;
    bool running_ = false;
    bool again_ = false;  // something changed meanwhile
    std::optional<Instant> retry_at_;
    GeoblockReport report_;  // the thread's, until `done_` is written
};

}  // namespace bandd
