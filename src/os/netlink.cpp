// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/netlink.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

namespace bandd {
namespace {

constexpr int socket_buffer = 4 << 20;  // a batch of some 30,000 elements
constexpr std::size_t read_buffer = 128 << 10;
constexpr int most_restarts = 16;  // of a dump that was interrupted by changes

}  // namespace

Result<Netlink> Netlink::open(int bus, std::span<const int> groups) {
    Netlink netlink;
    netlink.socket_.reset(mnl_socket_open2(bus, SOCK_CLOEXEC));
    if (!netlink.socket_) return fail_errno("netlink socket");
    if (mnl_socket_bind(netlink.socket_.get(), 0, MNL_SOCKET_AUTOPID) < 0)
        return fail_errno("netlink bind");
    int fd = netlink.fd();
    // The FORCE forms need CAP_NET_ADMIN; without it the plain ones do what the system allows.
    for (auto [force, plain] : {std::pair{SO_SNDBUFFORCE, SO_SNDBUF}, {SO_RCVBUFFORCE, SO_RCVBUF}})
        if (setsockopt(fd, SOL_SOCKET, force, &socket_buffer, sizeof socket_buffer) != 0)
            setsockopt(fd, SOL_SOCKET, plain, &socket_buffer, sizeof socket_buffer);
    int on = 1;
    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
    for (int group : groups)
        if (auto joined = netlink.join(group); !joined) return std::unexpected(joined.error());
    netlink.buffer_.resize(read_buffer);
    return netlink;
}

void Netlink::allow_request(std::size_t bytes) {
    constexpr std::size_t overhead = 64 << 10;
    int size = static_cast<int>(std::max<std::size_t>(bytes + overhead, socket_buffer));
    if (setsockopt(fd(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0)
        setsockopt(fd(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

Result<> Netlink::exchange(std::span<const char> request, std::vector<NetlinkAnswer>& answers,
                           const OnData& on_data) {
    if (mnl_socket_sendto(socket_.get(), request.data(), request.size()) < 0)
        return fail_errno("netlink send");
    while (true) {
        ssize_t got = ::recv(fd(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) return {};
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno("netlink receive");
        int left = static_cast<int>(got);
        for (auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data());
             mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
            if (message->nlmsg_type == NLMSG_ERROR) {
                const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message));
                answers.push_back({message->nlmsg_seq, -error->error});
            } else if (message->nlmsg_type >= NLMSG_MIN_TYPE && on_data) {
                on_data(*message);
            }
        }
    }
}

Result<> Netlink::dump(const nlmsghdr& request, const OnData& on_data,
                       const std::function<bool()>& enough) {
    refusal_ = 0;
    if (mnl_socket_sendto(socket_.get(), &request, request.nlmsg_len) < 0)
        return fail_errno("netlink send");
    for (int restarts = 0;;) {
        ssize_t got = ::recv(fd(), buffer_.data(), buffer_.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno("netlink dump");
        int left = static_cast<int>(got);
        for (auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data());
             mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
            if (message->nlmsg_seq != request.nlmsg_seq) continue;
            bool interrupted = (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
            if (message->nlmsg_type == NLMSG_DONE) {
                if (!interrupted) return {};
                if (++restarts > most_restarts)
                    return fail("netlink dump", "the list keeps changing");
                if (mnl_socket_sendto(socket_.get(), &request, request.nlmsg_len) < 0)
                    return fail_errno("netlink send");
                break;
            }
            if (message->nlmsg_type == NLMSG_ERROR) {
                const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message));
                if (error->error == 0) return {};
                errno = refusal_ = -error->error;
                return fail_errno("netlink dump");
            }
            if (message->nlmsg_type >= NLMSG_MIN_TYPE) on_data(*message);
        }
        if (enough && enough()) return {};
    }
}

Result<> Netlink::join(int group) {
    if (mnl_socket_setsockopt(socket_.get(), NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0)
        return fail_errno("netlink group");
    return {};
}

void Netlink::leave(int group) {
    mnl_socket_setsockopt(socket_.get(), NETLINK_DROP_MEMBERSHIP, &group, sizeof group);
}

bool Netlink::read_notices(const OnData& on_data) {
    bool lost = false;
    while (true) {
        ssize_t got = ::recv(fd(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        if (got < 0 && errno == ENOBUFS) {
            lost = true;
            continue;
        }
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return lost;
        int left = static_cast<int>(got);
        for (auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data());
             mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left))
            on_data(*message);
    }
}

Result<> Netlink::ignore_port(std::uint32_t port) {
    // All messages of one packet come from one transaction, so the first one's nlmsg_pid (bytes 12
    // to 15, which BPF loads in network order) is that of all.
    std::array<sock_filter, 4> code{{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 12),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(port), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
    }};
    sock_fprog program{code.size(), code.data()};
    if (setsockopt(fd(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
        return fail_errno("netlink filter");
    return {};
}

}  // namespace bandd
