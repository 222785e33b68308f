// SPDX-License-Identifier: GPL-2.0-or-later
// Who we are, who the other side is, and becoming less.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "os/fd.h"

namespace bandd {

struct SystemUser {
    std::string name;
    uid_t uid = 0;
    gid_t gid = 0;
};
Result<SystemUser> find_user(const std::string& user);
Result<gid_t> find_group(const std::string& group);
// By name, or by number ("1000"), whether there is such a user or not.
Result<uid_t> find_uid(const std::string& user);

struct Peer {
    pid_t pid = 0;
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
};
Result<Peer> peer_of(const Fd& unix_socket);

// The steps of becoming less, each for itself. By number, as in linux/capability.h: bit 12 is
// CAP_NET_ADMIN.
using CapabilityBits = std::uint64_t;

// No program that is started later, setuid or not, can have more.
Result<> bound_capabilities(CapabilityBits kept);
// With the user's groups.
Result<> change_user(const SystemUser& user);
// `inheritable`: the same, too.
Result<> set_capabilities(CapabilityBits kept, CapabilityBits inheritable);
// Of a limit (RLIMIT_…), hard and soft; one that is lower already stays.
void lower_limit(int resource, rlim_t most);

// Becomes `account`, keeping these capabilities (linux/capability.h) and nothing else; no program
// started later can have more. Call as root, before any thread is started.
Result<> drop_privileges(const SystemUser& account, std::span<const unsigned> capabilities);

}  // namespace bandd
