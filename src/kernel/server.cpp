// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/server.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "kernel/ipset.h"
#include "kernel/nftables.h"

namespace bandd::kernel {
namespace {

const Error no_such_target{"bandd-kernel", "there is no such target", {}, {}};

std::optional<Error> error_of(const Result<>& result) {
    return result ? std::nullopt : std::optional(result.error());
}

template <class Made>
Result<std::unique_ptr<Backend>> as_backend(Made made) {
    if (!made) return std::unexpected(made.error());
    return std::move(*made);
}

}  // namespace

// Whether the daemon has gone is asked before each request: what it had ordered last may be
// outdated, and another bandd-kernel at work.
bool Server::run() {
    buffer_.resize(largest_packet + 1);
    while (!gone_) {
        std::array<pollfd, 2> ready{
            {{daemon_.get(), POLLIN | POLLRDHUP, 0}, {notice_fd(), POLLIN, 0}}};
        if (::poll(ready.data(), ready.size(), -1) < 0 && errno != EINTR) return false;
        if ((ready[0].revents & (POLLHUP | POLLRDHUP | POLLERR)) != 0) return true;
        if (ready[1].revents != 0) tell_touches();
        if ((ready[0].revents & POLLIN) != 0 && !take_packet()) return false;
    }
    return true;
}

int Server::notice_fd() const {
    if (geoblocks_) return geoblocks_->fd();
    return backend_ ? backend_->notice_fd() : -1;  // poll passes over -1
}

void Server::tell_touches() {
    bool touched = geoblocks_ ? geoblocks_->was_changed() : backend_->read_notices().touched;
    if (touched) answer(Touched{});
}

void Server::send(const std::string& packet) {
    while (::send(daemon_.get(), packet.data(), packet.size(), MSG_NOSIGNAL) < 0) {
        if (errno == EINTR) continue;
        gone_ = true;
        return;
    }
}

bool Server::take_packet() {
    ssize_t got = ::recv(daemon_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) gone_ = true;
    if (gone_) return true;
    std::string_view packet(buffer_.data(), static_cast<std::size_t>(got));
    if (!backend_ && !geoblocks_ && !is_of_our_version(packet)) return true;
    auto request = decode_request(packet);
    if (!request) return false;
    return std::visit([this](auto& one) { return carry_out(one); }, *request);
}

// What else a packet of another version means nobody knows.
bool Server::is_of_our_version(std::string_view packet) {
    auto version = version_in_open(packet);
    if (!version || *version == BANDD_VERSION) return true;
    Opened opened;
    opened.error = Error{
        "bandd-kernel", "is version " BANDD_VERSION ", and bandd " + *version, "restart bandd", {}};
    answer(opened);
    return false;
}

bool Server::carry_out(Open& open) {
    if (backend_ || geoblocks_) return false;
    served_ = open.served;
    Opened opened;
    if (served_ == Served::geoblocks) {
        auto watch = GeoblockWatch::open();
        if (watch)
            geoblocks_ = std::move(*watch);
        else
            opened.error = watch.error();
    } else {
        auto made = served_ == Served::nftables ? as_backend(NftablesBackend::create())
                                                : as_backend(IpsetBackend::create());
        if (made)
            backend_ = std::move(*made);
        else
            opened.error = made.error();
    }
    if (backend_) {
        opened.sees_touches = backend_->notice_fd() >= 0;
        opened.most_listed = backend_->most_listed();
    }
    answer(opened);
    return true;
}

bool Server::carry_out(Targets& targets) {
    if (!backend_ || targets_.size() + targets.targets.size() > most_targets) return false;
    for (TargetSpec& target : targets.targets) {
        bool is_ipset = std::holds_alternative<IpsetAction>(target.action);
        if (is_ipset != (served_ == Served::ipset)) return false;
        targets_.push_back(std::move(target));
    }
    if (targets.more) return true;
    known_.assign(most_targets, false);
    for (const TargetSpec& target : targets_) known_[target.id] = true;
    backend_->set_targets(std::exchange(targets_, {}));
    answer(Done{});
    return true;
}

Result<> Server::list(const LookAt& look) {
    Elements elements{look.id, backend_->traits(look.target), {}};
    auto listed = backend_->list(look.target, [&](const Present& present) {
        elements.elements.push_back(present);
        if (elements.elements.size() < elements_a_packet) return;
        answer(elements);
        elements.elements.clear();
    });
    if (!elements.elements.empty()) answer(elements);
    return listed;
}

bool Server::carry_out(LookAt& look) {
    if (!backend_) return false;
    Looked looked{look.id, {}, no_such_target, {}, {}};
    if (look.target < known_.size() && known_[look.target]) {
        auto prepared = backend_->prepare(look.target);
        looked.error = error_of(prepared);
        if (prepared) looked.remarks = backend_->remarks(look.target);
        if (prepared && look.look == Look::count) looked.count = backend_->count(look.target);
        if (prepared && look.look == Look::list) looked.error = error_of(list(look));
        looked.traits = backend_->traits(look.target);
    }
    answer(looked);
    return true;
}

bool Server::carry_out(Apply& apply) {
    if (!backend_ || orders_.size() + apply.orders.size() > most_orders) return false;
    if (orders_.empty())
        orders_ = std::move(apply.orders);
    else
        std::ranges::move(apply.orders, std::back_inserter(orders_));
    if (apply.more) return true;
    std::vector<Order> orders = std::exchange(orders_, {});
    std::vector<Failure> failed;
    bool all_known = std::ranges::all_of(orders, [&](const Order& order) {
        return order.target < known_.size() && known_[order.target];
    });
    if (all_known)
        backend_->apply(orders, failed);
    else
        for (std::size_t i = 0; i < orders.size(); ++i) failed.push_back({i, no_such_target});
    for (const std::string& packet : encode_failures(apply.id, failed)) send(packet);
    // What it missed while it was busy does not wake us.
    if (orders.size() > 1 && backend_->notice_fd() >= 0) tell_touches();
    return true;
}

bool Server::carry_out(Clear&) {
    if (!backend_) return false;
    backend_->clear();
    answer(Done{});
    return true;
}

bool Server::carry_out(PutGeoblocks& put) {
    if (!geoblocks_) return false;
    for (Geoblock& part : put.blocks) {
        networks_ += part.ranges.size();
        if (networks_ > most_networks || blocks_.size() > most_blocks) return false;
        if (!blocks_.empty() && blocks_.back().config.name == part.config.name)
            std::ranges::move(part.ranges, std::back_inserter(blocks_.back().ranges));
        else
            blocks_.push_back(std::move(part));
    }
    if (put.more) return true;
    networks_ = 0;
    Result<> done = put_geoblocks_and_listen();
    answer(Done{error_of(done)});
    // Whoever took our table away while we did not listen is found out here.
    bool wanted = !std::exchange(blocks_, {}).empty();
    if (done && wanted && !geoblocks_stand()) answer(Touched{});
    return true;
}

// Our own transaction would wake us for each of its elements.
Result<> Server::put_geoblocks_and_listen() {
    geoblocks_->pause();
    Result<> done = put_geoblocks(blocks_);
    Result<> listening = geoblocks_->resume();
    return done ? listening : done;
}

bool Server::carry_out(FindGeoblocks&) {
    if (!geoblocks_) return false;
    answer(Found{geoblocks_stand()});
    return true;
}

}  // namespace bandd::kernel
