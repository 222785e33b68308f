// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/nft_batch.h"

#include <arpa/inet.h>
#include <endian.h>
#include <libnftnl/expr.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace bandd::nft {
namespace {

// nft's own numbers for the types of set keys (nftables, include/datatype.h).
constexpr std::uint32_t type_ipv4_addr = 7;
constexpr std::uint32_t type_ipv6_addr = 8;
constexpr std::uint32_t log_rate = 10;  // packets a second that `log_prefix` writes
// The kernel keeps timeouts in jiffies of 64 bits, given in milliseconds; ten years is for ever.
constexpr Duration longest_timeout = std::chrono::days(3650);

}  // namespace

std::string what_nft_says(int error) {
    switch (error) {
        case EPERM:
            return "Operation not permitted";
        case EOPNOTSUPP:
            return "the kernel has no support for it (nf_tables modules)";
        default:
            return std::strerror(error);
    }
}

namespace {

// `key` of the packet is `wanted`.
void add_meta(nftnl_rule* rule, std::uint32_t key, std::string_view wanted) {
    nftnl_expr* meta = nftnl_expr_alloc("meta");
    nftnl_expr_set_u32(meta, NFTNL_EXPR_META_KEY, key);
    nftnl_expr_set_u32(meta, NFTNL_EXPR_META_DREG, NFT_REG_1);
    nftnl_rule_add_expr(rule, meta);
    nftnl_expr* compare = nftnl_expr_alloc("cmp");
    nftnl_expr_set_u32(compare, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
    nftnl_expr_set_u32(compare, NFTNL_EXPR_CMP_OP, NFT_CMP_EQ);
    nftnl_expr_set(compare, NFTNL_EXPR_CMP_DATA, wanted.data(),
                   static_cast<std::uint32_t>(wanted.size()));
    nftnl_rule_add_expr(rule, compare);
}
void add_meta(nftnl_rule* rule, std::uint32_t key, std::uint8_t wanted) {
    add_meta(rule, key, std::string_view(reinterpret_cast<const char*>(&wanted), sizeof wanted));
}

// iifname "ppp0": all of the name's bytes, with the zeros behind it; "ppp*": its beginning.
void add_interface(nftnl_rule* rule, std::string_view pattern) {
    std::array<char, 16> name{};  // IFNAMSIZ
    bool begins = pattern.ends_with('*');
    if (begins) pattern.remove_suffix(1);
    std::memcpy(name.data(), pattern.data(), std::min(pattern.size(), name.size() - 1));
    add_meta(rule, NFT_META_IIFNAME,
             std::string_view(name.data(), begins ? pattern.size() : name.size()));
}

void add_payload(nftnl_rule* rule, std::uint32_t base, std::uint32_t offset, std::uint32_t length) {
    nftnl_expr* payload = nftnl_expr_alloc("payload");
    nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_BASE, base);
    nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
    nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
    nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_LEN, length);
    nftnl_rule_add_expr(rule, payload);
}

void add_port(nftnl_rule* rule, const PortRange& ports) {
    add_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2);  // destination port
    std::uint16_t first = htons(ports.first);
    std::uint16_t last = htons(ports.last);
    if (first == last) {
        nftnl_expr* compare = nftnl_expr_alloc("cmp");
        nftnl_expr_set_u32(compare, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
        nftnl_expr_set_u32(compare, NFTNL_EXPR_CMP_OP, NFT_CMP_EQ);
        nftnl_expr_set(compare, NFTNL_EXPR_CMP_DATA, &first, sizeof first);
        nftnl_rule_add_expr(rule, compare);
        return;
    }
    nftnl_expr* range = nftnl_expr_alloc("range");
    nftnl_expr_set_u32(range, NFTNL_EXPR_RANGE_SREG, NFT_REG_1);
    nftnl_expr_set_u32(range, NFTNL_EXPR_RANGE_OP, NFT_RANGE_EQ);
    nftnl_expr_set(range, NFTNL_EXPR_RANGE_FROM_DATA, &first, sizeof first);
    nftnl_expr_set(range, NFTNL_EXPR_RANGE_TO_DATA, &last, sizeof last);
    nftnl_rule_add_expr(rule, range);
}

// saddr, masked to `length` bits, @set
void add_lookup(nftnl_rule* rule, bool v4, int length, const std::string& set) {
    std::uint32_t bytes = v4 ? 4 : 16;
    add_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, v4 ? 12 : 8, bytes);
    if (length < static_cast<int>(bytes) * 8) {
        std::array<std::uint8_t, 16> mask{};
        std::array<std::uint8_t, 16> zero{};
        for (int i = 0; i < length; ++i)
            mask[static_cast<std::size_t>(i / 8)] |= static_cast<std::uint8_t>(0x80 >> (i % 8));
        nftnl_expr* bitwise = nftnl_expr_alloc("bitwise");
        nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
        nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
        nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
        nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_LEN, bytes);
        nftnl_expr_set(bitwise, NFTNL_EXPR_BITWISE_MASK, mask.data(), bytes);
        nftnl_expr_set(bitwise, NFTNL_EXPR_BITWISE_XOR, zero.data(), bytes);
        nftnl_rule_add_expr(rule, bitwise);
    }
    nftnl_expr* lookup = nftnl_expr_alloc("lookup");
    nftnl_expr_set_u32(lookup, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
    nftnl_expr_set_str(lookup, NFTNL_EXPR_LOOKUP_SET, set.c_str());
    nftnl_rule_add_expr(rule, lookup);
}

void add_log(nftnl_rule* rule, const std::string& prefix) {
    nftnl_expr* limit = nftnl_expr_alloc("limit");
    nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_RATE, log_rate);
    nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_UNIT, 1);
    nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_BURST, log_rate);
    nftnl_rule_add_expr(rule, limit);
    nftnl_expr* log = nftnl_expr_alloc("log");
    nftnl_expr_set_str(log, NFTNL_EXPR_LOG_PREFIX, prefix.c_str());
    nftnl_rule_add_expr(rule, log);
}

void add_verdict(nftnl_rule* rule, Verdict verdict) {
    nftnl_rule_add_expr(rule, nftnl_expr_alloc("counter"));
    if (verdict == Verdict::reject) {
        nftnl_expr* reject = nftnl_expr_alloc("reject");
        nftnl_expr_set_u32(reject, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_ICMPX_UNREACH);
        nftnl_expr_set_u8(reject, NFTNL_EXPR_REJECT_CODE, NFT_REJECT_ICMPX_PORT_UNREACH);
        nftnl_rule_add_expr(rule, reject);
        return;
    }
    nftnl_expr* immediate = nftnl_expr_alloc("immediate");
    nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_VERDICT, NF_DROP);
    nftnl_rule_add_expr(rule, immediate);
}

}  // namespace

void put_table(Batch& batch, std::uint16_t type, std::uint16_t flags) {
    Table table(nftnl_table_alloc());
    nftnl_table_set_u32(table.get(), NFTNL_TABLE_FAMILY, NFPROTO_INET);
    nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, batch.table());
    // Said at all, so that one that somebody made dormant is woken.
    nftnl_table_set_u32(table.get(), NFTNL_TABLE_FLAGS, 0);
    nlmsghdr* message = batch.begin(type, flags);
    nftnl_table_nlmsg_build_payload(message, table.get());
    batch.end(message);
}

void put_set(Batch& batch, std::uint16_t type, const std::string& name, bool v4,
             std::uint32_t flags) {
    Set set(nftnl_set_alloc());
    nftnl_set_set_u32(set.get(), NFTNL_SET_FAMILY, NFPROTO_INET);
    nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, batch.table());
    nftnl_set_set_str(set.get(), NFTNL_SET_NAME, name.c_str());
    if (type == NFT_MSG_NEWSET) {
        nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_TYPE, v4 ? type_ipv4_addr : type_ipv6_addr);
        nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_LEN, v4 ? 4 : 16);
        nftnl_set_set_u32(set.get(), NFTNL_SET_FLAGS, flags);
        nftnl_set_set_u32(set.get(), NFTNL_SET_ID, 1);
    }
    nlmsghdr* message = batch.begin(type, type == NFT_MSG_NEWSET ? NLM_F_CREATE : 0);
    nftnl_set_nlmsg_build_payload(message, set.get());
    batch.end(message);
}

std::string chain_name(const ChainKey& key) {
    constexpr std::array<const char*, 3> names{"prerouting", "input", "forward"};
    std::string name = names[static_cast<std::size_t>(key.first)];
    if (key.second != NftablesAction{}.priority) name += "_" + std::to_string(key.second);
    std::ranges::replace(name, '-', 'm');
    return name;
}

void put_chain(Batch& batch, std::uint16_t type, const std::string& name, const ChainKey* key) {
    constexpr std::array<std::uint32_t, 3> hooks{NF_INET_PRE_ROUTING, NF_INET_LOCAL_IN,
                                                 NF_INET_FORWARD};
    Chain chain(nftnl_chain_alloc());
    nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_FAMILY, NFPROTO_INET);
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, batch.table());
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, name.c_str());
    if (key != nullptr) {
        nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TYPE, "filter");
        nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_HOOKNUM,
                            hooks[static_cast<std::size_t>(key->first)]);
        nftnl_chain_set_s32(chain.get(), NFTNL_CHAIN_PRIO, key->second);
        nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_POLICY, NF_ACCEPT);
    }
    nlmsghdr* message = batch.begin(type, type == NFT_MSG_NEWCHAIN ? NLM_F_CREATE : 0);
    nftnl_chain_nlmsg_build_payload(message, chain.get());
    batch.end(message);
}

namespace {

RuleObject make_rule(const Batch& batch, const std::string& chain) {
    RuleObject rule(nftnl_rule_alloc());
    nftnl_rule_set_u32(rule.get(), NFTNL_RULE_FAMILY, NFPROTO_INET);
    nftnl_rule_set_str(rule.get(), NFTNL_RULE_TABLE, batch.table());
    nftnl_rule_set_str(rule.get(), NFTNL_RULE_CHAIN, chain.c_str());
    return rule;
}

void put_rule(Batch& batch, nftnl_rule* rule) {
    nlmsghdr* message = batch.begin(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    nftnl_rule_nlmsg_build_payload(message, rule);
    batch.end(message);
}

}  // namespace

void flush_chain(Batch& batch, const std::string& chain) {
    RuleObject all = make_rule(batch, chain);
    nlmsghdr* message = batch.begin(NFT_MSG_DELRULE, 0);
    nftnl_rule_nlmsg_build_payload(message, all.get());
    batch.end(message);
}

void put_rules(Batch& batch, const std::string& chain, const NftablesAction& action, bool v4,
               int length, const std::string& set) {
    auto put_one = [&](const std::string* interface, const PortRange* ports, Protocol protocol) {
        auto head = [&] {
            RuleObject rule = make_rule(batch, chain);
            if (interface != nullptr) add_interface(rule.get(), *interface);
            add_meta(rule.get(), NFT_META_NFPROTO, v4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
            if (ports != nullptr) {
                add_meta(rule.get(), NFT_META_L4PROTO, static_cast<std::uint8_t>(protocol));
                add_port(rule.get(), *ports);
            }
            add_lookup(rule.get(), v4, length, set);
            return rule;
        };
        if (!action.log_prefix.empty()) {
            RuleObject rule = head();
            add_log(rule.get(), action.log_prefix);
            put_rule(batch, rule.get());
        }
        RuleObject rule = head();
        add_verdict(rule.get(), action.verdict);
        put_rule(batch, rule.get());
    };
    auto put = [&](const PortRange* ports, Protocol protocol) {
        if (action.interfaces.empty()) put_one(nullptr, ports, protocol);
        for (const std::string& name : action.interfaces) put_one(&name, ports, protocol);
    };
    if (action.ports.empty()) {
        put(nullptr, Protocol::tcp);
        return;
    }
    for (Protocol protocol : action.protocols)
        for (const PortRange& ports : action.ports) put(&ports, protocol);
}

nlmsghdr* begin_elements(Batch& batch, std::uint16_t type, const std::string& set,
                         nlattr*& elements) {
    nlmsghdr* message = batch.begin(type, type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0);
    mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, batch.table());
    mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, set.c_str());
    elements = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
    return message;
}

void put_element(nlmsghdr* message, const Prefix& prefix, std::optional<Duration> timeout) {
    nlattr* element = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
    nlattr* key = mnl_attr_nest_start(message, NFTA_SET_ELEM_KEY);
    if (prefix.is_v4())
        mnl_attr_put(message, NFTA_DATA_VALUE, 4, prefix.network.bytes.data() + 12);
    else
        mnl_attr_put(message, NFTA_DATA_VALUE, 16, prefix.network.bytes.data());
    mnl_attr_nest_end(message, key);
    if (timeout && *timeout < longest_timeout) {
        std::int64_t ms = std::max<std::int64_t>(timeout->count() / 1000, 1);
        mnl_attr_put_u64(message, NFTA_SET_ELEM_TIMEOUT, htobe64(static_cast<std::uint64_t>(ms)));
    }
    mnl_attr_nest_end(message, element);
}

void put_boundary(nlmsghdr* message, const Address& address, bool is_end) {
    nlattr* element = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
    nlattr* key = mnl_attr_nest_start(message, NFTA_SET_ELEM_KEY);
    if (address.is_v4())
        mnl_attr_put(message, NFTA_DATA_VALUE, 4, address.bytes.data() + 12);
    else
        mnl_attr_put(message, NFTA_DATA_VALUE, 16, address.bytes.data());
    mnl_attr_nest_end(message, key);
    if (is_end) mnl_attr_put_u32(message, NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_INTERVAL_END));
    mnl_attr_nest_end(message, element);
}

// It is attribute 1 of every kind of object.
std::string_view table_of(const nlmsghdr& message) {
    std::string_view name;
    constexpr int table_attribute = 1;
    auto visit = [](const nlattr* attribute, void* data) -> int {
        if (mnl_attr_get_type(attribute) == table_attribute)
            *static_cast<std::string_view*>(data) = mnl_attr_get_str(attribute);
        return MNL_CB_OK;
    };
    mnl_attr_parse(&message, sizeof(nfgenmsg), visit, &name);
    return name;
}

}  // namespace bandd::nft
