// SPDX-License-Identifier: GPL-2.0-or-later
// A netlink socket through libmnl: one request buffer in, all answers out.
#pragma once

#include <libmnl/libmnl.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "os/fd.h"

namespace bandd {

struct NetlinkAnswer {
    std::uint32_t sequence = 0;
    int error = 0;  // errno; 0 is an acknowledgement
};

class Netlink {
  public:
    // `groups`: multicast groups to join. Needs CAP_NET_ADMIN for most of what it is used for.
    static Result<Netlink> open(int bus, std::span<const int> groups = {});

    // Requests of up to so many bytes; without it some MiB.
    void allow_request(std::size_t bytes);

    int fd() const { return mnl_socket_get_fd(socket_.get()); }
    std::uint32_t port() const { return mnl_socket_get_portid(socket_.get()); }

    // Sends one or more messages and reads every answer that the kernel queued for them; it has
    // done so by the time `send` returns. `on_data` gets messages that are neither
    // acknowledgement nor error (dumps).
    using OnData = std::function<void(const nlmsghdr&)>;
    Result<> exchange(std::span<const char> request, std::vector<NetlinkAnswer>& answers,
                      const OnData& on_data = {});
    // A dump request: read to its end. EINTR (the list changed meanwhile) starts it anew.
    // `enough`: asked between packets; true ends it early, and the socket is of no use afterwards.
    Result<> dump(const nlmsghdr& request, const OnData& on_data,
                  const std::function<bool()>& enough = {});
    // With which errno the kernel refused the last dump; 0 if it did not.
    int refusal() const { return refusal_; }

    Result<> join(int group);
    void leave(int group);
    // Reads all notices that are there. True if some were lost, as the kernel's queue was full.
    bool read_notices(const OnData& on_data);
    // From now on there are no notices of what the socket with that port did.
    Result<> ignore_port(std::uint32_t port);

  private:
    struct Close {
        void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
    };
    std::unique_ptr<mnl_socket, Close> socket_;
    std::vector<char> buffer_;
    int refusal_ = 0;
};

}  // namespace bandd
