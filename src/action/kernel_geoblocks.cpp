// SPDX-License-Identifier: GPL-2.0-or-later
#include "action/kernel_geoblocks.h"

#include <poll.h>
#include <sys/socket.h>

namespace bandd {
namespace {

// False: it takes too long.
bool wait_for(int fd, short events, Duration longest) {
    pollfd ready{fd, events, 0};
    // A millisecond more, so that what is left is over afterwards.
    int milliseconds = static_cast<int>(longest / std::chrono::milliseconds(1)) + 1;
    int got = 0;
    while ((got = ::poll(&ready, 1, milliseconds)) < 0 && errno == EINTR) {
    }
    return got > 0;
}

}  // namespace

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
    return send({kernel::encode(kernel::Open{kernel::Served::geoblocks})});
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

Result<> KernelGeoblocks::put(const std::vector<Geoblock>& blocks) {
    if (!socket_) return lose("does not run");
    if (auto opened = await_open(longest_work); !opened) return opened;
    if (auto sent = send(kernel::encode_geoblocks(blocks)); !sent) return sent;
    auto answer = next_answer(longest_work);
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
            if (!wait_for(socket_.get(), POLLOUT, longest_work)) return lose("takes no more");
        }
    return {};
}

// What was touched before it is of no interest: it is put anew.
Result<kernel::Answer> KernelGeoblocks::next_answer(Duration longest) {
    buffer_.resize(kernel::largest_packet + 1);
    auto end = std::chrono::steady_clock::now() + longest;
    while (std::chrono::steady_clock::now() < end) {
        ssize_t got = ::recv(socket_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) {
            wait_for(socket_.get(), POLLIN,
                     std::chrono::duration_cast<Duration>(end - std::chrono::steady_clock::now()));
            continue;
        }
        if (got <= 0) return lose("has ended");
        auto answer = kernel::decode_answer({buffer_.data(), static_cast<std::size_t>(got)});
        if (!answer) return lose("says what makes no sense");
        if (!std::holds_alternative<kernel::Touched>(*answer)) return std::move(*answer);
    }
    return lose("has not answered for " + format_duration(longest));
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
