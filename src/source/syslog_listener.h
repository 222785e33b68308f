// SPDX-License-Identifier: GPL-2.0-or-later
// Syslog messages from other machines (NXLog, rsyslog, logger): udp, tcp with octet counting or
// line ends (RFC 6587), the same by TLS (RFC 5425), and Unix datagrams. Lossy by nature: what the
// kernel had to drop is counted.
#pragma once

#include <functional>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "config/types.h"
#include "core/base/prefix_set.h"
#include "core/base/result.h"
#include "net/tls.h"
#include "os/fd.h"
#include "source/framing.h"

namespace bandd {

struct SyslogCounts {
    std::uint64_t messages = 0;
    std::uint64_t refused = 0;  // from senders that are not believed
    std::uint64_t dropped = 0;  // by the kernel, as its buffer was full (udp)
    std::uint64_t cut = 0;      // longer than line_limit
    std::uint64_t clients_refused = 0;
    std::uint64_t failed_handshakes = 0;  // and other breaches of TLS; `last_failure` is why
    std::string last_failure;
};

class SyslogListener {
  public:
    static constexpr std::size_t most_clients = 256;
    // Read from one socket in one go: then the others have their turn.
    static constexpr std::size_t read_size = 256 << 10;
    // A burst of this much waits in the kernel until it is read (if net.core.rmem_max or our rights
    // allow it).
    static constexpr int receive_buffer = 8 << 20;

    // Binds it; ports below 1024 need root, so before rights are dropped.
    static Result<SyslogListener> open(const ListenAddress& address, std::size_t line_limit);

    // Reads certificate and key again, for connections from now on.
    Result<> reload();

    const ListenAddress& address() const { return address_; }
    int fd() const { return socket_.get(); }
    // Readable descriptors of clients, too (tcp). Each change calls `on_client(fd, joined)`.
    using OnClient = std::function<void(int fd, bool joined)>;
    // Messages as lines ending in '\n', in the order of arrival; a line end within one is "#012".
    // True if there is more at once.
    using OnLines = std::function<void(const Address& sender, std::string_view lines)>;
    bool read(int fd, const PrefixSet& believed, const OnClient& on_client,
              const OnLines& on_lines);

    const SyslogCounts& counts() const { return counts_; }
    std::size_t clients() const { return clients_.size(); }
    std::vector<int> client_fds() const;

  private:
    struct Client {
        Fd socket;
        Address sender;
        SyslogFraming framing;
        std::optional<TlsStream> tls;
    };
    bool read_datagrams(const PrefixSet& believed, const OnLines& on_lines);
    void accept_clients(const PrefixSet& believed, const OnClient& on_client);
    bool read_client(Client& client, bool& gone, const OnLines& on_lines);
    void take_bytes(Client& client, std::string_view bytes, bool ended, const OnLines& on_lines);
    void append_message(std::string& lines, std::string_view message);

    ListenAddress address_;
    Fd socket_;
    std::optional<TlsServer> tls_;
    std::size_t line_limit_ = 65536;
    std::list<Client> clients_;
    SyslogCounts counts_;
    std::uint32_t last_dropped_ = 0;
};

}  // namespace bandd
