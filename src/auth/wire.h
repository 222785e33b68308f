// SPDX-License-Identifier: GPL-2.0-or-later
// A connection to the mail server that checks passwords, until a deadline.
#pragma once

#include <chrono>
#include <memory>

#include "auth/dialogue.h"
#include "os/fd.h"

struct ssl_ctx_st;
struct ssl_st;

namespace bandd {

// What all connections to one server share. Safe to use by several threads at a time.
class MailServer {
  public:
    // An error: its certificate authorities cannot be had.
    static Result<MailServer> make(const PasswordServer& server);
    const PasswordServer& config() const { return server_; }

  private:
    friend class SocketWire;
    PasswordServer server_;
    std::shared_ptr<ssl_ctx_st> tls_;
};

class SocketWire : public Wire {
  public:
    static constexpr std::size_t longest_line = 16 << 10;  // bytes

    // All of it, connecting included, within the server's `timeout`. `server` outlives it.
    static Result<std::unique_ptr<SocketWire>> connect(const MailServer& server);

    Result<> say(std::string_view bytes) override;
    Result<std::string> hear() override;
    Result<> start_tls() override;

  private:
    explicit SocketWire(const MailServer& server) : server_(server) {}
    Result<> connect_now();
    Result<> wait(short events);
    Result<std::size_t> read_some(char* into, std::size_t most);
    Result<> wait_for_tls(int done);

    const MailServer& server_;
    std::chrono::steady_clock::time_point end_;
    Fd socket_;
    std::shared_ptr<ssl_st> tls_;
    std::string rest_;  // heard, and in no line yet
};

}  // namespace bandd
