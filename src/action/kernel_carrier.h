// SPDX-License-Identifier: GPL-2.0-or-later
// To the kernel's sets, which another process has: bandd-kernel. It is asked over a socket by
// packets (action/kernel_protocol.h). If it dies, says what makes no sense, or owes an answer for
// too long, it is given up, and another one is started after a pause.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "action/carrier.h"
#include "action/kernel_protocol.h"
#include "os/fd.h"
#include "os/restart_pause.h"

namespace bandd {

// Starts bandd-kernel, in place of the one of that kind that may still run, and gives our end of
// its socket. Does not wait.
using StartKernel = std::function<Result<Fd>(kernel::Served)>;

class KernelCarrier : public Carrier {
  public:
    // A process that owes something and has said nothing of it for so long is given up.
    static constexpr Duration longest_silence = std::chrono::seconds(10);
    // Packets that are read in one go.
    static constexpr int most_packets = 64;
    // Requests that the process has at once. What waits here can be taken back.
    static constexpr std::size_t most_owed = 4;

    // Waits until the process is ready; the error is what that one says, too.
    static Result<std::unique_ptr<KernelCarrier>> start(kernel::Served served, StartKernel start);

    bool enforces() const override { return true; }
    bool completes_later() const override { return false; }
    SetTraits traits(TargetId target) const override;
    std::size_t most_listed() const override { return most_listed_; }
    bool sees_touches() const override { return sees_touches_; }

    void set_targets(std::vector<TargetSpec> targets) override;
    void look(RequestId request, TargetId target, Look what) override;
    void apply(RequestId request, std::span<const Order> orders) override;
    void clear() override;
    int notice_fd() const override { return watch_.get(); }
    void read() override;
    void wait(Duration longest) override;

  private:
    using Clock = std::chrono::steady_clock;
    // What the process owes, in its order.
    struct Owed {
        enum class Kind : std::uint8_t { opened, done, looked, applied };
        Kind kind = Kind::done;
        RequestId request = 0;
        TargetId target = 0;
        std::size_t orders = 0;       // of applied
        std::size_t elements = 0;     // of looked, so far
        std::vector<Failure> failed;  // so far
        Clock::time_point since;
    };
    struct Unsent {
        Owed owed;
        std::vector<std::string> packets;
    };

    KernelCarrier(kernel::Served served, StartKernel start)
        : served_(served), start_(std::move(start)) {}
    Result<> connect();
    void disconnect();
    void lose(Error error);
    void request(Owed owed, std::vector<std::string> packets);
    void send_requests();
    void send_waiting();
    void answered();
    void read_packets();
    void on_timer();
    void arm(Duration after);
    bool take(kernel::Answer answer);
    bool take_opened(const kernel::Opened& opened);
    bool take_looked(kernel::Looked looked);
    bool take_applied(kernel::Applied applied);

    kernel::Served served_;
    StartKernel start_;
    Fd watch_;  // an epoll of the two below
    Fd timer_;
    Fd socket_;                        // none: it is to be started anew
    bool ready_ = false;               // it has said that it is open
    bool writing_ = false;             // the socket is watched for room
    std::deque<std::string> waiting_;  // packets that the socket had no room for
    std::deque<Owed> owed_;
    std::deque<Unsent> unsent_;
    Clock::time_point started_;
    Clock::time_point heard_;  // when it said something last, or began to owe
    std::optional<Clock::time_point> timer_due_;
    RestartPause pause_;
    std::vector<TargetSpec> targets_;
    std::map<TargetId, SetTraits> traits_;
    std::size_t most_listed_ = 0;
    bool sees_touches_ = false;
    std::string buffer_;
};

}  // namespace bandd
