// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/credentials.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

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

Result<> drop_privileges(const SystemUser& account, std::span<const unsigned> capabilities) {
    std::uint64_t mask = 0;
    for (unsigned capability : capabilities) mask |= 1ULL << capability;

    for (unsigned capability = 0; capability <= CAP_LAST_CAP; ++capability)
        if ((mask >> capability & 1) == 0)
            prctl(PR_CAPBSET_DROP, capability);  // EINVAL on kernels that do not know it
    if (account.uid != 0) {
        if (prctl(PR_SET_KEEPCAPS, 1) != 0) return fail_errno("prctl PR_SET_KEEPCAPS");
        if (initgroups(account.name.c_str(), account.gid) != 0) return fail_errno("initgroups");
        if (setresgid(account.gid, account.gid, account.gid) != 0) return fail_errno("setresgid");
        if (setresuid(account.uid, account.uid, account.uid) != 0) return fail_errno("setresuid");
    }
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
    for (std::size_t i = 0; i < data.size(); ++i)
        data[i].effective = data[i].permitted = static_cast<std::uint32_t>(mask >> (32 * i));
    if (syscall(SYS_capset, &header, data.data()) != 0)
        return fail_errno("capset", "start bandd as root");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("prctl PR_SET_NO_NEW_PRIVS");
    return {};
}

}  // namespace bandd
