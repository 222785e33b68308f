// SPDX-License-Identifier: GPL-2.0-or-later
// The process that speaks HTTP (bandd-http): without rights, forked before the daemon gives its own
// up, started anew if it dies. Requests come as packets, replies go back as packets.
#pragma once

#include <optional>
#include <string>

#include "os/credentials.h"
#include "os/fd.h"
#include "protocols/http.h"

namespace bandd {

class HttpHelper {
  public:
    // `listening` is bound already. The program is found beside this one, or where it is installed.
    static Result<HttpHelper> start(const SystemUser& account, Fd listening);

    int fd() const { return socket_.get(); }  // readable: a request is there
    std::optional<HttpRequest> take_request();
    // A reply that the helper does not take is lost, and its client hears of a fault.
    void reply(std::uint64_t id, const HttpReply& reply);
    bool ended() const { return ended_; }
    std::uint64_t lost() const { return lost_; }

  private:
    Fd socket_;
    bool ended_ = false;
    std::uint64_t lost_ = 0;
};

}  // namespace bandd
