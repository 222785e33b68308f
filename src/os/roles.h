// SPDX-License-Identifier: GPL-2.0-or-later
// bandd's processes beside the daemon, each with the rights that its work needs and no others.
// bandd-root, which the daemon starts before it gives its own rights up, starts them: it parses
// nothing, and knows each role by its number. docs/security.md has the table.
//
//   daemon ── "start the resolver", descriptors ──> bandd-root ── fork, exec ──> bandd-resolver
//
// bandd-root ends when its socket to the daemon does, and each role when its own does.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "core/base/result.h"
#include "os/fd.h"

namespace bandd {

// The last three are bandd-kernel, one for each kind of sets, so that one that hangs or dies takes
// no other along.
enum class Role : std::uint8_t {
    resolver,
    http,
    auth,
    programs,
    sockets,
    fleet,
    nftables,
    ipset,
    geoblocks
};
inline constexpr std::size_t role_count = 9;

// A role's process finds its end of the socket (SOCK_SEQPACKET) to the daemon here, and the other
// descriptor that it is given, if any, after it.
inline constexpr int role_socket = 3;
inline constexpr int role_extra = 4;
// bandd-root finds here what is to be each role's standard error, in their order.
inline constexpr int root_errors = 4;

// Two ends, as between the daemon and a role: SOCK_SEQPACKET.
Result<std::pair<Fd, Fd>> make_pair_of_sockets();

// The name of its program.
const char* role_program(Role role);

// The path of one of bandd's own programs: beside the running one, in ../libexec/bandd
// seen from it, or where they were configured to be installed.
std::string find_own_program(const std::string& name);

class Roles {
  public:
    // Starts bandd-root. `configuration` is what roles that read it for themselves are told to
    // read: bandd's `--config`.
    static Result<Roles> start(const std::string& configuration);

    // Our end of the socket to a new process, which does not block. If the process cannot be
    // started, the socket ends at once. `extra`, -1 if there is none, stays the caller's, too.
    Result<Fd> start_role(Role role, int extra = -1);

    // A pipe's end, which does not block: what processes of that role write to standard error
    // (os/role_errors.h).
    int errors_of(Role role) const { return errors_[static_cast<std::size_t>(role)].get(); }

  private:
    Fd socket_;
    std::array<Fd, role_count> errors_;
};

}  // namespace bandd
