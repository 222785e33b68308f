// SPDX-License-Identifier: GPL-2.0-or-later
// Clients that ask and are answered on the loop: TCP, TLS or a Unix socket. bandctl, Postfix, other
// machines and senders of syslog messages are all served by it. What they send and what they do not
// fetch is bounded, and so is their number and the time that they may keep silent.
#pragma once

#include <functional>
#include <map>
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
    // For the handshake of TLS; and for the last answer to be fetched.
    Duration handshake = std::chrono::seconds(10);
    Duration silence{0};             // of a client between requests; 0: as long as it likes
    std::size_t at_once = 16 << 10;  // bytes read from one client; then the others have their turn
};
struct StreamCounts {
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;   // they may not connect
    std::uint64_t too_many = 0;  // over `clients`
    std::uint64_t cut_off = 0;   // over `request` or `unread`, or silent too long
    std::uint64_t bad_tls = 0;   // wrong certificate, none, plain text …
    std::string last_failure;    // why, the last time
};

struct StreamClient {
    std::uint64_t number = 0;  // no other client of this server had it before
    Address address;           // ::1 of a Unix socket's client
    std::string certificate;   // the verified common name; empty without
    std::string name;          // for the use's own purposes: who it proved to be
    // Set by `on_bytes`: the answer comes later, by `answer`. Until then nothing more is taken.
    bool waiting = false;
};

// What one use of the server decides, and what its clients are told. All is called on the loop.
struct StreamUse {
    // Called with what has arrived and is not taken yet. It returns how many bytes it takes (0:
    // more are needed) and appends its answer; nullopt: close the connection after the answer.
    std::function<std::optional<std::size_t>(StreamClient& client, std::string_view bytes,
                                             std::string& answer)>
        on_bytes;
    // Whether a client may connect. Empty: this machine and whoever is believed may.
    std::function<bool(const Fd& socket, const Address& peer)> may_connect = {};
    // A client is gone. `cut_off`: by us, as it broke a limit or the rules of TLS.
    enum class End { left, cut_off };
    std::function<void(const StreamClient& client, End end)> on_end = {};
    // Texts; empty: nothing is said.
    std::string greeting = {};     // every client hears it first (with TLS, after the handshake)
    std::string not_allowed = {};  // before the connection is closed
    std::string too_many = {};     // the same, over `clients`
    std::string too_long = {};     // the same, over `request`
};

class StreamServer {
  public:
    // `listening`: from `listen_at`.
    StreamServer(Loop& loop, Fd listening, const ListenAddress& address, StreamLimits limits,
                 StreamUse use);
    ~StreamServer();  // closes all connections, without `on_end`
    StreamServer(const StreamServer&) = delete;
    StreamServer& operator=(const StreamServer&) = delete;

    // Who may connect, besides this machine itself.
    void set_believed(PrefixSet believed) { believed_ = std::move(believed); }
    // Certificate, key and clients, for connections from now on. Of a tls address only.
    Result<> load_tls(const TlsFiles& files);

    // The answer that a waiting client was promised. A client that is gone hears nothing.
    void answer(std::uint64_t client, std::string_view text);
    // Says something that nobody asked for. A client that then has more than `most` bytes to fetch
    // is cut off.
    void tell(std::uint64_t client, std::string_view text, std::size_t most);

    // To be called at `next_deadline`: cuts off clients whose time is over.
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
        bool taking = false;   // within `on_bytes`
        bool closing = false;  // once `out` is fetched
        std::uint32_t events = 0;
        Instant until = never;
    };
    enum class State { goes_on, left, cut_off };
    void accept_all();
    void accept(Fd fd, const Address& peer);
    void serve(std::uint64_t number, std::uint32_t events);
    State read(Client& client);
    State receive(Client& client, std::string_view bytes);
    State take(Client& client);
    State say(Client& client, std::string_view text);
    State send(Client& client);
    State cut_off(Client& client, const char* why);
    void close_after_answer(Client& client);
    void restart_silence(Client& client);
    void settle(Client& client, State state);

    Loop& loop_;
    Fd listening_;
    ListenAddress address_;
    StreamLimits limits_;
    StreamUse use_;
    PrefixSet believed_;
    std::optional<TlsServer> tls_;
    std::map<std::uint64_t, Client> clients_;  // by number
    std::uint64_t next_number_ = 1;
    StreamCounts counts_;
};

}  // namespace bandd
