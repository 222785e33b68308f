// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/tcp_owner.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>

#include <array>
#include <cstring>
#include <vector>

namespace bandd {
namespace {

// A socket may be bound to an interface, and is found only by who names it. Both ends are of this
// machine here, so that is the loopback interface; its number is the same everywhere
// (include/net/flow.h: LOOPBACK_IFINDEX). Sockets that are not bound are found with it as well.
constexpr std::uint32_t loopback_interface = 1;

void put_address(const Address& address, __be32 (&to)[4]) {
    if (address.is_v4())
        std::memcpy(to, address.bytes.data() + 12, 4);
    else
        std::memcpy(to, address.bytes.data(), 16);
}

Address address_in(std::uint8_t family, const __be32 (&from)[4]) {
    Address address;
    if (family == AF_INET6) {
        std::memcpy(address.bytes.data(), from, 16);
    } else {
        address.bytes[10] = address.bytes[11] = 0xff;
        std::memcpy(address.bytes.data() + 12, from, 4);
    }
    return address;
}

}  // namespace

Result<TcpOwners> TcpOwners::open() {
    auto sockets = Netlink::open(NETLINK_SOCK_DIAG);
    if (!sockets) return std::unexpected(sockets.error());
    auto routes = Netlink::open(NETLINK_ROUTE);
    if (!routes) return std::unexpected(routes.error());
    return TcpOwners(std::move(*sockets), std::move(*routes));
}

std::optional<uid_t> TcpOwners::find(const Address& from, std::uint16_t from_port,
                                     const Address& to, std::uint16_t to_port) {
    alignas(nlmsghdr) std::array<char, 256> buffer{};
    nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
    header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
    header->nlmsg_flags = NLM_F_REQUEST;
    auto* request = static_cast<inet_diag_req_v2*>(
        mnl_nlmsg_put_extra_header(header, sizeof(inet_diag_req_v2)));
    request->sdiag_family = from.is_v4() ? AF_INET : AF_INET6;
    request->sdiag_protocol = IPPROTO_TCP;
    request->idiag_states = ~0U;
    request->id.idiag_sport = htons(from_port);
    request->id.idiag_dport = htons(to_port);
    put_address(from, request->id.idiag_src);
    put_address(to, request->id.idiag_dst);
    request->id.idiag_if = loopback_interface;
    request->id.idiag_cookie[0] = request->id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    std::optional<uid_t> owner;
    std::vector<NetlinkAnswer> answers;
    auto on_data = [&](const nlmsghdr& message) {
        if (mnl_nlmsg_get_payload_len(&message) < sizeof(inet_diag_msg)) return;
        const auto* found = static_cast<const inet_diag_msg*>(mnl_nlmsg_get_payload(&message));
        // Where there is no such connection the kernel gives a socket that listens at the port.
        bool is_it = found->id.idiag_sport == htons(from_port) &&
                     found->id.idiag_dport == htons(to_port) &&
                     address_in(found->idiag_family, found->id.idiag_src) == from &&
                     address_in(found->idiag_family, found->id.idiag_dst) == to;
        // A socket that its process has closed has no inode, and the user 0.
        if (is_it && found->idiag_inode != 0) owner = found->idiag_uid;
    };
    auto asked = sockets_.exchange({buffer.data(), header->nlmsg_len}, answers, on_data);
    return asked ? owner : std::nullopt;
}

bool TcpOwners::is_of_this_machine(const Address& address) {
    alignas(nlmsghdr) std::array<char, 256> buffer{};
    nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
    header->nlmsg_type = RTM_GETROUTE;
    header->nlmsg_flags = NLM_F_REQUEST;
    auto* request = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(rtmsg)));
    std::size_t size = address.is_v4() ? 4 : 16;
    request->rtm_family = address.is_v4() ? AF_INET : AF_INET6;
    request->rtm_dst_len = static_cast<unsigned char>(size * 8);
    mnl_attr_put(header, RTA_DST, size, address.bytes.data() + 16 - size);
    bool local = false;
    std::vector<NetlinkAnswer> answers;
    auto on_data = [&](const nlmsghdr& message) {
        if (message.nlmsg_type != RTM_NEWROUTE ||
            mnl_nlmsg_get_payload_len(&message) < sizeof(rtmsg))
            return;
        local = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(&message))->rtm_type == RTN_LOCAL;
    };
    auto asked = routes_.exchange({buffer.data(), header->nlmsg_len}, answers, on_data);
    return local || !asked;  // what we cannot know is no stranger's advantage
}

Result<std::optional<uid_t>> TcpOwners::owner_of(const TcpConnection& connection) {
    if (!is_of_this_machine(connection.theirs)) return std::optional<uid_t>{};
    auto owner =
        find(connection.theirs, connection.their_port, connection.ours, connection.our_port);
    // That our own end is still there after it says that nobody else can have had these ports.
    if (owner &&
        find(connection.ours, connection.our_port, connection.theirs, connection.their_port))
        return owner;
    return fail("a process of this machine",
                "has closed its connection before it was known whose "
                "it is, or the kernel cannot tell that (tcp_diag)");
}

}  // namespace bandd
