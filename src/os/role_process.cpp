// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/role_process.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "os/fd_packet.h"
#include "os/loop.h"

namespace bandd {

RoleProcess::RoleProcess(Roles& roles, Loop& loop, Role role, Calls calls)
    : roles_(roles), loop_(loop), role_(role), calls_(std::move(calls)) {}

RoleProcess::~RoleProcess() { close(); }

void RoleProcess::close() {
    if (socket_) loop_.remove(socket_.get());
    socket_.reset();
}

std::optional<Instant> RoleProcess::next_start() const {
    if (socket_) return {};
    return may_start_;
}

Result<> RoleProcess::start(Instant now) {
    if (socket_) return {};
    std::string name = role_program(role_);
    if (now < may_start_) return fail(name, "has ended, and is started anew in a moment");
    auto socket = roles_.start_role(role_, extra_.get());
    auto added =
        socket ? loop_.add(socket->get(), EPOLLIN, [this](std::uint32_t) { calls_.on_readable(); })
               : Result<>(std::unexpected(socket.error()));
    started_ = now;
    if (!added) {
        may_start_ = now + pause_.next({});
        calls_.on_error(added.error());
        return added;
    }
    socket_ = std::move(*socket);
    if (calls_.on_start) calls_.on_start();
    return {};
}

Result<> RoleProcess::send(std::string_view packet, Instant now) {
    if (auto running = start(now); !running) return running;
    if (::send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return fail_errno(std::string("sending to ") + role_program(role_));
    return {};
}

Result<> RoleProcess::send(std::string_view packet, Instant now, int fd) {
    if (auto running = start(now); !running) return running;
    if (!send_fd_packet(socket_.get(), packet, {fd}))
        return fail_errno(std::string("sending to ") + role_program(role_));
    return {};
}

std::optional<std::string_view> RoleProcess::receive(std::size_t largest, Instant now) {
    if (!socket_) return {};
    if (buffer_.size() < largest) buffer_.resize(largest);
    ssize_t got = ::recv(socket_.get(), buffer_.data(), largest, MSG_DONTWAIT);
    if (got > 0) return std::string_view(buffer_.data(), static_cast<std::size_t>(got));
    if (got == 0 || (errno != EAGAIN && errno != EINTR)) on_end(now);
    return {};
}

void RoleProcess::wait(Duration most) const {
    pollfd ready{socket_.get(), POLLIN, 0};
    ::poll(&ready, 1, static_cast<int>(most / std::chrono::milliseconds(1)) + 1);
}

void RoleProcess::on_end(Instant now) {
    close();
    ++ends_;
    Duration pause = pause_.next(now - started_);
    may_start_ = now + pause;
    calls_.on_error(
        {role_program(role_),
         "has ended",
         fmt::format("it is started anew in {} s; a core or the kernel's log may tell why",
                     pause / std::chrono::seconds(1)),
         {}});
}

}  // namespace bandd
