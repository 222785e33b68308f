// SPDX-License-Identifier: GPL-2.0-or-later
#include "action/kernel_geoblocks.h"

#include <poll.h>
#include <sys/socket.h>

namespace bandd {
namespace {

// False: it takes too long.
bool wait_for(int fd, short events) {
    pollfd ready{fd, events, 0};
    auto longest =
        std::chrono::duration_cast<std::chrono::milliseconds>(KernelGeoblocks::longest_work);
    int got = 0;
    while ((got = ::poll(&ready, 1, static_cast<int>(longest.count()))) < 0 && errno == EINTR) {
    }
    return got > 0;
}

}  // namespace

std::unexpected<Error> KernelGeoblocks::lose(const std::string& reason) {
    socket_.reset();
    return fail("geoblocks: bandd-kernel", reason);
}

Result<> KernelGeoblocks::start() {
    if (socket_) return {};
    auto socket = start_();
    if (!socket) return std::unexpected(socket.error());
    socket_ = std::move(*socket);
    if (auto sent = send({kernel::encode(kernel::Open{kernel::Served::geoblocks})}); !sent)
        return sent;
    auto answer = next_answer();
    if (!answer) return std::unexpected(answer.error());
    auto* opened = std::get_if<kernel::Opened>(&*answer);
    if (opened == nullptr) return lose("says what makes no sense");
    if (!opened->error) return {};
    socket_.reset();
    return std::unexpected(*opened->error);
}

Result<> KernelGeoblocks::put(const std::vector<Geoblock>& blocks) {
    if (!socket_) return lose("does not run");
    if (auto sent = send(kernel::encode_geoblocks(blocks)); !sent) return sent;
    auto answer = next_answer();
    if (!answer) return std::unexpected(answer.error());
    auto* done = std::get_if<kernel::Done>(&*answer);
    if (done == nullptr) return lose("says what makes no sense");
    if (done->error) return std::unexpected(*done->error);
    return {};
}

Result<bool> KernelGeoblocks::stand() {
    if (auto sent = send({kernel::encode(kernel::FindGeoblocks{})}); !sent)
        return std::unexpected(sent.error());
    auto answer = next_answer();
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
            if (!wait_for(socket_.get(), POLLOUT)) return lose("takes no more");
        }
    return {};
}

// What was touched before it is of no interest: it is put anew.
Result<kernel::Answer> KernelGeoblocks::next_answer() {
    buffer_.resize(kernel::largest_packet + 1);
    while (true) {
        ssize_t got = ::recv(socket_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) {
            if (!wait_for(socket_.get(), POLLIN))
                return lose("has not answered for " + format_duration(longest_work));
            continue;
        }
        if (got <= 0) return lose("has ended");
        auto answer = kernel::decode_answer({buffer_.data(), static_cast<std::size_t>(got)});
        if (!answer) return lose("says what makes no sense");
        if (!std::holds_alternative<kernel::Touched>(*answer)) return std::move(*answer);
    }
}

bool KernelGeoblocks::was_touched() {
    std::string packet(kernel::largest_packet + 1, '\0');
    bool touched = false;
    while (socket_) {
        ssize_t got = ::recv(socket_.get(), packet.data(), packet.size(), MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return touched;
        touched = true;
        // Nothing but that is said unasked.
        auto answer = got <= 0 ? std::nullopt
                               : kernel::decode_answer({packet.data(), static_cast<std::size_t>(got)});
        if (!answer || !std::holds_alternative<kernel::Touched>(*answer)) socket_.reset();
    }
    return touched;
}

}  // namespace bandd
