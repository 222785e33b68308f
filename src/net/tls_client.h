// SPDX-License-Identifier: GPL-2.0-or-later
// A connection by TLS to another machine, for programs that may wait: bandctl.
#pragma once

#include <memory>
#include <string>

#include "config/types.h"
#include "core/base/result.h"
#include "os/fd.h"

struct ssl_ctx_st;
struct ssl_st;

namespace bandd {

class TlsClient {
  public:
    static constexpr int patience = 10;  // seconds, for each step
    static constexpr std::size_t longest_answer = 64 << 10;

    // Only if the server's certificate is `host`'s (a name or an address). `files.clients` signed
    // it; empty: one that this machine believes. Our own certificate may be empty.
    static Result<TlsClient> connect(const std::string& host, std::uint16_t port,
                                     const TlsFiles& files);
    // Sends a line, and waits for one.
    Result<std::string> ask(const std::string& line);

  private:
    TlsClient() = default;
    std::shared_ptr<ssl_ctx_st> context_;
    Fd socket_;
    std::shared_ptr<ssl_st> ssl_;
    std::string rest_;
};

}  // namespace bandd
