// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon's end of bandd-http, the process that speaks HTTP: without rights, started anew if it
// dies. Requests come as packets, replies go back as packets. With a server that checks passwords,
// bandd-auth runs beside it, and the two are made known to each other.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "auth/helper.h"
#include "os/role_process.h"
#include "protocols/http.h"

namespace bandd {

// A request as bandd-http sends it, and how many connections it put out since the one before. A
// bandd-http that was taken over can send anything: what is no request is nothing.
struct HttpPacket {
    HttpRequest request;
    std::uint32_t put_out = 0;
};
std::optional<HttpPacket> parse_http_packet(std::string_view packet);
// The reply to the request of this number.
std::string to_packet(std::uint64_t id, const HttpReply& reply);

class HttpHelper {
  public:
    // `listening` is bound already. `on_ready`: requests may be there.
    HttpHelper(Roles& roles, Loop& loop, Fd listening, std::function<void()> on_ready,
               std::function<void(const Error&)> on_error);

    // Who checks passwords from now on; nobody, if it is empty. Before `start`, or again.
    void set_password_server(const std::optional<PasswordServer>& server);

    // bandd-auth does not answer: another one takes its place.
    void restart_password_check(Instant now);

    // What does not run, and whose pause is over.
    void start(Instant now);
    // When `start` is to be called again; nothing while they run.
    std::optional<Instant> next_start() const;

    std::optional<HttpRequest> take_request(Instant now);
    // A reply that the helper does not take is lost, and its client hears of a fault.
    void reply(std::uint64_t id, const HttpReply& reply, Instant now);
    std::uint64_t lost() const { return lost_; }
    // Connections that kept silent or gave their place to others.
    std::uint64_t put_out() const { return put_out_; }

  private:
    void introduce();

    Roles& roles_;
    Loop& loop_;
    std::function<void(const Error&)> on_error_;
    RoleProcess process_;
    std::unique_ptr<PasswordHelper> passwords_;
    std::uint64_t lost_ = 0;
    std::uint64_t put_out_ = 0;
};

}  // namespace bandd
