// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/credentials.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace bandd {

Result<SystemUser> find_user(const std::string& user) {
    errno = 0;
    const passwd* entry = getpwnam(user.c_str());
    if (entry == nullptr)
        return fail("user \"" + user + "\"", errno != 0 ? std::strerror(errno) : "does not exist",
                    "create it: adduser --system --group --no-create-home " + user);
    return SystemUser{user, entry->pw_uid, entry->pw_gid};
}

Result<uid_t> find_uid(const std::string& user) {
    uid_t number = 0;
    const char* end = user.data() + user.size();
    auto [rest, fault] = std::from_chars(user.data(), end, number);
    if (fault == std::errc{} && rest == end) return number;
    auto found = find_user(user);
    if (!found) return std::unexpected(found.error());
    return found->uid;
}

Result<gid_t> find_group(const std::string& group) {
    errno = 0;
    const ::group* entry = getgrnam(group.c_str());
    if (entry == nullptr)
        return fail("group \"" + group + "\"", errno != 0 ? std::strerror(errno) : "does not exist",
                    "create it: addgroup --system " + group);
    return entry->gr_gid;
}

Result<Peer> peer_of(const Fd& unix_socket) {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (getsockopt(unix_socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        return fail_errno("getsockopt SO_PEERCRED");
    Peer peer{credentials.pid, credentials.uid, credentials.gid, {}};
    std::array<gid_t, 256> groups{};
    size = sizeof groups;
    if (getsockopt(unix_socket.get(), SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) == 0)
        peer.groups.assign(groups.begin(), groups.begin() + size / sizeof(gid_t));
    return peer;
}

Result<> bound_capabilities(CapabilityBits kept) {
    for (unsigned i = 0; i < 64; ++i)
        if ((kept >> i & 1) == 0 && prctl(PR_CAPBSET_DROP, i) != 0 && errno != EINVAL)
            return fail_errno("prctl PR_CAPBSET_DROP");  // EINVAL: this kernel does not know it
    return {};
}

Result<> change_user(const SystemUser& user) {
    if (initgroups(user.name.c_str(), user.gid) != 0) return fail_errno("initgroups");
    if (setresgid(user.gid, user.gid, user.gid) != 0) return fail_errno("setresgid");
    if (setresuid(user.uid, user.uid, user.uid) != 0) return fail_errno("setresuid");
    return {};
}

Result<> set_capabilities(CapabilityBits kept, CapabilityBits inheritable) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
    for (std::size_t i = 0; i < data.size(); ++i) {
        data[i].effective = data[i].permitted = static_cast<std::uint32_t>(kept >> (32 * i));
        data[i].inheritable = static_cast<std::uint32_t>(inheritable >> (32 * i));
    }
    if (syscall(SYS_capset, &header, data.data()) != 0)
        return fail_errno("capset", "start bandd as root");
    return {};
}

void lower_limit(int resource, rlim_t most) {
    auto which = static_cast<__rlimit_resource>(resource);
    rlimit limits{};
    if (getrlimit(which, &limits) != 0) return;
    limits.rlim_max = std::min(limits.rlim_max, most);
    limits.rlim_cur = std::min(limits.rlim_cur, limits.rlim_max);
    setrlimit(which, &limits);
}

Result<> drop_privileges(const SystemUser& account, std::span<const unsigned> capabilities) {
    CapabilityBits kept = 0;
    for (unsigned capability : capabilities) kept |= CapabilityBits{1} << capability;
    if (auto bounded = bound_capabilities(kept); !bounded) return bounded;
    if (account.uid != 0) {
        if (prctl(PR_SET_KEEPCAPS, 1) != 0) return fail_errno("prctl PR_SET_KEEPCAPS");
        if (auto changed = change_user(account); !changed) return changed;
    }
    if (auto set = set_capabilities(kept, 0); !set) return set;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("prctl PR_SET_NO_NEW_PRIVS");
    return {};
}

}  // namespace bandd
