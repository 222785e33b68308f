// SPDX-License-Identifier: GPL-2.0-or-later
#include "net/inherited_sockets.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <optional>

#include "net/listen.h"
#include "os/socket_address.h"

namespace bandd {
namespace {

constexpr int first_descriptor = 3;  // SD_LISTEN_FDS_START
constexpr int most_descriptors = 256;

// A variable of the environment, which it then has no longer; 0 if it is no number.
long take_number(const char* name) {
    const char* text = std::getenv(name);
    long number = text == nullptr ? 0 : std::strtol(text, nullptr, 10);
    ::unsetenv(name);
    return number;
}

// What a socket is bound to; nothing if it is no socket that one can listen at.
std::optional<ListenAddress> address_of_socket(const Fd& socket) {
    sockaddr_storage at{};
    socklen_t size = sizeof at;
    int type = 0;
    socklen_t type_size = sizeof type;
    if (getsockname(socket.get(), reinterpret_cast<sockaddr*>(&at), &size) != 0 ||
        getsockopt(socket.get(), SOL_SOCKET, SO_TYPE, &type, &type_size) != 0 ||
        (type != SOCK_STREAM && type != SOCK_DGRAM))
        return {};
    using Kind = ListenAddress::Kind;
    ListenAddress address;
    if (at.ss_family == AF_UNIX) {
        address.kind = type == SOCK_STREAM ? Kind::unix_stream : Kind::unix_datagram;
        const auto& local = reinterpret_cast<const sockaddr_un&>(at);
        std::size_t length = size - offsetof(sockaddr_un, sun_path);
        address.path.assign(local.sun_path, strnlen(local.sun_path, length));
    } else {
        address.kind = type == SOCK_STREAM ? Kind::tcp : Kind::udp;
        address.address = address_of(at);
        address.port = port_of(at);
    }
    return address;
}

bool is_any(const Address& address) {
    return address == Address{} ||
           (address.is_v4() && std::ranges::all_of(address.bytes.begin() + 12, address.bytes.end(),
                                                   [](auto byte) { return byte == 0; }));
}

bool is_same(const ListenAddress& bound, const ListenAddress& wanted) {
    if (is_stream(bound) != is_stream(wanted) || bound.path != wanted.path) return false;
    if (!wanted.path.empty()) return true;
    return bound.port == wanted.port &&
           (bound.address == wanted.address || (is_any(bound.address) && is_any(wanted.address)));
}

}  // namespace

InheritedSockets InheritedSockets::find() {
    InheritedSockets inherited;
    long pid = take_number("LISTEN_PID");
    long count = take_number("LISTEN_FDS");
    ::unsetenv("LISTEN_FDNAMES");
    if (pid != ::getpid()) return inherited;
    for (int i = 0; i < std::min<long>(count, most_descriptors); ++i) {
        Fd socket(first_descriptor + i);
        fcntl(socket.get(), F_SETFD, FD_CLOEXEC);
        fcntl(socket.get(), F_SETFL, fcntl(socket.get(), F_GETFL) | O_NONBLOCK);
        if (address_of_socket(socket)) inherited.sockets_.push_back(std::move(socket));
    }
    return inherited;
}

Fd InheritedSockets::take(const ListenAddress& address) {
    auto found = std::ranges::find_if(sockets_, [&](const Fd& socket) {
        auto bound = address_of_socket(socket);
        return bound && is_same(*bound, address);
    });
    if (found == sockets_.end()) return {};
    Fd taken = std::move(*found);
    sockets_.erase(found);
    return taken;
}

std::vector<std::string> InheritedSockets::names() const {
    std::vector<std::string> names;
    for (const Fd& socket : sockets_)
        if (auto bound = address_of_socket(socket)) names.push_back(to_string(*bound));
    return names;
}

}  // namespace bandd
