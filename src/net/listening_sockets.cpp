// SPDX-License-Identifier: GPL-2.0-or-later
#include "net/listening_sockets.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "net/listen.h"
#include "os/packet.h"

namespace bandd {
namespace {

constexpr std::size_t largest_packet = 64 << 10;  // bytes
constexpr const char* role_name = "bandd-sockets";

struct Packet {
    std::string bytes;
    Fd fd;
};

bool send_packet(int socket, const std::string& bytes, int fd) {
    iovec data{const_cast<char*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fd)> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    if (fd >= 0) {
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof fd);
        std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    return ::sendmsg(socket, &message, MSG_NOSIGNAL) >= 0;
}

// Nothing at the end, or if none comes in time.
std::optional<Packet> receive_packet(int socket, int wait_ms) {
    pollfd ready{socket, POLLIN, 0};
    if (poll(&ready, 1, wait_ms) != 1) return {};
    Packet packet{std::string(largest_packet, '\0'), {}};
    iovec data{packet.bytes.data(), packet.bytes.size()};
    int fd = -1;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fd)> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (got <= 0) return {};
    packet.bytes.resize(static_cast<std::size_t>(got));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header != nullptr && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof fd)) {
        std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
        packet.fd = Fd(fd);
    }
    return packet;
}

}  // namespace

std::vector<WantedSocket> wanted_sockets(const Config& config) {
    std::vector<WantedSocket> wanted;
    auto add = [&](const ListenAddress& address, const char* what) {
        bool known = std::ranges::any_of(wanted, [&](const WantedSocket& other) {
            return to_string(other.address) == to_string(address);
        });
        if (!known) wanted.push_back({address, what});
    };
    for (const ListenAddress& address : config.policy.listen) add(address, "policy");
    for (const ListenAddress& address : config.remote.listen) add(address, "remote");
    if (config.http.listen) add(*config.http.listen, "http");
    for (const JailConfig& jail : config.jails)
        if (jail.syslog)
            for (const ListenAddress& address : jail.syslog->listen) add(address, "syslog");
    return wanted;
}

Result<ListeningSockets> open_sockets(const std::vector<WantedSocket>& wanted,
                                      const std::vector<std::string>& known) {
    ListeningSockets opened;
    for (const auto& [address, what] : wanted) {
        std::string name = to_string(address);
        if (std::ranges::find(known, name) != known.end()) continue;
        auto fd = listen_at(address, what);
        if (!fd) return std::unexpected(fd.error());
        opened.emplace(name, std::move(*fd));
    }
    return opened;
}

Result<ListeningSockets> ask_for_sockets(Roles& roles, const std::vector<std::string>& known) {
    auto socket = roles.start_role(Role::sockets);
    if (!socket) return std::unexpected(socket.error());
    std::string request;
    for (const std::string& name : known) append_field(request, name);
    append_field(request, {});
    if (!send_packet(socket->get(), request, -1)) return fail_errno(role_name);
    ListeningSockets opened;
    while (auto packet = receive_packet(socket->get(), longest_wait_ms)) {
        std::string_view rest = packet->bytes;
        auto name = take_field(rest);
        if (!name) break;
        if (name->empty() && rest.empty()) return opened;
        if (name->empty()) {
            Error error;
            error.what = take_field(rest).value_or("");
            error.reason = take_field(rest).value_or("");
            error.hint = take_field(rest).value_or("");
            return std::unexpected(error);
        }
        opened.insert_or_assign(std::move(*name), std::move(packet->fd));
    }
    return fail(role_name, "ended, or kept silent, before all sockets were open",
                "try again, or restart bandd");
}

void serve_sockets(int socket, const std::vector<WantedSocket>& wanted) {
    auto request = receive_packet(socket, -1);
    if (!request) return;
    std::vector<std::string> known;
    std::string_view rest = request->bytes;
    while (auto name = take_field(rest)) known.push_back(std::move(*name));
    auto opened = open_sockets(wanted, known);
    std::string packet;
    if (!opened) {
        append_field(packet, {});
        for (const std::string& text :
             {opened.error().what, opened.error().reason, opened.error().hint})
            append_field(packet, text);
        send_packet(socket, packet, -1);
        return;
    }
    for (const auto& [name, fd] : *opened) {
        packet.clear();
        append_field(packet, name);
        if (!send_packet(socket, packet, fd.get())) return;
    }
    packet.clear();
    append_field(packet, {});
    send_packet(socket, packet, -1);
}

}  // namespace bandd
