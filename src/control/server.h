// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon's end of the control socket: who may use it, requests and answers as JSON, and
// watchers, who are told of every event. Bounds and slow clients are the stream server's business.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "control/protocol.h"
#include "net/stream_server.h"
#include "os/credentials.h"

namespace bandd {

class ControlServer {
  public:
    static constexpr std::size_t most_clients = 64;
    static constexpr std::size_t most_of_one_user = 48;
    // In which a client says what it wants, and says something again. Watchers only listen.
    static constexpr Duration first_request = std::chrono::seconds(10);
    static constexpr Duration most_silence = std::chrono::minutes(10);
    static constexpr std::size_t most_unread = 64 << 20;        // bytes of answers to one client
    static constexpr std::size_t most_unread_events = 1 << 20;  // of a watching one

    // What it listens at. `ours`: we have made it, and take it away at the end; else a supervisor.
    struct Socket {
        Fd fd;
        std::string path;
        bool ours = true;
    };
    static ListenAddress address(const std::string& path);
    // Binds `path`, readable for root and `group` only. A dead daemon's socket is replaced; a live
    // one's is an error.
    static Result<Socket> listen(const std::string& path, uid_t uid, gid_t group);

    // Gives the answer, or nothing and calls `reply` later, on the loop. A client that is gone by
    // then hears nothing; its further requests wait until it has its answer.
    using Handler = std::function<std::optional<Json>(const std::string& command,
                                                      const Json& arguments, Reply reply)>;
    // Root, `own_uid` and members of `group` may connect.
    // `on_trouble`: clients were refused; not each time.
    ControlServer(Loop& loop, Socket socket, gid_t group, uid_t own_uid, Handler handler,
                  std::function<void(const Error&)> on_trouble = {});
    ~ControlServer();
    ControlServer(const ControlServer&) = delete;
    ControlServer& operator=(const ControlServer&) = delete;

    // Clients wait until `go_on`.
    void hold() { server_.hold(); }
    void go_on() { server_.go_on(); }

    bool has_watchers() const { return !watchers_.empty(); }
    // A watcher that does not keep up is cut off.
    void tell_watchers(const Json& event);
    // Clients that may not connect, or found no place.
    std::uint64_t refused() const { return server_.counts().refused + server_.counts().too_many; }
    std::uint64_t made_room() const { return server_.counts().made_room; }
    std::uint64_t cut_off() const { return server_.counts().cut_off; }

    // To be called at `next_deadline`.
    std::optional<Instant> next_deadline() const { return server_.next_deadline(); }
    void on_time(Instant now) { server_.on_time(now); }

  private:
    StreamUse use(std::function<void(const Error&)> on_trouble);
    Result<> may_connect(const Fd& socket, StreamClient& client) const;
    std::optional<std::size_t> on_bytes(StreamClient& client, std::string_view bytes,
                                        std::string& answer);
    std::optional<Json> take_request(StreamClient& client, std::string_view line);

    std::string path_;  // of a socket that we take away; else empty
    gid_t group_;
    uid_t own_uid_;
    Handler handler_;
    StreamServer server_;
    std::set<std::uint64_t> watchers_;  // by number of the client
};

}  // namespace bandd
