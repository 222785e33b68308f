// SPDX-License-Identifier: GPL-2.0-or-later
#include "action/kernel_carrier.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include <algorithm>

namespace bandd {
namespace {

constexpr const char* program = "bandd-kernel";

Error ended() { return {program, "has ended", {}, {}}; }
Error nonsense() { return {program, "says what makes no sense", {}, {}}; }

}  // namespace

Result<std::unique_ptr<KernelCarrier>> KernelCarrier::start(kernel::Served served,
                                                            StartKernel start) {
    std::unique_ptr<KernelCarrier> carrier(new KernelCarrier(served, std::move(start)));
    carrier->watch_ = Fd(epoll_create1(EPOLL_CLOEXEC));
    if (!carrier->watch_) return fail_errno("epoll_create1");
    carrier->timer_ = Fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (!carrier->timer_) return fail_errno("timerfd_create");
    epoll_event event{};
    event.events = EPOLLIN;
    if (epoll_ctl(carrier->watch_.get(), EPOLL_CTL_ADD, carrier->timer_.get(), &event) != 0)
        return fail_errno("epoll_ctl add");
    carrier->buffer_.resize(kernel::largest_packet + 1);
    if (auto connected = carrier->connect(); !connected) return std::unexpected(connected.error());
    carrier->wait(longest_silence);
    if (carrier->ready_) {
        [[maybe_unused]] auto known = carrier->take_notices();
        return carrier;
    }
    for (Notice& notice : carrier->take_notices())
        if (auto* lost = std::get_if<Lost>(&notice)) return std::unexpected(lost->error);
    return fail(program, "does not answer");
}

Result<> KernelCarrier::connect() {
    started_ = Clock::now();
    auto socket = start_(served_);
    if (!socket) return std::unexpected(socket.error());
    socket_ = std::move(*socket);
    epoll_event event{};
    event.events = EPOLLIN;
    if (epoll_ctl(watch_.get(), EPOLL_CTL_ADD, socket_.get(), &event) != 0)
        return fail_errno("epoll_ctl add");
    request({.kind = Owed::Kind::opened}, {kernel::encode(kernel::Open{.served = served_})});
    if (!targets_.empty()) request({}, kernel::encode_targets(targets_));
    return {};
}

void KernelCarrier::disconnect() {
    if (socket_) epoll_ctl(watch_.get(), EPOLL_CTL_DEL, socket_.get(), nullptr);
    socket_.reset();
    ready_ = writing_ = false;
    waiting_.clear();
    owed_.clear();
    unsent_.clear();
}

// It is started anew after a pause.
void KernelCarrier::lose(Error error) {
    disconnect();
    Duration pause = pause_.next(std::chrono::duration_cast<Duration>(Clock::now() - started_));
    if (error.hint.empty()) error.hint = "it is started again in " + format_duration(pause);
    tell(Lost{std::move(error)});
    arm(pause);
}

void KernelCarrier::arm(Duration after) {
    itimerspec spec{};
    spec.it_value.tv_sec = after.count() / 1'000'000;
    spec.it_value.tv_nsec = after.count() % 1'000'000 * 1000 + 1;  // never zero: that is "never"
    timerfd_settime(timer_.get(), 0, &spec, nullptr);
    timer_due_ = Clock::now() + after;
}

// A pause is over, or it is time to see whether something is owed for too long.
void KernelCarrier::on_timer() {
    if (!timer_due_ || Clock::now() < *timer_due_) return;
    timer_due_.reset();
    std::uint64_t expirations = 0;
    [[maybe_unused]] auto got = ::read(timer_.get(), &expirations, sizeof expirations);
    if (!socket_) {
        if (auto connected = connect(); !connected) lose(connected.error());
        return;
    }
    if (owed_.empty()) return;
    Duration silent = std::chrono::duration_cast<Duration>(Clock::now() - heard_);
    if (silent < longest_silence)
        arm(longest_silence - silent);
    else
        lose({program, "has not answered for " + format_duration(silent), {}, {}});
}

SetTraits KernelCarrier::traits(TargetId target) const {
    auto found = traits_.find(target);
    return found == traits_.end() ? SetTraits{} : found->second;
}

void KernelCarrier::request(Owed owed, std::vector<std::string> packets) {
    if (!socket_) return;  // lost meanwhile, which is told
    owed.since = Clock::now();
    unsent_.push_back({std::move(owed), std::move(packets)});
    send_requests();
}

void KernelCarrier::send_requests() {
    while (!unsent_.empty() && owed_.size() < most_owed) {
        Unsent next = std::move(unsent_.front());
        unsent_.pop_front();
        if (owed_.empty()) heard_ = Clock::now();
        owed_.push_back(std::move(next.owed));
        if (!timer_due_) arm(longest_silence);
        std::ranges::move(next.packets, std::back_inserter(waiting_));
    }
    send_waiting();
}

// The first of what is owed.
void KernelCarrier::answered() {
    owed_.pop_front();
    send_requests();
}

void KernelCarrier::send_waiting() {
    while (!waiting_.empty()) {
        const std::string& packet = waiting_.front();
        if (::send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN) return lose(ended());
            break;
        }
        waiting_.pop_front();
    }
    if (writing_ == !waiting_.empty()) return;
    writing_ = !waiting_.empty();
    epoll_event event{};
    event.events = EPOLLIN | (writing_ ? EPOLLOUT : 0U);
    epoll_ctl(watch_.get(), EPOLL_CTL_MOD, socket_.get(), &event);
}

void KernelCarrier::set_targets(std::vector<TargetSpec> targets) {
    targets_ = std::move(targets);
    traits_.clear();
    // Nobody waits for what was to be seen of the targets before, and a look may take a second.
    std::erase_if(unsent_, [](const Unsent& one) { return one.owed.kind == Owed::Kind::looked; });
    if (socket_) request({}, kernel::encode_targets(targets_));
}

void KernelCarrier::look(RequestId id, TargetId target, Look what) {
    if (!ready_) return;
    request({.kind = Owed::Kind::looked, .request = id, .target = target},
            {kernel::encode(kernel::LookAt{id, target, what})});
}

void KernelCarrier::apply(RequestId id, std::span<const Order> orders) {
    if (!ready_) return;
    request({.kind = Owed::Kind::applied, .request = id, .orders = orders.size()},
            kernel::encode_orders(id, orders));
}

void KernelCarrier::clear() {
    if (ready_) request({}, {kernel::encode(kernel::Clear{})});
}

void KernelCarrier::read() {
    on_timer();
    if (!socket_) return;
    if (writing_) send_waiting();
    read_packets();
}

void KernelCarrier::wait(Duration longest) {
    auto end = Clock::now() + longest;
    if (!owed_.empty() && owed_.front().since + longest < Clock::now()) return;
    while (socket_ && !owed_.empty()) {
        auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
        if (left.count() <= 0) return;
        pollfd ready{socket_.get(), static_cast<short>(POLLIN | (writing_ ? POLLOUT : 0)), 0};
        int got = ::poll(&ready, 1, static_cast<int>(left.count()));
        if (got < 0 && errno != EINTR) return;
        if (got <= 0) continue;
        if (writing_) send_waiting();
        read_packets();
    }
}

void KernelCarrier::read_packets() {
    for (int i = 0; i < most_packets && socket_; ++i) {
        ssize_t got = ::recv(socket_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) return lose(ended());
        auto answer = kernel::decode_answer({buffer_.data(), static_cast<std::size_t>(got)});
        if (!answer || !take(std::move(*answer))) return lose(nonsense());
    }
}

// False: nothing of that kind is owed, or what it says cannot be.
bool KernelCarrier::take(kernel::Answer answer) {
    if (std::holds_alternative<kernel::Touched>(answer)) {
        tell(Touched{});
        return true;
    }
    if (owed_.empty()) return false;
    // Touches alone do not count: what is owed must come.
    heard_ = Clock::now();
    Owed& owed = owed_.front();
    if (auto* opened = std::get_if<kernel::Opened>(&answer))
        return owed.kind == Owed::Kind::opened && take_opened(*opened);
    if (std::holds_alternative<kernel::Done>(answer)) {
        if (owed.kind != Owed::Kind::done) return false;
        answered();
        return true;
    }
    if (auto* elements = std::get_if<kernel::Elements>(&answer)) {
        if (owed.kind != Owed::Kind::looked || elements->id != owed.request) return false;
        owed.elements += elements->elements.size();
        if (elements->elements.empty() || owed.elements > kernel::most_elements) return false;
        traits_[owed.target] = elements->traits;
        tell(Elements{owed.request, owed.target, std::move(elements->elements)});
        return true;
    }
    if (auto* looked = std::get_if<kernel::Looked>(&answer))
        return owed.kind == Owed::Kind::looked && take_looked(std::move(*looked));
    if (auto* applied = std::get_if<kernel::Applied>(&answer))
        return owed.kind == Owed::Kind::applied && take_applied(std::move(*applied));
    return false;
}

bool KernelCarrier::take_opened(const kernel::Opened& opened) {
    if (opened.error) {
        lose(*opened.error);
        return true;
    }
    sees_touches_ = opened.sees_touches;
    most_listed_ = static_cast<std::size_t>(opened.most_listed);
    ready_ = true;
    tell(Regained{});
    answered();
    return true;
}

bool KernelCarrier::take_looked(kernel::Looked looked) {
    Owed owed = std::move(owed_.front());
    if (looked.id != owed.request) return false;
    traits_[owed.target] = looked.traits;
    Result<> result;
    if (looked.error) result = std::unexpected(std::move(*looked.error));
    tell(Looked{owed.request, owed.target, std::move(result), looked.count,
                std::move(looked.remarks)});
    answered();
    return true;
}

bool KernelCarrier::take_applied(kernel::Applied applied) {
    Owed& owed = owed_.front();
    if (applied.id != owed.request) return false;
    if (owed.failed.size() + applied.failed.size() > owed.orders) return false;
    for (Failure& failure : applied.failed) {
        if (failure.index >= owed.orders) return false;
        owed.failed.push_back(std::move(failure));
    }
    if (applied.more) return true;
    tell(Applied{owed.request, std::move(owed.failed)});
    answered();
    return true;
}

}  // namespace bandd
