// SPDX-License-Identifier: GPL-2.0-or-later
#include "control/server.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>

namespace bandd {

Result<Fd> ControlServer::listen(const std::string& path, uid_t uid, gid_t group) {
    std::string what = "socket \"" + path + "\"";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return fail(what, "the path is longer than 107 bytes", "give a shorter \"socket:\"");
    std::memcpy(address.sun_path, path.data(), path.size());
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (connect(probe.get(), generic, sizeof address) == 0)
        return fail(what, "another bandd is listening there",
                    "stop that one first, or give this one another \"socket:\"");
    ::unlink(path.c_str());
    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return fail_errno(what);
    mode_t mask = ::umask(0177);
    int bound = bind(fd.get(), generic, sizeof address);
    ::umask(mask);
    if (bound != 0) return fail_errno(what, "check \"socket:\" in bandd.yaml");
    if (geteuid() == 0 && ::chown(path.c_str(), uid, group) != 0) return fail_errno(what);
    if (::chmod(path.c_str(), 0660) != 0) return fail_errno(what);
    if (::listen(fd.get(), 16) != 0) return fail_errno(what);
    return fd;
}

ControlServer::ControlServer(Loop& loop, Fd listening, std::string path, gid_t group, uid_t own_uid,
                             Handler handler)
    : loop_(loop),
      listening_(std::move(listening)),
      path_(std::move(path)),
      group_(group),
      own_uid_(own_uid),
      handler_(std::move(handler)) {
    [[maybe_unused]] auto added =
        loop_.add(listening_.get(), EPOLLIN, [this](std::uint32_t) { accept(); });
}

ControlServer::~ControlServer() {
    for (auto& [fd, client] : clients_) loop_.remove(fd);
    loop_.remove(listening_.get());
    ::unlink(path_.c_str());
}

void ControlServer::accept() {
    Fd fd(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return;
    auto peer = peer_of(fd);
    bool allowed = peer && (peer->uid == 0 || peer->uid == own_uid_ || peer->gid == group_ ||
                            std::ranges::find(peer->groups, group_) != peer->groups.end());
    if (!allowed || clients_.size() >= most_clients) {
        ++refused_;
        std::string line = to_line_of_json(
            failure(allowed ? Error{"bandd", "too many clients are connected", "try again", {}}
                            : Error{"bandd",
                                    "you may not control it",
                                    "become root, or a member of its group",
                                    {}}));
        [[maybe_unused]] auto ignored = ::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL);
        return;
    }
    int raw = fd.get();
    if (!loop_.add(raw, EPOLLIN, [this, raw](std::uint32_t events) { serve(raw, events); })) return;
    Client& client = clients_[raw];
    client.fd = std::move(fd);
    client.number = next_number_++;
}

void ControlServer::drop(int fd) {
    loop_.remove(fd);
    clients_.erase(fd);
}

bool ControlServer::send(Client& client) {
    while (!client.out.empty()) {
        ssize_t sent = ::send(client.fd.get(), client.out.data(), client.out.size(), MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) break;
        if (sent < 0) return false;
        client.out.erase(0, static_cast<std::size_t>(sent));
    }
    loop_.modify(client.fd.get(),
                 EPOLLIN | (client.out.empty() ? 0U : static_cast<std::uint32_t>(EPOLLOUT)));
    return !(client.closing && client.out.empty());
}

void ControlServer::answer(Client& client, const std::string& line) {
    Json request = Json::parse(line, nullptr, false);
    Json reply;
    if (!request.is_object() || !request.value("command", Json()).is_string()) {
        reply = failure({"request", "is not {\"v\": 1, \"command\": …} on one line", {}, {}},
                        exit_usage);
    } else if (request.value("v", Json(0)) != protocol_version) {
        reply = failure({"request",
                         "speaks another version of the protocol",
                         "use the bandctl that came with this bandd",
                         {}},
                        exit_usage);
    } else {
        std::string command = request["command"];
        Json arguments = request.value("arguments", Json::object());
        if (!arguments.is_object()) arguments = Json::object();
        if (command == "watch") client.watching = true;
        client.waiting = true;
        auto now = handler_(command, arguments,
                            [this, fd = client.fd.get(), number = client.number](
                                const Json& later) { reply_later(fd, number, later); });
        if (!now) return;
        client.waiting = false;
        reply = std::move(*now);
    }
    put(client, reply);
}

void ControlServer::put(Client& client, const Json& reply) {
    client.out += to_line_of_json(reply);
    if (client.out.size() > most_unread) {
        ++cut_off_;
        client.closing = true;
        client.out.clear();
    }
}

void ControlServer::reply_later(int fd, std::uint64_t number, const Json& reply) {
    auto found = clients_.find(fd);
    if (found == clients_.end() || found->second.number != number || !found->second.waiting) return;
    Client& client = found->second;
    client.waiting = false;
    put(client, reply);
    serve_requests(client);
    if (!send(client)) drop(fd);
}

void ControlServer::serve_requests(Client& client) {
    while (!client.closing && !client.waiting) {
        auto end = client.in.find('\n');
        if (end == std::string::npos) break;
        std::string line = client.in.substr(0, end);
        client.in.erase(0, end + 1);
        if (!line.empty()) answer(client, line);
    }
}

void ControlServer::serve(int fd, std::uint32_t events) {
    auto found = clients_.find(fd);
    if (found == clients_.end()) return;
    Client& client = found->second;
    if ((events & EPOLLIN) != 0) {
        std::array<char, 16384> buffer{};
        ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return drop(fd);
        if (got > 0) client.in.append(buffer.data(), static_cast<std::size_t>(got));
        serve_requests(client);
        if (client.in.size() > largest_request) {
            ++cut_off_;
            client.out +=
                to_line_of_json(failure({"request", "is longer than 64 KiB", {}, {}}, exit_usage));
            client.closing = true;
            client.in.clear();
        }
    } else if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
        return drop(fd);
    }
    if (!send(client)) drop(fd);
}

bool ControlServer::has_watchers() const {
    return std::ranges::any_of(clients_, [](const auto& entry) { return entry.second.watching; });
}

void ControlServer::tell_watchers(const Json& event) {
    std::string line;
    for (auto& [fd, client] : clients_) {
        if (!client.watching || client.closing) continue;
        if (line.empty()) line = to_line_of_json(Json{{"v", protocol_version}, {"event", event}});
        bool keeps_up = client.out.size() + line.size() <= most_unread_events;
        if (!keeps_up) ++cut_off_;
        client.out += line;
        if (keeps_up && send(client)) continue;
        // We may be within this very client's request: its end is served like any other hang-up.
        client.closing = true;
        client.out.clear();
        ::shutdown(fd, SHUT_RDWR);
    }
}

}  // namespace bandd
