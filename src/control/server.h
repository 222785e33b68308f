// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon's end of the control socket. Slow or broken clients can't hold the loop up: requests
// and unread answers are bounded, and whoever exceeds a bound is cut off and counted.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "control/protocol.h"
#include "os/credentials.h"
#include "os/loop.h"

namespace bandd {

class ControlServer {
  public:
    static constexpr std::size_t most_clients = 64;
    static constexpr std::size_t most_unread = 64 << 20;        // bytes of answers to one client
    static constexpr std::size_t most_unread_events = 1 << 20;  // of a watching one

    // Binds `path`, readable for root and `group` only. A dead daemon's socket is replaced; a live
    // one's is an error.
    static Result<Fd> listen(const std::string& path, uid_t uid, gid_t group);

    // Gives the answer, or nothing and calls `reply` later, on the loop. A client that is gone by
    // then hears nothing; its further requests wait until it has its answer.
    using Reply = std::function<void(const Json&)>;
    using Handler = std::function<std::optional<Json>(const std::string& command,
                                                      const Json& arguments, Reply reply)>;
    ControlServer(Loop& loop, Fd listening, std::string path, gid_t group, uid_t own_uid,
                  Handler handler);
    ~ControlServer();
    ControlServer(const ControlServer&) = delete;
    ControlServer& operator=(const ControlServer&) = delete;

    bool has_watchers() const;
    void tell_watchers(const Json& event);
    std::uint64_t refused() const { return refused_; }
    std::uint64_t cut_off() const { return cut_off_; }

  private:
    struct Client {
        Fd fd;
        std::string in, out;
        bool watching = false;
        bool closing = false;  // once `out` is written
        bool waiting = false;  // for a later reply
        std::uint64_t number = 0;
    };
    void accept();
    void serve(int fd, std::uint32_t events);
    void answer(Client& client, const std::string& line);
    void reply_later(int fd, std::uint64_t number, const Json& reply);
    void put(Client& client, const Json& reply);
    void serve_requests(Client& client);
    bool send(Client& client);
    void drop(int fd);

    Loop& loop_;
    Fd listening_;
    std::string path_;
    gid_t group_;
    uid_t own_uid_;
    Handler handler_;
    std::map<int, Client> clients_;
    std::uint64_t next_number_ = 1;
    std::uint64_t refused_ = 0, cut_off_ = 0;
};

}  // namespace bandd
