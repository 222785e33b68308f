// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/ipset_batch.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <vector>

namespace bandd {
namespace {

constexpr std::size_t space_for_others = 512;     // of a message, beside its elements
constexpr std::size_t space_for_an_element = 48;  // IPv6 with length and timeout

void put_element(nlmsghdr* message, const IpsetElement& element) {
    const Prefix& prefix = element.prefix;
    bool v4 = prefix.is_v4();
    nlattr* data = mnl_attr_nest_start(message, IPSET_ATTR_DATA);
    nlattr* address = mnl_attr_nest_start(message, IPSET_ATTR_IP);
    mnl_attr_put(message,
                 (v4 ? IPSET_ATTR_IPADDR_IPV4 : IPSET_ATTR_IPADDR_IPV6) | NLA_F_NET_BYTEORDER,
                 v4 ? 4 : 16, prefix.network.bytes.data() + (v4 ? 12 : 0));
    mnl_attr_nest_end(message, address);
    if (!prefix.is_single()) mnl_attr_put_u8(message, IPSET_ATTR_CIDR, prefix.length);
    if (element.timeout)
        mnl_attr_put_u32(message, IPSET_ATTR_TIMEOUT | NLA_F_NET_BYTEORDER,
                         htonl(*element.timeout));
    mnl_attr_nest_end(message, data);
}

}  // namespace

bool put_ipset_elements(Netlink& netlink, const std::string& set, bool added,
                        std::span<const IpsetElement> elements) {
    static std::uint32_t sequence = 0;
    if (elements.empty() || elements.size() > most_ipset_elements) return elements.empty();
    std::vector<char> buffer(space_for_others + elements.size() * space_for_an_element);
    nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
    message->nlmsg_type = NFNL_SUBSYS_IPSET << 8 | (added ? IPSET_CMD_ADD : IPSET_CMD_DEL);
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    message->nlmsg_seq = ++sequence;
    auto* family = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
    family->nfgen_family = elements.front().prefix.is_v4() ? AF_INET : AF_INET6;
    family->version = NFNETLINK_V0;
    mnl_attr_put_u8(message, IPSET_ATTR_PROTOCOL, IPSET_PROTOCOL_MIN);
    mnl_attr_put_strz(message, IPSET_ATTR_SETNAME, set.c_str());
    // The kernel wants it of several elements, for its answer.
    mnl_attr_put_u32(message, IPSET_ATTR_LINENO | NLA_F_NET_BYTEORDER, htonl(1));
    nlattr* all = mnl_attr_nest_start(message, IPSET_ATTR_ADT);
    for (const IpsetElement& element : elements) put_element(message, element);
    mnl_attr_nest_end(message, all);
    std::vector<NetlinkAnswer> answers;
    auto sent = netlink.exchange({buffer.data(), message->nlmsg_len}, answers);
    return sent && !answers.empty() &&
           std::ranges::all_of(answers, [](const auto& answer) { return answer.error == 0; });
}

}  // namespace bandd
