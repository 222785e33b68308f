// SPDX-License-Identifier: GPL-2.0-or-later
// What bandd-kernel does: carries out what the daemon requests, one request after the other, and
// answers. What comes from the daemon is not believed (action/kernel_protocol.h).
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "action/kernel_protocol.h"
#include "kernel/geoblock.h"
#include "os/fd.h"

namespace bandd::kernel {

class Server {
  public:
    explicit Server(Fd daemon) : daemon_(std::move(daemon)) {}

    // Until the daemon's end is closed. False: the daemon said what makes no sense.
    bool run();

  private:
    bool take_packet();
    bool is_of_our_version(std::string_view packet);
    bool carry_out(Open& open);
    bool carry_out(Targets& targets);
    bool carry_out(LookAt& look);
    bool carry_out(Apply& apply);
    bool carry_out(Clear&);
    bool carry_out(PutGeoblocks& put);
    bool carry_out(FindGeoblocks&);
    Result<> list(const LookAt& look);
    Result<> put_geoblocks_and_listen();
    void tell_touches();
    int notice_fd() const;
    void answer(const Answer& answer) { send(encode(answer)); }
    void send(const std::string& packet);

    Fd daemon_;
    bool gone_ = false;  // the daemon takes no answer any more
    Served served_ = Served::nftables;
    std::unique_ptr<Backend> backend_;        // of nftables and ipset
    std::optional<GeoblockWatch> geoblocks_;  // of geoblocks
    // Parts of requests of several packets.
    std::vector<TargetSpec> targets_;
    std::vector<Order> orders_;
    std::vector<Geoblock> blocks_;
    std::size_t networks_ = 0;
    std::vector<bool> known_;  // ids of targets
    std::string buffer_;
};

}  // namespace bandd::kernel
