// SPDX-License-Identifier: GPL-2.0-or-later
#include "net/stream_server.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>

#include "core/base/reserved.h"
#include "os/clock.h"
#include "os/socket_address.h"

namespace bandd {

Result<Fd> StreamServer::listen(const ListenAddress& address, const std::string& what) {
    std::string place = what + ": cannot listen at " + to_string(address);
    sockaddr_storage to{};
    socklen_t size = 0;
    bool local = address.kind == ListenAddress::Kind::unix_stream;
    if (local) {
        auto& path = reinterpret_cast<sockaddr_un&>(to);
        path.sun_family = AF_UNIX;
        std::memcpy(path.sun_path, address.path.c_str(), address.path.size() + 1);
        size = sizeof path;
        struct stat status{};
        // Left behind by an earlier run; anything but a socket is not ours to remove.
        if (lstat(address.path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode))
            ::unlink(address.path.c_str());
    } else {
        size = to_sockaddr(address.address, address.port, to);
    }
    Fd fd(::socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return fail_errno(place);
    int on = 1;
    if (!local) setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&to), size) != 0)
        return fail_errno(place, errno == EADDRINUSE ? "something else has it: name another port"
                                 : errno == ENOENT   ? "make its directory first"
                                 : errno == EADDRNOTAVAIL ? "this machine has no such address"
                                                          : "");
    if (local) ::chmod(address.path.c_str(), 0666);
    if (::listen(fd.get(), 128) != 0) return fail_errno(place);
    return fd;
}

StreamServer::StreamServer(Loop& loop, Fd listening, const ListenAddress& address,
                           StreamLimits limits, Handler handler)
    : loop_(loop),
      listening_(std::move(listening)),
      address_(address),
      limits_(limits),
      handler_(std::move(handler)) {
    [[maybe_unused]] auto added =
        loop_.add(listening_.get(), EPOLLIN, [this](std::uint32_t) { accept(); });
}

StreamServer::~StreamServer() {
    for (auto& [fd, client] : clients_) loop_.remove(fd);
    loop_.remove(listening_.get());
}

Result<> StreamServer::load_tls(const TlsFiles& files) {
    auto loaded = TlsServer::load(files);
    if (!loaded) {
        Error error = loaded.error();
        error.what = to_string(address_) + ": " + error.what;
        return std::unexpected(error);
    }
    tls_ = std::move(*loaded);
    return {};
}

void StreamServer::accept() {
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    Fd fd(::accept4(listening_.get(), reinterpret_cast<sockaddr*>(&from), &size,
                    SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return;
    Address peer = *parse_address("::1");
    if (address_.kind != ListenAddress::Kind::unix_stream) peer = address_of(from);
    if (!is_loopback(peer) && !believed_.contains(peer)) {
        ++counts_.refused;
        return;
    }
    if (clients_.size() >= limits_.clients) {
        ++counts_.too_many;
        return;
    }
    int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int raw = fd.get();
    if (!loop_.add(raw, EPOLLIN, [this, raw](std::uint32_t events) { serve(raw, events); })) return;
    ++counts_.accepted;
    Client& client = clients_[raw];
    client.fd = std::move(fd);
    client.about.number = next_number_++;
    client.about.address = peer;
    if (tls_)
        client.tls.emplace(*tls_);
    else
        client.out = greeting_;
    if (tls_)
        client.until = now() + limits_.handshake;
    else if (limits_.silence != Duration{0})
        client.until = now() + limits_.silence;
    if (!send(client)) drop(raw);
}

void StreamServer::drop(int fd) {
    loop_.remove(fd);
    clients_.erase(fd);
}

void StreamServer::cut_off(int fd, const char* why) {
    ++counts_.cut_off;
    counts_.last_failure = to_string(clients_.at(fd).about.address) + ": " + why;
    drop(fd);
}

bool StreamServer::send(Client& client) {
    while (!client.out.empty()) {
        ssize_t sent = ::send(client.fd.get(), client.out.data(), client.out.size(), MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) break;
        if (sent < 0) return false;
        client.out.erase(0, static_cast<std::size_t>(sent));
    }
    // Who is to be closed is heard no more, but told the rest.
    std::uint32_t events = client.closing ? 0U : static_cast<std::uint32_t>(EPOLLIN);
    loop_.modify(client.fd.get(), client.out.empty() ? events : events | EPOLLOUT);
    return !(client.closing && client.out.empty());
}

bool StreamServer::say(Client& client, std::string_view text) {
    if (text.empty()) return true;
    if (!client.tls) {
        client.out += text;
        return true;
    }
    return client.tls->say(text, client.out).has_value();
}

// Hands on what has arrived. False: the client is broken.
bool StreamServer::take(Client& client) {
    while (!client.closing && !client.in.empty()) {
        std::string answer;
        auto taken = handler_(client.about, client.in, answer);
        if (!say(client, answer)) return false;
        if (!taken) {
            client.closing = true;
            client.until = now() + limits_.handshake;
        } else if (*taken == 0) {
            break;
        } else {
            client.in.erase(0, *taken);
            if (limits_.silence != Duration{0}) client.until = now() + limits_.silence;
        }
    }
    return true;
}

bool StreamServer::receive(Client& client) {
    std::array<char, 16384> buffer;
    ssize_t got = ::recv(client.fd.get(), buffer.data(), buffer.size(), 0);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) return false;
    std::string_view received(buffer.data(), static_cast<std::size_t>(got));
    if (!client.tls) {
        client.in += received;
        return true;
    }
    bool was_ready = client.tls->is_ready();
    auto taken = client.tls->take(received, client.in, client.out);
    if (!taken) {
        ++counts_.bad_tls;
        counts_.last_failure = to_string(client.about.address) + ": " + taken.error().reason;
        // The alert tells the other side why; whether it arrives is not ours to wait for.
        [[maybe_unused]] auto ignored =
            ::send(client.fd.get(), client.out.data(), client.out.size(), MSG_NOSIGNAL);
        return false;
    }
    if (!was_ready && client.tls->is_ready()) {
        client.about.certificate = client.tls->client_name();
        client.until = limits_.silence == Duration{0} ? never : now() + limits_.silence;
        if (!say(client, greeting_)) return false;
    }
    return true;
}

void StreamServer::serve(int fd, std::uint32_t events) {
    auto found = clients_.find(fd);
    if (found == clients_.end()) return;
    Client& client = found->second;
    if ((events & EPOLLIN) != 0 && !client.closing) {
        if (!receive(client) || !take(client)) return drop(fd);
        if (client.in.size() > limits_.request) return cut_off(fd, "a request is too long");
    } else if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
        return drop(fd);
    }
    if (!send(client)) return drop(fd);
    if (client.out.size() > limits_.unread) cut_off(fd, "it does not fetch its answers");
}

std::optional<Instant> StreamServer::next_deadline() const {
    std::optional<Instant> next;
    for (const auto& [fd, client] : clients_)
        if (client.until != never && (!next || client.until < *next)) next = client.until;
    return next;
}

void StreamServer::on_time(Instant at) {
    std::vector<int> late;
    for (const auto& [fd, client] : clients_)
        if (client.until <= at) late.push_back(fd);
    for (int fd : late) cut_off(fd, "it kept silent");
}

}  // namespace bandd
