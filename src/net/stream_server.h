// SPDX-License-Identifier: GPL-2.0-or-later
// Clients that ask and are answered on the loop: TCP, TLS or a Unix socket. bandctl, Postfix, other
// machines and senders of syslog messages are all served by it. What they send and what they do not
// fetch is bounded, and so is their number and the time that they may keep silent.
//
// Places are for those who are served. When none is free, a new client gets the place of the oldest
// one that has not shown yet whom it is (`known`), else that of the one that was silent longest.
// One address, or one user of this machine, has a share of the places; beyond it, its own clients
// make room for each other.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "config/types.h"
#include "core/base/prefix_set.h"
#include "core/base/rarely.h"
#include "net/tls.h"
#include "os/fd.h"
#include "os/loop.h"

namespace bandd {

struct StreamLimits {
    std::size_t clients = 256;
    std::size_t share = 192;         // of them, for one address or one user of this machine
    std::size_t request = 64 << 10;  // bytes that wait to become a request
    std::size_t unread = 256 << 10;  // bytes of answers that a client does not fetch
    // For the handshake of TLS; and for the last answer to be fetched.
    Duration handshake = std::chrono::seconds(10);
    Duration proof{0};    // from its connection on, until a client is known; 0: as long as it likes
    Duration silence{0};  // of a known client between requests; 0: as long as it likes
    // A known client keeps its place if its last request is not older than this.
    Duration recent = std::chrono::seconds(1);
    std::size_t at_once = 16 << 10;  // bytes read from one client; then the others have their turn
};
struct StreamCounts {
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;         // they may not connect
    std::uint64_t too_many = 0;        // all places are taken by clients that are being served
    std::uint64_t made_room = 0;       // put out, so that another one had a place
    std::uint64_t cut_off = 0;         // over `request` or `unread`, or silent too long
    std::uint64_t bad_tls = 0;         // wrong certificate, none, plain text …
    std::uint64_t no_descriptors = 0;  // times that this process had none left to accept one
    std::string last_failure;          // why, the last time
};

struct StreamClient {
    std::uint64_t number = 0;   // no other client of this server had it before
    Address address;            // ::1 of a Unix socket's client
    std::string certificate;    // the verified common name; empty without
    std::string name;           // for the use's own purposes: who it proved to be
    std::optional<uid_t> user;  // whose process it is, if that is of this machine and was asked for
    // Set by the use, in `may_connect` or `on_bytes`: it is one of those that this server is for.
    bool known = false;
    // The same: it listens, so its silence means nothing, and it keeps its place.
    bool listens = false;
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
    // Whether a client may connect, and if not, why. Empty: this machine and whoever is believed.
    std::function<Result<>(const Fd& socket, StreamClient& client)> may_connect = {};
    // A client is gone. `cut_off`: by us, as it broke a limit or the rules of TLS.
    enum class End { left, cut_off };
    std::function<void(const StreamClient& client, End end)> on_end = {};
    // Clients were refused or made room. Not told each time, but how often.
    std::function<void(const Error& error)> on_trouble = {};
    // Texts; empty: nothing is said.
    std::string greeting = {};     // every client hears it first (with TLS, after the handshake)
    std::string not_allowed = {};  // before the connection is closed
    std::string too_many = {};     // the same, if there is no place
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

    // Nobody is accepted until `go_on`: clients wait in the kernel's queue.
    void hold();
    void go_on();

    // The answer that a waiting client was promised. A client that is gone hears nothing.
    void answer(std::uint64_t client, std::string_view text);
    // Says something that nobody asked for. A client that then has more than `most` bytes to fetch
    // is cut off.
    void tell(std::uint64_t client, std::string_view text, std::size_t most);

    // To be called at `next_deadline`: cuts off clients whose time is over, and accepts again.
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
        Instant connected, served;  // `served`: when its last request was taken
        Instant until = never;
    };
    enum class State { goes_on, left, cut_off };
    void accept_all();
    void pause_accepting(int fault);
    Result<> may_connect(const Fd& fd, StreamClient& about) const;
    void accept(Fd fd, const Address& peer);
    void refuse(const Fd& fd, const std::string& text, const Error& why);
    bool make_room(const StreamClient& fresh);
    Client* find_dispensable(const StreamClient* sharing);
    void tell_trouble(Rarely& rarely, Error error) const;
    void serve(std::uint64_t number, std::uint32_t events);
    State read(Client& client);
    State receive(Client& client, std::string_view bytes);
    State take(Client& client);
    State say(Client& client, std::string_view text);
    State send(Client& client);
    State cut_off(Client& client, const char* why);
    void close_after_answer(Client& client);
    void set_deadline(Client& client);
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
    Rarely refused_, full_;
    std::optional<Instant> paused_;  // since then nobody is accepted
};

}  // namespace bandd
