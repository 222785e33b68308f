// SPDX-License-Identifier: GPL-2.0-or-later
// Looks host names up for the daemon: a process of its own, without rights, forked before the
// daemon gives its own up. It asks as the machine is set up (resolv.conf, hosts), by c-ares.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/address.h"
#include "os/credentials.h"
#include "os/fd.h"

namespace bandd {

struct LookUpResult {
    std::uint64_t id = 0;
    std::vector<Address> addresses;  // empty if there are none, or nobody answered in time
    std::string name;                // of an address, if it leads back to it
};

class Resolver {
  public:
    // Of a name; a longer one is none.
    static constexpr std::size_t longest_name = 253;
    // Of the addresses of one name that are handed on: a name is free to have thousands.
    static constexpr std::size_t most_addresses = 64;
    // A server has this long, and is asked twice; then the next one is.
    static constexpr int timeout_ms = 2000;

    // `servers`: addresses, with ports if need be, separated by commas; empty: the machine's.
    static Result<Resolver> start(const SystemUser& account, const std::string& servers);

    Result<> look_up(std::uint64_t id, const std::string& name);
    // The name of an address. Whoever owns the address can write any name there, so it counts only
    // if the name has that address, too.
    Result<> look_up(std::uint64_t id, const Address& address);
    int fd() const { return socket_.get(); }  // readable: a result is there, or it has ended
    std::optional<LookUpResult> take_result();
    bool ended() const { return ended_; }

  private:
    Result<> send(std::uint64_t id, std::string_view kind, std::string_view what);

    Fd socket_;
    bool ended_ = false;
};

}  // namespace bandd
