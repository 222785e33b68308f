// SPDX-License-Identifier: GPL-2.0-or-later
// Who we are, who the other side is, and becoming less.
#pragma once

#include <sys/types.h>

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

// Becomes `account`, keeping these capabilities (linux/capability.h) and nothing else; no program
// started later can have more. Call as root, before any thread is started.
Result<> drop_privileges(const SystemUser& account, std::span<const unsigned> capabilities);

}  // namespace bandd
