// SPDX-License-Identifier: GPL-2.0-or-later
// Syslog messages from other machines (NXLog, rsyslog, logger) at one address: udp, tcp with octet
// counting or line ends (RFC 6587), the same by TLS (RFC 5425), and Unix datagrams. Lossy by
// nature: what the kernel had to drop is counted.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/types.h"
#include "core/base/prefix_set.h"
#include "net/stream_server.h"
#include "source/framing.h"

struct msghdr;

namespace bandd {

struct SyslogCounts {
    std::uint64_t messages = 0;
    std::uint64_t refused = 0;            // from senders that are not believed
    std::uint64_t dropped = 0;            // by the kernel, as its buffer was full (udp)
    std::uint64_t cut = 0;                // longer than line_limit
    std::uint64_t clients_refused = 0;    // there was no place
    std::uint64_t clients_made_room = 0;  // they were silent when another one needed their place
    std::uint64_t failed_handshakes = 0;  // and other breaches of TLS; `last_failure` is why
    std::string last_failure;
};

class SyslogListener {
  public:
    static constexpr std::size_t most_clients = 256;
    static constexpr std::size_t most_of_one_sender = 192;
    // Read from one socket in one go: then the others have their turn.
    static constexpr std::size_t read_size = 256 << 10;

    // `socket`: from `listen_at`. `on_trouble`: clients were refused; not each time.
    using OnTrouble = std::function<void(const Error&)>;
    static Result<std::unique_ptr<SyslogListener>> open(Loop& loop, Fd socket,
                                                        const ListenAddress& address,
                                                        std::size_t line_limit,
                                                        OnTrouble on_trouble = {});
    ~SyslogListener();
    SyslogListener(const SyslogListener&) = delete;
    SyslogListener& operator=(const SyslogListener&) = delete;

    // Reads certificate and key, for connections from now on; nothing if it is not of tls.
    Result<> load_tls(const TlsFiles& files);
    // Senders whose messages are taken; all of a Unix socket's are.
    void set_believed(PrefixSet believed) { believed_ = std::move(believed); }

    // True if `read` has something to hand on.
    bool is_ready() const { return ready_ || !arrived_.empty(); }
    // Messages as lines ending in '\n', in the order of arrival; a line end within one is "#012".
    using OnLines = std::function<void(const Address& sender, std::string_view lines)>;
    void read(const OnLines& on_lines);

    // To be called at `next_deadline`: cuts off clients that do not finish their handshake.
    std::optional<Instant> next_deadline() const;
    void on_time(Instant now);

    const ListenAddress& address() const { return address_; }
    SyslogCounts counts() const;
    std::size_t clients() const { return server_ ? server_->clients() : 0; }

  private:
    SyslogListener(Loop& loop, const ListenAddress& address, std::size_t line_limit)
        : loop_(loop), address_(address), line_limit_(line_limit) {}

    StreamUse use(OnTrouble on_trouble);
    void take_bytes(const StreamClient& client, std::string_view bytes, bool ended);
    std::optional<std::size_t> read_datagram(char* buffer);
    void count_dropped(msghdr& message);
    void append_message(const Address& sender, std::string_view message);

    Loop& loop_;
    ListenAddress address_;
    std::size_t line_limit_;
    PrefixSet believed_;
    Fd datagrams_;                                    // of udp and Unix datagrams
    std::unique_ptr<StreamServer> server_;            // of tcp and tls
    std::map<std::uint64_t, SyslogFraming> framing_;  // by number of the client
    bool ready_ = false;
    struct Arrived {
        Address sender;
        std::string lines;
    };
    std::string line_;              // of the message that is being taken
    std::vector<Arrived> arrived_;  // and not handed on yet
    SyslogCounts counts_;
    std::uint32_t last_dropped_ = 0;
};

}  // namespace bandd
