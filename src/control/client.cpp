// SPDX-License-Identifier: GPL-2.0-or-later
#include "control/client.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <array>
#include <cstring>

namespace bandd {

Result<ControlClient> ControlClient::connect(const std::string& path) {
    ControlClient client;
    client.path_ = path;
    client.fd_ = Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::string what = "cannot reach bandd at \"" + path + "\"";
    if (path.size() >= sizeof address.sun_path) return fail(what, "the path is too long");
    std::memcpy(address.sun_path, path.data(), path.size());
    client.path_ = path;
    client.set_patience(short_silence);
    if (::connect(client.fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
        0)
        return client;
    if (errno == EAGAIN) return std::unexpected(client.unanswered());
    std::string hint =
        errno == EACCES ? "become root, or a member of the group bandd" : "is it running?";
    return fail_errno(what, hint);
}

// Of one that is stopped or hangs, the kernel takes some requests all the same.
void ControlClient::set_patience(int seconds) {
    patience_ = seconds;
    timeval time{seconds, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

void ControlClient::wait_for_ever() { set_patience(0); }

Error ControlClient::unanswered() const {
    ucred daemon{};
    socklen_t size = sizeof daemon;
    std::string who = "bandd at \"" + path_ + "\"";
    if (::getsockopt(fd_.get(), SOL_SOCKET, SO_PEERCRED, &daemon, &size) == 0 && daemon.pid > 0)
        who += " (process " + std::to_string(daemon.pid) + ")";
    return {who,
            "has not answered for " + std::to_string(patience_) + " seconds",
            "bans in the kernel hold all the same, and what was ordered may be carried out yet; "
            "see whether it is stopped or hangs: systemctl status bandd",
            {}};
}

Result<> ControlClient::send(const std::string& command, const Json& arguments) {
    std::string line = to_line_of_json(request(command, arguments));
    std::string_view rest = line;
    set_patience(command == "ping" || command == "version" ? short_silence : longest_silence);
    while (!rest.empty()) {
        ssize_t sent = ::send(fd_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        // A daemon that refuses us has said why before it closed.
        if (sent < 0 && errno == EPIPE) return {};
        if (sent < 0 && errno == EAGAIN) return std::unexpected(unanswered());
        if (sent < 0) return fail_errno("send to bandd at \"" + path_ + "\"");
        rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    return {};
}

Result<Json> ControlClient::receive() {
    std::size_t searched = 0;
    while (true) {
        auto end = in_.find('\n', searched);
        if (end != std::string::npos) {
            Json json = Json::parse(in_.substr(0, end), nullptr, false);
            in_.erase(0, end + 1);
            if (!json.is_object()) return fail("bandd at \"" + path_ + "\"", "sent no JSON object");
            return json;
        }
        searched = in_.size();
        std::array<char, 65536> buffer{};
        ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return std::unexpected(unanswered());
        if (got <= 0) return fail("bandd at \"" + path_ + "\"", "has closed the connection");
        in_.append(buffer.data(), static_cast<std::size_t>(got));
    }
}

}  // namespace bandd
