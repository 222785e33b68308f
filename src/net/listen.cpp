// SPDX-License-Identifier: GPL-2.0-or-later
#include "net/listen.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "os/credentials.h"
#include "os/socket_address.h"
#include "os/trusted_path.h"

namespace bandd {
namespace {

bool is_local(const ListenAddress& address) {
    return address.kind == ListenAddress::Kind::unix_datagram ||
           address.kind == ListenAddress::Kind::unix_stream;
}

// The configuration takes no path that is too long for this.
socklen_t to_sockaddr(const std::string& path, sockaddr_storage& to) {
    auto& local = reinterpret_cast<sockaddr_un&>(to);
    local.sun_family = AF_UNIX;
    std::memcpy(local.sun_path, path.c_str(), path.size() + 1);
    return sizeof local;
}

const char* hint_for(int error) {
    switch (error) {
        case EADDRINUSE:
            return "something else has it: name another port";
        case EACCES:
            return "ports below 1024 need bandd started as root";
        case ENOENT:
            return "make its directory first";
        case EADDRNOTAVAIL:
            return "this machine has no such address";
        default:
            return "";
    }
}

// Nobody but us can use it before this, as bind leaves others no right to write.
Result<> set_access(const ListenAddress& address, const std::string& place) {
    const SocketFile& file = address.file;
    auto group = static_cast<gid_t>(-1);
    if (!file.group.empty()) {
        auto found = find_group(file.group);
        if (!found) return std::unexpected(found.error());
        group = *found;
    }
    mode_t mode = file.mode != 0 ? file.mode : file.group.empty() ? 0666 : 0660;
    constexpr auto same = static_cast<uid_t>(-1);
    if (auto given = give_socket(address.path, same, group, mode); !given)
        return fail(place + ": " + given.error().what, given.error().reason, given.error().hint);
    return {};
}

}  // namespace

bool is_stream(const ListenAddress& address) {
    switch (address.kind) {
        case ListenAddress::Kind::tcp:
        case ListenAddress::Kind::tls:
        case ListenAddress::Kind::unix_stream:
            return true;
        case ListenAddress::Kind::udp:
        case ListenAddress::Kind::unix_datagram:
            return false;
    }
    return false;
}

Result<Fd> listen_at(const ListenAddress& address, const std::string& what) {
    std::string place = what + ": cannot listen at " + to_string(address);
    bool stream = is_stream(address);
    sockaddr_storage to{};
    socklen_t size = 0;
    SocketName place_of_file;
    if (is_local(address)) {
        auto named = socket_name(address.path);
        if (!named)
            return fail(place + ": " + named.error().what, named.error().reason,
                        named.error().hint);
        place_of_file = std::move(*named);
        size = to_sockaddr(place_of_file.name, to);
        if (auto removed = remove_socket(address.path); !removed)
            return fail(
                place + ": " + removed.error().what, removed.error().reason,
                removed.error().hint.empty() ? "make its directory first" : removed.error().hint);
    } else {
        size = to_sockaddr(address.address, address.port, to);
    }
    Fd fd(::socket(to.ss_family, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK,
                   0));
    if (!fd) return fail_errno(place);
    int on = 1;
    // With datagrams, two could share a port, and one of them would hear nothing.
    if (stream && !is_local(address))
        setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!stream && setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &datagram_buffer,
                              sizeof datagram_buffer) != 0)
        setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &datagram_buffer, sizeof datagram_buffer);
    if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&to), size) != 0)
        return fail_errno(place, hint_for(errno));
    if (is_local(address))
        if (auto set = set_access(address, place); !set) return std::unexpected(set.error());
    if (stream && ::listen(fd.get(), SOMAXCONN) != 0) return fail_errno(place);
    return fd;
}

}  // namespace bandd
