// SPDX-License-Identifier: GPL-2.0-or-later
#include "net/askers.h"

#include <algorithm>
#include <string>

#include "core/base/reserved.h"
#include "os/credentials.h"

namespace bandd {
namespace {

std::unexpected<Error> refuse_user(uid_t user) {
    return fail("user " + std::to_string(user) + " of this machine", "may not ask",
                "name it in \"users\" if it is to");
}

bool is_one_of(const std::vector<uid_t>& users, uid_t user) {
    return std::ranges::find(users, user) != users.end();
}

}  // namespace

Result<std::optional<uid_t>> check_asker(const Askers& askers, TcpOwners& owners,
                                         const TcpConnection& connection) {
    const Address& address = connection.theirs;
    if (!is_loopback(address) && !askers.machines.contains(address))
        return fail(to_string(address), "may not ask", "name it in \"from\" if it is to");
    auto owner = owners.owner_of(connection);
    if (!owner) return owner;
    if (*owner && !is_one_of(askers.users, **owner)) return refuse_user(**owner);
    return owner;
}

Result<std::optional<uid_t>> check_asker(const Askers& askers, const Fd& unix_socket) {
    auto peer = peer_of(unix_socket);
    if (!peer) return std::unexpected(peer.error());
    bool member =
        askers.group && (peer->gid == *askers.group ||
                         std::ranges::find(peer->groups, *askers.group) != peer->groups.end());
    if (!member && !is_one_of(askers.users, peer->uid)) return refuse_user(peer->uid);
    return std::optional(peer->uid);
}

}  // namespace bandd
