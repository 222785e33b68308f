// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/fd_packet.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace bandd {
namespace {

constexpr std::size_t largest_control = CMSG_SPACE(sizeof(int) * most_packet_fds);

std::vector<Fd> fds_of(msghdr& message) {
    std::vector<Fd> fds;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
            fds.emplace_back(fd);
        }
    }
    return fds;
}

}  // namespace

bool send_fd_packet(int socket, std::string_view bytes, std::initializer_list<int> fds) {
    iovec data{const_cast<char*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) std::array<char, largest_control> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    if (std::size_t size = sizeof(int) * std::min(fds.size(), most_packet_fds); size > 0) {
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(size);
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(size);
        std::memcpy(CMSG_DATA(header), fds.begin(), size);
    }
    return ::sendmsg(socket, &message, MSG_NOSIGNAL) >= 0;
}

std::optional<FdPacketView> receive_fd_packet(int socket, std::string& buffer) {
    iovec data{buffer.data(), buffer.size()};
    alignas(cmsghdr) std::array<char, largest_control> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t got = 0;
    do {
        got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) return {};
    auto fds = fds_of(message);
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return FdPacketView{};
    return FdPacketView{{buffer.data(), static_cast<std::size_t>(got)}, std::move(fds)};
}

std::optional<FdPacket> receive_fd_packet(int socket, std::size_t largest) {
    std::string buffer(largest, '\0');
    auto packet = receive_fd_packet(socket, buffer);
    if (!packet) return {};
    buffer.resize(packet->bytes.size());
    return FdPacket{std::move(buffer), std::move(packet->fds)};
}

}  // namespace bandd
