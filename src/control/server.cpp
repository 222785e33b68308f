// SPDX-License-Identifier: GPL-2.0-or-later
#include "control/server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

#include "os/trusted_path.h"

namespace bandd {

ListenAddress ControlServer::address(const std::string& path) {
    ListenAddress address;
    address.kind = ListenAddress::Kind::unix_stream;
    address.path = path;
    return address;
}

Result<ControlServer::Socket> ControlServer::listen(const std::string& path, uid_t uid,
                                                    gid_t group) {
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
    if (auto removed = remove_socket(path); !removed) return std::unexpected(removed.error());
    auto named = socket_name(path);
    if (!named) return std::unexpected(named.error());
    std::memcpy(address.sun_path, named->name.c_str(), named->name.size() + 1);
    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return fail_errno(what);
    mode_t mask = ::umask(0177);
    int bound = bind(fd.get(), generic, sizeof address);
    ::umask(mask);
    if (bound != 0) return fail_errno(what, "check \"socket:\" in bandd.yaml");
    if (auto given = give_socket(path, uid, group, 0660); !given)
        return std::unexpected(given.error());
    if (::listen(fd.get(), 16) != 0) return fail_errno(what);
    return Socket{std::move(fd), path, true};
}

ControlServer::ControlServer(Loop& loop, Socket socket, gid_t group, uid_t own_uid, Handler handler,
                             std::function<void(const Error&)> on_trouble)
    : path_(socket.ours ? socket.path : std::string()),
      group_(group),
      own_uid_(own_uid),
      handler_(std::move(handler)),
      server_(loop, std::move(socket.fd), address(socket.path),
              {.clients = most_clients,
               .share = most_of_one_user,
               .request = largest_request,
               .unread = most_unread,
               .proof = first_request,
               .silence = most_silence},
              use(std::move(on_trouble))) {}

ControlServer::~ControlServer() {
    if (!path_.empty()) ::unlink(path_.c_str());
}

Result<> ControlServer::may_connect(const Fd& socket, StreamClient& client) const {
    auto peer = peer_of(socket);
    if (!peer) return std::unexpected(peer.error());
    client.user = peer->uid;
    if (peer->uid == 0 || peer->uid == own_uid_ || peer->gid == group_ ||
        std::ranges::find(peer->groups, group_) != peer->groups.end())
        return {};
    return fail("user " + std::to_string(peer->uid), "may not control bandd",
                "make it a member of bandd's group if it is to");
}

StreamUse ControlServer::use(std::function<void(const Error&)> on_trouble) {
    StreamUse use;
    use.on_bytes = [this](StreamClient& client, std::string_view bytes, std::string& answer) {
        return on_bytes(client, bytes, answer);
    };
    use.may_connect = [this](const Fd& socket, StreamClient& client) {
        return may_connect(socket, client);
    };
    use.on_trouble = std::move(on_trouble);
    use.on_end = [this](const StreamClient& client, StreamUse::End) {
        watchers_.erase(client.number);
    };
    use.not_allowed = to_line_of_json(
        failure({"bandd", "you may not control it", "become root, or a member of its group", {}}));
    use.too_many =
        to_line_of_json(failure({"bandd", "too many clients are connected", "try again", {}}));
    use.too_long =
        to_line_of_json(failure({"request", "is longer than 64 KiB", {}, {}}, exit_usage));
    return use;
}

std::optional<std::size_t> ControlServer::on_bytes(StreamClient& client, std::string_view bytes,
                                                   std::string& answer) {
    auto end = bytes.find('\n');
    if (end == std::string_view::npos) return 0;
    if (end > 0)
        if (auto reply = take_request(client, bytes.substr(0, end)))
            answer = to_line_of_json(*reply);
    return end + 1;
}

// The answer; nothing if it comes later.
std::optional<Json> ControlServer::take_request(StreamClient& client, std::string_view line) {
    Json request = Json::parse(line, nullptr, false);
    if (!request.is_object() || !request.value("command", Json()).is_string())
        return failure({"request", "is not {\"v\": 1, \"command\": …} on one line", {}, {}},
                       exit_usage);
    if (request.value("v", Json(0)) != protocol_version)
        return failure({"request",
                        "speaks another version of the protocol",
                        "use the bandctl that came with this bandd",
                        {}},
                       exit_usage);
    std::string command = request["command"];
    Json arguments = request.value("arguments", Json::object());
    if (!arguments.is_object()) arguments = Json::object();
    client.known = true;
    if (command == "watch") {
        watchers_.insert(client.number);
        client.listens = true;
    }
    client.waiting = true;
    auto reply = handler_(command, arguments,
                          Reply([this, number = client.number](const std::string& later) {
                              server_.answer(number, later);
                          }));
    if (reply) client.waiting = false;
    return reply;
}

void ControlServer::tell_watchers(const Json& event) {
    if (watchers_.empty()) return;
    std::string line = to_line_of_json(Json{{"v", protocol_version}, {"event", event}});
    for (std::uint64_t watcher : watchers_) server_.tell(watcher, line, most_unread_events);
}

}  // namespace bandd
