// SPDX-License-Identifier: GPL-2.0-or-later
// A bandd-kernel, started as bandd has it started.
#pragma once

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <vector>

#include "action/kernel_carrier.h"
#include "support/catch.h"
#include "support/machine.h"

namespace bandd {

// Those that this test started; they end with it.
inline std::vector<pid_t>& kernel_processes() {
    static std::vector<pid_t> pids;
    return pids;
}

inline Result<Fd> start_kernel_process(kernel::Served /*all are alike*/) {
    std::array<int, 2> ends{-1, -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return fail_errno("socketpair");
    std::string program = built("bandd-kernel");
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int theirs = fcntl(ends[1], F_DUPFD, 10);
        dup2(theirs, 3);
        for (int fd = 4; fd < 1024; ++fd) ::close(fd);
        execl(program.c_str(), "bandd-kernel", nullptr);
        _exit(127);
    }
    ::close(ends[1]);
    kernel_processes().push_back(pid);
    return Fd(ends[0]);
}

// A backend of the kernel's sets as dispatch has it: in bandd-kernel, and each call waited for.
class ThroughProcess : public Backend {
  public:
    static Result<std::unique_ptr<Backend>> create(kernel::Served served) {
        auto carrier = KernelCarrier::start(served, start_kernel_process);
        if (!carrier) return std::unexpected(carrier.error());
        return std::unique_ptr<Backend>(new ThroughProcess(std::move(*carrier)));
    }

    void set_targets(std::vector<TargetSpec> targets) override {
        carrier_->set_targets(std::move(targets));
        ask();
    }
    Result<> prepare(TargetId target) override { return look(target, Look::prepare).result; }
    void apply(std::span<const Order> orders, std::vector<Failure>& failed) override {
        carrier_->apply(++request_, orders);
        for (Notice& notice : ask())
            if (auto* applied = std::get_if<Applied>(&notice)) failed = std::move(applied->failed);
    }
    bool enforces() const override { return carrier_->enforces(); }
    SetTraits traits(TargetId target) const override { return carrier_->traits(target); }
    std::vector<Error> remarks(TargetId) const override { return remarks_; }  // of the last look
    Result<> list(TargetId target, const Visit& visit) override {
        elements_.clear();
        Looked looked = look(target, Look::list);
        for (const Present& present : elements_) visit(present);
        return looked.result;
    }
    std::size_t most_listed() const override { return carrier_->most_listed(); }
    std::optional<std::size_t> count(TargetId target) override {
        return look(target, Look::count).count;
    }
    void clear() override {
        carrier_->clear();
        ask();
    }
    int notice_fd() const override { return carrier_->notice_fd(); }
    Notices read_notices() override {
        // Touches come before the answer to what is asked after them.
        constexpr TargetId none = 65535;
        look(none, Look::prepare);
        return {std::exchange(touched_, false), {}};
    }

  private:
    explicit ThroughProcess(std::unique_ptr<KernelCarrier> carrier)
        : carrier_(std::move(carrier)) {}

    std::vector<Notice> ask() {
        carrier_->wait(KernelCarrier::longest_silence);
        std::vector<Notice> notices = carrier_->take_notices();
        for (const Notice& notice : notices) {
            if (auto* lost = std::get_if<Lost>(&notice)) FAIL(to_line(lost->error));
            if (std::holds_alternative<Touched>(notice)) touched_ = true;
            if (auto* elements = std::get_if<Elements>(&notice))
                elements_.insert(elements_.end(), elements->elements.begin(),
                                 elements->elements.end());
        }
        return notices;
    }
    Looked look(TargetId target, Look what) {
        carrier_->look(++request_, target, what);
        for (Notice& notice : ask())
            if (auto* looked = std::get_if<Looked>(&notice)) {
                remarks_ = looked->remarks;
                return std::move(*looked);
            }
        FAIL("no answer");
        return {};
    }

    std::unique_ptr<KernelCarrier> carrier_;
    RequestId request_ = 0;
    std::vector<Present> elements_;
    std::vector<Error> remarks_;
    bool touched_ = false;
};

}  // namespace bandd
