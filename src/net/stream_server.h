// SPDX-License-Identifier: GPL-2.0-or-later
// Clients that ask and are answered on the loop: TCP, TLS or a Unix socket. What they send and what
// they do not fetch is bounded, and so is their number and the time that they may keep silent.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "config/types.h"
#include "core/base/prefix_set.h"
#include "net/tls.h"
#include "os/fd.h"
#include "os/loop.h"

namespace bandd {

struct StreamLimits {
    std::size_t clients = 256;
    std::size_t request = 64 << 10;  // bytes that wait to become a request
    std::size_t unread = 256 << 10;  // bytes of answers that a client does not fetch
    // Until TLS stands; and for the last answer to be fetched.
    Duration handshake = std::chrono::seconds(10);
    Duration silence{0};  // of a client between requests; 0: as long as it likes
};
struct StreamCounts {
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;   // by their address
    std::uint64_t too_many = 0;  // over `clients`
    std::uint64_t cut_off = 0;   // over `request` or `unread`, or silent too long
    std::uint64_t bad_tls = 0;   // wrong certificate, none, plain text …
    std::string last_failure;    // why, the last time
};

struct StreamClient {
    std::uint64_t number = 0;
    Address address;          // ::1 of a Unix socket's client
    std::string certificate;  // the verified common name; empty without
    bool greeted = false;     // for the handler's use
    std::string name;         // the same: who it proved to be
};

class StreamServer {
  public:
    // Binds; network sockets and ports below 1024 before rights are dropped. A Unix socket may be
    // used by everybody who reaches its directory.
    static Result<Fd> listen(const ListenAddress& address, const std::string& what);

    // Called with what has arrived and is not taken yet: says how many bytes it takes (0: more are
    // needed), appends its answer. Nothing: the connection is to be closed, after the answer.
    using Handler = std::function<std::optional<std::size_t>(
        StreamClient& client, std::string_view bytes, std::string& answer)>;
    StreamServer(Loop& loop, Fd listening, const ListenAddress& address, StreamLimits limits,
                 Handler handler);
    ~StreamServer();
    StreamServer(const StreamServer&) = delete;
    StreamServer& operator=(const StreamServer&) = delete;

    // Who may connect, besides this machine itself.
    void set_believed(PrefixSet believed) { believed_ = std::move(believed); }
    // A greeting that every client hears first (not by TLS before the handshake).
    void set_greeting(std::string greeting) { greeting_ = std::move(greeting); }
    // Certificate, key and clients, for connections from now on. Of a tls address only.
    Result<> load_tls(const TlsFiles& files);

    std::optional<Instant> next_deadline() const;
    void on_time(Instant now);

    const ListenAddress& address() const { return address_; }
    const StreamCounts& counts() const { return counts_; }
    std::size_t clients() const { return clients_.size(); }

  private:
    struct Client {
        Fd fd;
        StreamClient about;
        std::optional<TlsStream> tls;
        std::string in, out;
        bool closing = false;
        Instant until = never;
    };
    void accept();
    void serve(int fd, std::uint32_t events);
    bool receive(Client& client);
    bool take(Client& client);
    bool say(Client& client, std::string_view text);
    bool send(Client& client);
    void drop(int fd);
    void cut_off(int fd, const char* why);

    Loop& loop_;
    Fd listening_;
    ListenAddress address_;
    StreamLimits limits_;
    Handler handler_;
    PrefixSet believed_;
    std::string greeting_;
    std::optional<TlsServer> tls_;
    std::map<int, Client> clients_;
    std::uint64_t next_number_ = 1;
    StreamCounts counts_;
};

}  // namespace bandd
