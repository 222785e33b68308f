// SPDX-License-Identifier: GPL-2.0-or-later
#include "action/kernel_geoblocks.h"

#include <poll.h>
#include <sys/socket.h>

namespace bandd {

std::unexpected<Error> KernelGeoblocks::lose(const std::string& reason) {
    socket_.reset();
    return fail("geoblocks: bandd-kernel", reason);
}

Result<> KernelGeoblocks::connect() {
    if (socket_) return {};
    auto socket = start_(kernel::Served::geoblocks);
    if (!socket) return std::unexpected(socket.error());
    socket_ = std::move(*socket);
    open_ = false;
    return send({kernel::encode(kernel::Open{.served = kernel::Served::geoblocks})});
}

Result<> KernelGeoblocks::start() {
    if (auto connected = connect(); !connected) return connected;
    return await_open(longest_start);
}

Result<> KernelGeoblocks::await_open(Duration longest) {
    if (open_) return {};
    auto answer = next_answer(longest);
    if (!answer) return std::unexpected(answer.error());
    auto* opened = std::get_if<kernel::Opened>(&*answer);
    if (opened == nullptr) return lose("says what makes no sense");
    if (opened->error) {
        socket_.reset();
        return std::unexpected(*opened->error);
    }
    open_ = true;
    return {};
}

Result<> KernelGeoblocks::put(const std::vector<Geoblock>& blocks, Duration longest) {
    if (!socket_) return lose("does not run");
    if (auto opened = await_open(longest); !opened) return opened;
    if (auto sent = send(kernel::encode_geoblocks(blocks)); !sent) return sent;
    auto answer = next_answer(longest);
    if (!answer) return std::unexpected(answer.error());
    auto* done = std::get_if<kernel::Done>(&*answer);
    if (done == nullptr) return lose("says what makes no sense");
    if (done->error) return std::unexpected(*done->error);
    return {};
}

Result<bool> KernelGeoblocks::stand() {
    if (!socket_) return lose("does not run");
    if (auto sent = send({kernel::encode(kernel::FindGeoblocks{})}); !sent)
        return std::unexpected(sent.error());
    auto answer = next_answer(longest_start);
    if (!answer) return std::unexpected(answer.error());
    auto* found = std::get_if<kernel::Found>(&*answer);
    if (found == nullptr) return lose("says what makes no sense");
    return found->stands;
}

Result<> KernelGeoblocks::send(const std::vector<std::string>& packets) {
    for (const std::string& packet : packets)
        while (::send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT) <
               0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN) return lose("has ended");
            if (!wait_for(POLLOUT, Clock::now() + longest_work)) return lose("takes no more");
        }
    return {};
}

// What was touched before it is of no interest: it is put anew.
Result<kernel::Answer> KernelGeoblocks::next_answer(Duration longest) {
    buffer_.resize(kernel::largest_packet + 1);
    auto end = Clock::now() + longest;
    for (;;) {
        ssize_t got = ::recv(socket_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) {
            if (wait_for(POLLIN, end)) continue;
            return lose(giving_up_ ? "was not waited for"
                                   : "has not answered for " + format_duration(longest));
        }
        if (got <= 0) return lose("has ended");
        auto answer = kernel::decode_answer({buffer_.data(), static_cast<std::size_t>(got)});
        if (!answer) return lose("says what makes no sense");
        if (!std::holds_alternative<kernel::Touched>(*answer)) return std::move(*answer);
    }
}

// False: it takes too long, or is given up.
bool KernelGeoblocks::wait_for(short events, Clock::time_point end) const {
    while (!giving_up_ && Clock::now() < end) {
        pollfd ready{socket_.get(), events, 0};
        if (::poll(&ready, 1, static_cast<int>(slice / std::chrono::milliseconds(1))) > 0)
            return true;
    }
    return false;
}

bool KernelGeoblocks::was_touched() {
    std::string packet(kernel::largest_packet + 1, '\0');
    bool touched = false;
    for (int i = 0; i < KernelCarrier::most_packets && socket_; ++i) {
        ssize_t got = ::recv(socket_.get(), packet.data(), packet.size(), MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return touched;
        touched = true;
        // Nothing but that is said unasked.
        auto answer = got <= 0
                          ? std::nullopt
                          : kernel::decode_answer({packet.data(), static_cast<std::size_t>(got)});
        if (!answer || !std::holds_alternative<kernel::Touched>(*answer)) socket_.reset();
    }
    return touched;
}

}  // namespace bandd
