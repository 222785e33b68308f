// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/ipsets.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace bandd {
namespace {

// Attributes are handed on one by one.
int take_data(const nlattr* attribute, void* data) {
    auto& header = *static_cast<IpsetHeader*>(data);
    auto number = [&] { return ntohl(mnl_attr_get_u32(attribute)); };
    switch (mnl_attr_get_type(attribute)) {
        case IPSET_ATTR_TIMEOUT:
            header.timed = true;
            break;
        case IPSET_ATTR_MAXELEM:
            header.maxelem = number();
            break;
        case IPSET_ATTR_NETMASK:
            header.netmask = mnl_attr_get_u8(attribute);
            break;
        case IPSET_ATTR_CADT_FLAGS:
            header.drops_others = (number() & IPSET_FLAG_WITH_FORCEADD) != 0;
            break;
        default:
            break;
    }
    return MNL_CB_OK;
}

int take_header(const nlattr* attribute, void* data) {
    auto& header = *static_cast<IpsetHeader*>(data);
    switch (mnl_attr_get_type(attribute)) {
        case IPSET_ATTR_TYPENAME:
            header.type = mnl_attr_get_str(attribute);
            break;
        case IPSET_ATTR_FAMILY:
            header.v4 = mnl_attr_get_u8(attribute) == NFPROTO_IPV4;
            break;
        case IPSET_ATTR_DATA:
            mnl_attr_parse_nested(attribute, take_data, data);
            break;
        default:
            break;
    }
    return MNL_CB_OK;
}

}  // namespace

Result<std::optional<IpsetHeader>> read_ipset_header(Netlink& netlink, const std::string& set) {
    std::array<char, 512> buffer{};
    nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
    request->nlmsg_type = NFNL_SUBSYS_IPSET << 8 | IPSET_CMD_LIST;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    static std::uint32_t sequence = 0;
    request->nlmsg_seq = ++sequence;
    auto* family = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(nfgenmsg)));
    family->nfgen_family = AF_INET;
    family->version = NFNETLINK_V0;
    mnl_attr_put_u8(request, IPSET_ATTR_PROTOCOL, IPSET_PROTOCOL_MIN);
    mnl_attr_put_strz(request, IPSET_ATTR_SETNAME, set.c_str());
    mnl_attr_put_u32(request, IPSET_ATTR_FLAGS | NLA_F_NET_BYTEORDER,
                     htonl(IPSET_FLAG_LIST_HEADER));
    std::optional<IpsetHeader> found;
    auto listed = netlink.dump(*request, [&](const nlmsghdr& message) {
        if (!found) mnl_attr_parse(&message, sizeof(nfgenmsg), take_header, &found.emplace());
    });
    if (!listed && netlink.refusal() == ENOENT) return std::nullopt;
    if (!listed) return std::unexpected(listed.error());
    return found;
}

}  // namespace bandd
