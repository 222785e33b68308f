// SPDX-License-Identifier: GPL-2.0-or-later
#include "net/listening_sockets.h"

#include <poll.h>

#include <algorithm>

#include "net/listen.h"
#include "os/clock.h"
#include "os/fd_packet.h"
#include "os/packet.h"

namespace bandd {
namespace {

constexpr std::size_t largest_packet = 64 << 10;  // bytes
constexpr const char* role_name = "bandd-sockets";

// Nothing at the end, or if none comes by `deadline` (of `stopwatch`).
std::optional<FdPacket> receive_by(int socket, double deadline) {
    pollfd ready{socket, POLLIN, 0};
    double left = std::max(deadline - stopwatch(), 0.0);
    if (poll(&ready, 1, static_cast<int>(left * 1000)) != 1) return {};
    return receive_fd_packet(socket, largest_packet);
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

ListeningSockets take_sockets(InheritedSockets& inherited,
                              const std::vector<WantedSocket>& wanted) {
    ListeningSockets taken;
    for (const auto& [address, what] : wanted)
        if (Fd socket = inherited.take(address))
            taken.emplace(to_string(address), std::move(socket));
    return taken;
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
    double deadline = stopwatch() + longest_wait_s;
    auto socket = roles.start_role(Role::sockets);
    if (!socket) return std::unexpected(socket.error());
    std::string request;
    for (const std::string& name : known) append_field(request, name);
    append_field(request, {});
    if (!send_fd_packet(socket->get(), request)) return fail_errno(role_name);
    ListeningSockets opened;
    while (auto packet = receive_by(socket->get(), deadline)) {
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
        if (packet->fds.size() != 1) break;
        opened.insert_or_assign(std::move(*name), std::move(packet->fds.front()));
    }
    return fail(role_name, "ended, or kept silent, before all sockets were open",
                "try again, or restart bandd");
}

void serve_sockets(int socket, const Result<std::vector<WantedSocket>>& wanted) {
    auto request = receive_fd_packet(socket, largest_packet);
    if (!request) return;
    std::vector<std::string> known;
    std::string_view rest = request->bytes;
    while (auto name = take_field(rest)) known.push_back(std::move(*name));
    auto opened = wanted ? open_sockets(*wanted, known) : std::unexpected(wanted.error());
    std::string packet;
    if (!opened) {
        append_field(packet, {});
        for (const std::string& text :
             {opened.error().what, opened.error().reason, opened.error().hint})
            append_field(packet, text);
        send_fd_packet(socket, packet);
        return;
    }
    for (const auto& [name, fd] : *opened) {
        packet.clear();
        append_field(packet, name);
        if (!send_fd_packet(socket, packet, {fd.get()})) return;
    }
    packet.clear();
    append_field(packet, {});
    send_fd_packet(socket, packet);
}

}  // namespace bandd
