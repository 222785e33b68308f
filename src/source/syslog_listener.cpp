// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/syslog_listener.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "os/socket_address.h"

namespace bandd {
namespace {

constexpr std::size_t largest_datagram = 65536;
constexpr int most_datagrams = 2000;  // one after the other, before the rest of a turn

}  // namespace

Result<SyslogListener> SyslogListener::open(const ListenAddress& address, std::size_t line_limit) {
    SyslogListener listener;
    listener.address_ = address;
    listener.line_limit_ = line_limit;
    std::string what = "syslog: cannot listen at " + to_string(address);
    if (auto loaded = listener.reload(); !loaded) return std::unexpected(loaded.error());
    bool stream =
        address.kind == ListenAddress::Kind::tcp || address.kind == ListenAddress::Kind::tls;
    sockaddr_storage to{};
    socklen_t size = 0;
    if (address.kind == ListenAddress::Kind::unix_datagram) {
        auto& local = reinterpret_cast<sockaddr_un&>(to);
        local.sun_family = AF_UNIX;
        std::memcpy(local.sun_path, address.path.c_str(), address.path.size() + 1);
        size = sizeof local;
        struct stat status{};
        // Left behind by an earlier run; anything but a socket is not ours to remove.
        if (lstat(address.path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode))
            ::unlink(address.path.c_str());
    } else {
        size = to_sockaddr(address.address, address.port, to);
    }
    listener.socket_ = Fd(::socket(
        to.ss_family, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!listener.socket_) return fail_errno(what);
    int fd = listener.socket_.get();
    int on = 1;
    // With datagrams, two could share a port, and one of them would hear nothing.
    if (stream) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    int buffer = receive_buffer;
    if (!stream && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) != 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    if (!stream) setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
    if (::bind(fd, reinterpret_cast<sockaddr*>(&to), size) != 0)
        return fail_errno(what, errno == EADDRINUSE
                                    ? "another syslog daemon has it: name another port"
                                : errno == EACCES ? "ports below 1024 need bandd started as root"
                                                  : "");
    if (address.kind == ListenAddress::Kind::unix_datagram) ::chmod(address.path.c_str(), 0666);
    if (stream && ::listen(fd, 64) != 0) return fail_errno(what);
    return listener;
}

Result<> SyslogListener::reload() {
    if (address_.kind != ListenAddress::Kind::tls) return {};
    auto loaded = TlsServer::load(address_.tls);
    if (!loaded) {
        Error error = loaded.error();
        error.what = "syslog: " + to_string(address_) + ": " + error.what;
        return std::unexpected(error);
    }
    tls_ = std::move(*loaded);
    return {};
}

void SyslogListener::append_message(std::string& lines, std::string_view message) {
    while (message.ends_with('\n') || message.ends_with('\r') || message.ends_with('\0'))
        message.remove_suffix(1);
    if (message.empty()) return;
    if (message.size() > line_limit_) {
        message = message.substr(0, line_limit_);
        ++counts_.cut;
    }
    ++counts_.messages;
    for (char c : message) {
        if (c == '\n')
            lines += "#012";
        else
            lines += c;
    }
    lines += '\n';
}

bool SyslogListener::read_datagrams(const PrefixSet& believed, const OnLines& on_lines) {
    std::array<char, largest_datagram> buffer;
    std::string lines;
    Address last;
    std::size_t bytes = 0;
    bool local = address_.kind == ListenAddress::Kind::unix_datagram;
    auto hand_on = [&] {
        if (!lines.empty()) on_lines(last, lines);
        lines.clear();
    };
    for (int i = 0; i < most_datagrams && bytes < read_size; ++i) {
        sockaddr_storage from{};
        std::array<char, 64> control{};
        iovec part{buffer.data(), buffer.size()};
        msghdr message{};
        message.msg_name = &from;
        message.msg_namelen = sizeof from;
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        ssize_t got = ::recvmsg(socket_.get(), &message, 0);
        if (got < 0) {
            hand_on();
            return false;
        }
        for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
             header = CMSG_NXTHDR(&message, header))
            if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SO_RXQ_OVFL) {
                std::uint32_t dropped = 0;
                std::memcpy(&dropped, CMSG_DATA(header), sizeof dropped);
                counts_.dropped += dropped - last_dropped_;  // the kernel's counter may wrap
                last_dropped_ = dropped;
            }
        bytes += static_cast<std::size_t>(got);
        Address sender = address_of(from);
        if (!local && !believed.contains(sender)) {
            ++counts_.refused;
            continue;
        }
        if (sender != last) hand_on();
        last = sender;
        append_message(lines, {buffer.data(), static_cast<std::size_t>(got)});
    }
    hand_on();
    return true;
}

void SyslogListener::accept_clients(const PrefixSet& believed, const OnClient& on_client) {
    while (true) {
        sockaddr_storage from{};
        socklen_t size = sizeof from;
        Fd socket(::accept4(socket_.get(), reinterpret_cast<sockaddr*>(&from), &size,
                            SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!socket) return;
        Address sender = address_of(from);
        if (!believed.contains(sender)) {
            ++counts_.refused;
            continue;
        }
        if (clients_.size() >= most_clients) {
            ++counts_.clients_refused;
            continue;
        }
        int fd = socket.get();
        clients_.push_back({std::move(socket), sender, SyslogFraming(line_limit_), {}});
        if (tls_) clients_.back().tls.emplace(*tls_);
        on_client(fd, true);
    }
}

void SyslogListener::take_bytes(Client& client, std::string_view bytes, bool ended,
                                const OnLines& on_lines) {
    std::string lines;
    auto append = [&](std::string_view message) { append_message(lines, message); };
    std::uint64_t before = client.framing.dishonest();
    client.framing.take(bytes, append);
    if (ended) client.framing.end(append);
    counts_.cut += client.framing.dishonest() - before;
    if (!lines.empty()) on_lines(client.sender, lines);
}

bool SyslogListener::read_client(Client& client, bool& gone, const OnLines& on_lines) {
    std::array<char, 65536> buffer;
    std::size_t bytes = 0;
    while (bytes < read_size) {
        ssize_t got = ::recv(client.socket.get(), buffer.data(), buffer.size(), 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
        if (got <= 0) {
            take_bytes(client, {}, true, on_lines);
            gone = true;
            return false;
        }
        bytes += static_cast<std::size_t>(got);
        std::string_view received(buffer.data(), static_cast<std::size_t>(got));
        std::string plain;
        if (client.tls) {
            std::string answer;
            auto taken = client.tls->take(received, plain, answer);
            // A handshake's answers are small: a client that takes none of them is no client.
            bool sent = answer.empty() ||
                        ::send(client.socket.get(), answer.data(), answer.size(), MSG_NOSIGNAL) ==
                            static_cast<ssize_t>(answer.size());
            if (!taken || !sent) {
                ++counts_.failed_handshakes;
                counts_.last_failure = to_string(client.sender) + ": " +
                                       (taken ? "takes nothing" : taken.error().reason);
                gone = true;
                return false;
            }
            received = plain;
        }
        take_bytes(client, received, false, on_lines);
    }
    return true;
}

std::vector<int> SyslogListener::client_fds() const {
    std::vector<int> fds;
    for (const Client& client : clients_) fds.push_back(client.socket.get());
    return fds;
}

bool SyslogListener::read(int fd, const PrefixSet& believed, const OnClient& on_client,
                          const OnLines& on_lines) {
    if (fd == socket_.get()) {
        if (address_.kind == ListenAddress::Kind::udp ||
            address_.kind == ListenAddress::Kind::unix_datagram)
            return read_datagrams(believed, on_lines);
        accept_clients(believed, on_client);
        return false;
    }
    auto client =
        std::ranges::find_if(clients_, [&](const Client& one) { return one.socket.get() == fd; });
    if (client == clients_.end()) return false;
    bool gone = false;
    bool more = read_client(*client, gone, on_lines);
    if (gone) {
        on_client(fd, false);
        clients_.erase(client);
    }
    return more;
}

}  // namespace bandd
