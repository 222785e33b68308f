// SPDX-License-Identifier: GPL-2.0-or-later
// The server's side of TLS, on bytes: what a client sent goes in, what it said comes out. Sockets
// are the caller's.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "config/types.h"
#include "core/base/result.h"

struct ssl_ctx_st;
struct ssl_st;

namespace bandd {

// A certificate with its key, and who may talk to us. Shared by its connections.
class TlsServer {
  public:
    // Reads the files; with `clients`, clients need a certificate that one of those signed.
    static Result<TlsServer> load(const TlsFiles& files);

  private:
    friend class TlsStream;
    std::shared_ptr<ssl_ctx_st> context_;
};

class TlsStream {
  public:
    explicit TlsStream(const TlsServer& server);
    ~TlsStream();
    TlsStream(TlsStream&&) noexcept;
    TlsStream& operator=(TlsStream&&) noexcept;

    // Appends what was said to `plain`, and to `answer` what is to be sent back. An error ends the
    // connection (its answer, an alert, is worth sending).
    Result<> take(std::string_view bytes, std::string& plain, std::string& answer);
    // Appends to `answer` what says `plain` to the client. Only once `is_ready`.
    Result<> say(std::string_view plain, std::string& answer);
    bool is_ready() const;  // the handshake is over
    // The common name in the client's certificate, which was verified; empty if there is none.
    std::string client_name() const;

  private:
    std::unique_ptr<ssl_st, void (*)(ssl_st*)> ssl_;
};

}  // namespace bandd
