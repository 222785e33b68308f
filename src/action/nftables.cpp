// SPDX-License-Identifier: GPL-2.0-or-later
// Tables, chains, sets and rules are built with libnftnl, elements by hand with libmnl: they are
// what there are many of. Attribute numbers are linux/netfilter/nf_tables.h's.
//
// Every change is one transaction. Chains are rewritten whole, so that no packet sees half a rule
// set; sets are never recreated, so that bans hold meanwhile.
#include "action/nftables.h"

#include <arpa/inet.h>
#include <endian.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>

namespace bandd {
namespace {

constexpr const char* table_name = "bandd";
constexpr const char* needs_right = "bandd needs CAP_NET_ADMIN: start it as root";
// nft's own numbers for the types of set keys (nftables, include/datatype.h).
constexpr std::uint32_t type_ipv4_addr = 7;
constexpr std::uint32_t type_ipv6_addr = 8;
constexpr std::size_t orders_a_batch = 4096;  // at three messages an order, some 1.2 MiB
// Each transaction waits for packets under way to be done with the old rules, some milliseconds: so
// as few as the socket's buffer allows.
constexpr std::size_t additions_a_batch = 32768;  // 1.5 MiB
constexpr std::size_t message_space = 4096;       // more than any one message takes
constexpr std::uint32_t log_rate = 10;            // packets a second that `log_prefix` writes
// The kernel keeps timeouts in jiffies of 64 bits, given in milliseconds; ten years is for ever.
constexpr Duration longest_timeout = std::chrono::days(3650);

template <class T, void (*release)(const T*)>
struct Free {
    void operator()(T* object) const { release(object); }
};
using Table = std::unique_ptr<nftnl_table, Free<nftnl_table, nftnl_table_free>>;
using Chain = std::unique_ptr<nftnl_chain, Free<nftnl_chain, nftnl_chain_free>>;
using Rule_ = std::unique_ptr<nftnl_rule, Free<nftnl_rule, nftnl_rule_free>>;
using Set = std::unique_ptr<nftnl_set, Free<nftnl_set, nftnl_set_free>>;

// Messages of one transaction, between batch begin and end.
class Batch {
  public:
    explicit Batch(std::uint32_t& sequence) : sequence_(sequence) {
        frame(NFNL_MSG_BATCH_BEGIN);
        first_ = sequence_;
    }
    std::uint32_t first() const { return first_; }

    nlmsghdr* begin(std::uint16_t type, std::uint16_t flags) {
        data_.resize(used_ + message_space);
        return nftnl_nlmsg_build_hdr(data_.data() + used_, type, NFPROTO_INET,
                                     static_cast<std::uint16_t>(flags | NLM_F_ACK), sequence_++);
    }
    void end(const nlmsghdr* message) { used_ += MNL_ALIGN(message->nlmsg_len); }

    std::span<const char> finish() {
        frame(NFNL_MSG_BATCH_END);
        return {data_.data(), used_};
    }

  private:
    void frame(std::uint16_t type) {
        data_.resize(used_ + message_space);
        nlmsghdr* header = mnl_nlmsg_put_header(data_.data() + used_);
        header->nlmsg_type = type;
        header->nlmsg_flags = NLM_F_REQUEST;
        header->nlmsg_seq = sequence_++;
        auto* generic =
            static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
        generic->nfgen_family = AF_UNSPEC;
        generic->version = NFNETLINK_V0;
        generic->res_id = htons(NFNL_SUBSYS_NFTABLES);
        end(header);
    }
    std::uint32_t& sequence_;
    std::uint32_t first_ = 0;
    std::vector<char> data_;
    std::size_t used_ = 0;
};

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

void add_meta(nftnl_rule* rule, std::uint32_t key, std::uint8_t value) {
    nftnl_expr* meta = nftnl_expr_alloc("meta");
    nftnl_expr_set_u32(meta, NFTNL_EXPR_META_KEY, key);
    nftnl_expr_set_u32(meta, NFTNL_EXPR_META_DREG, NFT_REG_1);
    nftnl_rule_add_expr(rule, meta);
    nftnl_expr* compare = nftnl_expr_alloc("cmp");
    nftnl_expr_set_u32(compare, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
    nftnl_expr_set_u32(compare, NFTNL_EXPR_CMP_OP, NFT_CMP_EQ);
    nftnl_expr_set(compare, NFTNL_EXPR_CMP_DATA, &value, sizeof value);
    nftnl_rule_add_expr(rule, compare);
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

void put_table(Batch& batch, std::uint16_t type, std::uint16_t flags) {
    Table table(nftnl_table_alloc());
    nftnl_table_set_u32(table.get(), NFTNL_TABLE_FAMILY, NFPROTO_INET);
    nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, table_name);
    nlmsghdr* message = batch.begin(type, flags);
    nftnl_table_nlmsg_build_payload(message, table.get());
    batch.end(message);
}

void put_set(Batch& batch, std::uint16_t type, const std::string& name, bool v4) {
    Set set(nftnl_set_alloc());
    nftnl_set_set_u32(set.get(), NFTNL_SET_FAMILY, NFPROTO_INET);
    nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, table_name);
    nftnl_set_set_str(set.get(), NFTNL_SET_NAME, name.c_str());
    if (type == NFT_MSG_NEWSET) {
        nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_TYPE, v4 ? type_ipv4_addr : type_ipv6_addr);
        nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_LEN, v4 ? 4 : 16);
        nftnl_set_set_u32(set.get(), NFTNL_SET_FLAGS, NFT_SET_TIMEOUT);
        nftnl_set_set_u32(set.get(), NFTNL_SET_ID, 1);
    }
    nlmsghdr* message = batch.begin(type, type == NFT_MSG_NEWSET ? NLM_F_CREATE : 0);
    nftnl_set_nlmsg_build_payload(message, set.get());
    batch.end(message);
}

// A base chain: a hook at a priority.
using ChainKey = std::pair<Hook, int>;

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
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, table_name);
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

Rule_ make_rule(const std::string& chain) {
    Rule_ rule(nftnl_rule_alloc());
    nftnl_rule_set_u32(rule.get(), NFTNL_RULE_FAMILY, NFPROTO_INET);
    nftnl_rule_set_str(rule.get(), NFTNL_RULE_TABLE, table_name);
    nftnl_rule_set_str(rule.get(), NFTNL_RULE_CHAIN, chain.c_str());
    return rule;
}

void put_rule(Batch& batch, nftnl_rule* rule) {
    nlmsghdr* message = batch.begin(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    nftnl_rule_nlmsg_build_payload(message, rule);
    batch.end(message);
}

void flush_chain(Batch& batch, const std::string& chain) {
    Rule_ all = make_rule(chain);
    nlmsghdr* message = batch.begin(NFT_MSG_DELRULE, 0);
    nftnl_rule_nlmsg_build_payload(message, all.get());
    batch.end(message);
}

void put_rules(Batch& batch, const std::string& chain, const NftablesAction& action, bool v4,
               int length, const std::string& set) {
    auto put = [&](const PortRange* ports, Protocol protocol) {
        auto head = [&] {
            Rule_ rule = make_rule(chain);
            add_meta(rule.get(), NFT_META_NFPROTO, v4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
            if (ports != nullptr) {
                add_meta(rule.get(), NFT_META_L4PROTO, static_cast<std::uint8_t>(protocol));
                add_port(rule.get(), *ports);
            }
            add_lookup(rule.get(), v4, length, set);
            return rule;
        };
        if (!action.log_prefix.empty()) {
            Rule_ rule = head();
            add_log(rule.get(), action.log_prefix);
            put_rule(batch, rule.get());
        }
        Rule_ rule = head();
        add_verdict(rule.get(), action.verdict);
        put_rule(batch, rule.get());
    };
    if (action.ports.empty()) {
        put(nullptr, Protocol::tcp);
        return;
    }
    for (Protocol protocol : action.protocols)
        for (const PortRange& ports : action.ports) put(&ports, protocol);
}

// What every element message begins with; `elements` is the nest that the elements go into.
nlmsghdr* begin_elements(Batch& batch, std::uint16_t type, const std::string& set,
                         nlattr*& elements) {
    nlmsghdr* message = batch.begin(type, type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0);
    mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, table_name);
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

// The table that a message of ours is about; attribute 1 of every kind of object.
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

}  // namespace

Result<std::unique_ptr<NftablesBackend>> NftablesBackend::create() {
    auto commands = Netlink::open(NETLINK_NETFILTER);
    if (!commands) return std::unexpected(commands.error());
    std::array<int, 1> groups{NFNLGRP_NFTABLES};
    auto notices = Netlink::open(NETLINK_NETFILTER, groups);
    if (!notices)
        return fail("nftables: " + notices.error().what, notices.error().reason, needs_right);
    if (auto ignoring = notices->ignore_port(commands->port()); !ignoring)
        return std::unexpected(ignoring.error());
    return std::unique_ptr<NftablesBackend>(
        new NftablesBackend(std::move(*commands), std::move(*notices)));
}

std::string NftablesBackend::set_name(const SetKey& key) const {
    const TargetSpec& target = targets_.at(key.target);
    std::string name = target.jail_name + (key.v4 ? "-ipv4" : "-ipv6");
    if (key.length != (key.v4 ? 32 : 128)) name += "-" + std::to_string(key.length);
    return name;
}

std::optional<NftablesBackend::SetKey> NftablesBackend::parse_set_name(
    const std::string& name) const {
    for (const auto& [id, target] : targets_)
        for (bool v4 : {true, false}) {
            std::string head = target.jail_name + (v4 ? "-ipv4" : "-ipv6");
            if (!name.starts_with(head)) continue;
            std::string rest = name.substr(head.size());
            int most = v4 ? 32 : 128;
            if (rest.empty()) return SetKey{id, v4, most};
            if (rest.size() < 2 || rest.size() > 4 || rest.front() != '-') continue;
            int length = std::atoi(rest.c_str() + 1);
            if (length > 0 && length < most) return SetKey{id, v4, length};
        }
    return {};
}

void NftablesBackend::set_targets(std::vector<TargetSpec> targets) {
    targets_.clear();
    for (TargetSpec& target : targets) targets_.emplace(target.id, std::move(target));
    built_ = false;
}

// What stands in the kernel of a daemon before us: sets of our jails are kept, with their bans.
Result<> NftablesBackend::find_sets() {
    sets_.clear();
    std::array<char, message_space> buffer{};
    nlmsghdr* request =
        nftnl_nlmsg_build_hdr(buffer.data(), NFT_MSG_GETSET, NFPROTO_INET, NLM_F_DUMP, sequence_++);
    mnl_attr_put_strz(request, NFTA_SET_TABLE, table_name);
    auto dumped = commands_.dump(*request, [&](const nlmsghdr& message) {
        Set set(nftnl_set_alloc());
        if (nftnl_set_nlmsg_parse(&message, set.get()) < 0) return;
        const char* table = nftnl_set_get_str(set.get(), NFTNL_SET_TABLE);
        const char* name = nftnl_set_get_str(set.get(), NFTNL_SET_NAME);
        if (table == nullptr || name == nullptr || std::string_view(table) != table_name) return;
        if (auto key = parse_set_name(name)) sets_.insert(*key);
    });
    // No table yet.
    if (!dumped && dumped.error().reason == std::strerror(ENOENT)) return {};
    return dumped;
}

Result<> NftablesBackend::build() {
    if (auto found = find_sets(); !found)
        return fail("nftables: reading table inet bandd", found.error().reason, needs_right);
    std::set<std::string> stale_chains;
    std::set<std::string> stale_sets;
    std::array<char, message_space> buffer{};
    nlmsghdr* request = nftnl_nlmsg_build_hdr(buffer.data(), NFT_MSG_GETCHAIN, NFPROTO_INET,
                                              NLM_F_DUMP, sequence_++);
    auto chains = commands_.dump(*request, [&](const nlmsghdr& message) {
        Chain chain(nftnl_chain_alloc());
        if (nftnl_chain_nlmsg_parse(&message, chain.get()) < 0) return;
        const char* table = nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TABLE);
        const char* name = nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME);
        if (table != nullptr && name != nullptr && std::string_view(table) == table_name)
            stale_chains.insert(name);
    });
    if (!chains) return std::unexpected(chains.error());
    request =
        nftnl_nlmsg_build_hdr(buffer.data(), NFT_MSG_GETSET, NFPROTO_INET, NLM_F_DUMP, sequence_++);
    mnl_attr_put_strz(request, NFTA_SET_TABLE, table_name);
    // ENOENT: no table, nothing stale.
    [[maybe_unused]] auto sets = commands_.dump(*request, [&](const nlmsghdr& message) {
        Set set(nftnl_set_alloc());
        if (nftnl_set_nlmsg_parse(&message, set.get()) < 0) return;
        const char* table = nftnl_set_get_str(set.get(), NFTNL_SET_TABLE);
        const char* name = nftnl_set_get_str(set.get(), NFTNL_SET_NAME);
        if (table != nullptr && name != nullptr && std::string_view(table) == table_name &&
            !parse_set_name(name))
            stale_sets.insert(name);
    });

    for (const auto& [id, target] : targets_) {
        sets_.insert({id, true, 32});
        sets_.insert({id, false, 64});
    }
    for (bool clean : {false, true}) {
        Batch batch(sequence_);
        put_table(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE);
        if (clean) {
            // Something stands there that is not as we make it, say a set of another type under
            // our name: begin from nothing. The bans come back by reconciliation.
            put_table(batch, NFT_MSG_DELTABLE, 0);
            put_table(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE);
        }
        std::set<ChainKey> wanted;
        for (const auto& [id, target] : targets_) {
            const auto& action = std::get<NftablesAction>(target.action);
            for (Hook hook : action.hooks) wanted.insert({hook, action.priority});
        }
        for (const ChainKey& key : wanted) {
            std::string name = chain_name(key);
            put_chain(batch, NFT_MSG_NEWCHAIN, name, &key);
            if (!clean && stale_chains.contains(name)) flush_chain(batch, name);
        }
        for (const SetKey& key : sets_) put_set(batch, NFT_MSG_NEWSET, set_name(key), key.v4);
        for (const SetKey& key : sets_) {
            const auto& action = std::get<NftablesAction>(targets_.at(key.target).action);
            for (Hook hook : action.hooks)
                put_rules(batch, chain_name({hook, action.priority}), action, key.v4, key.length,
                          set_name(key));
        }
        if (!clean) {
            for (const std::string& name : stale_chains) {
                bool kept = std::ranges::any_of(
                    wanted, [&](const ChainKey& key) { return chain_name(key) == name; });
                if (kept) continue;
                flush_chain(batch, name);
                put_chain(batch, NFT_MSG_DELCHAIN, name, nullptr);
            }
            for (const std::string& name : stale_sets) put_set(batch, NFT_MSG_DELSET, name, true);
        }
        std::vector<NetlinkAnswer> answers;
        if (auto sent = commands_.exchange(batch.finish(), answers); !sent)
            return std::unexpected(sent.error());
        auto bad = std::ranges::find_if(answers, [](const auto& a) { return a.error != 0; });
        if (bad == answers.end()) {
            built_ = true;
            return {};
        }
        if (clean || bad->error == EPERM)
            return fail("nftables: making table inet bandd", what_nft_says(bad->error),
                        bad->error == EPERM ? needs_right : "");
    }
    return {};
}

Result<> NftablesBackend::prepare(TargetId) {
    if (built_) return {};
    return build();
}

Result<> NftablesBackend::ensure_set(const SetKey& key) {
    if (sets_.contains(key)) return {};
    const auto& action = std::get<NftablesAction>(targets_.at(key.target).action);
    Batch batch(sequence_);
    put_set(batch, NFT_MSG_NEWSET, set_name(key), key.v4);
    for (Hook hook : action.hooks)
        put_rules(batch, chain_name({hook, action.priority}), action, key.v4, key.length,
                  set_name(key));
    std::vector<NetlinkAnswer> answers;
    if (auto sent = commands_.exchange(batch.finish(), answers); !sent) return sent;
    for (const NetlinkAnswer& answer : answers)
        if (answer.error != 0)
            return fail("nftables: making set " + set_name(key), what_nft_says(answer.error));
    sets_.insert(key);
    return {};
}

void NftablesBackend::apply(std::span<const Order> orders, std::vector<Failure>& failed) {
    std::vector<std::size_t> batch;
    bool additions = true;
    for (std::size_t i = 0; i < orders.size(); ++i) {
        const Order& order = orders[i];
        SetKey key{order.target, order.prefix.is_v4(), order.prefix.length};
        if (order.kind != Order::Kind::remove) {
            if (auto ready = ensure_set(key); !ready) {
                failed.push_back({i, ready.error()});
                continue;
            }
        } else if (!sets_.contains(key)) {
            continue;
        }
        batch.push_back(i);
        additions = additions && order.kind == Order::Kind::add;
        if (batch.size() >= (additions ? additions_a_batch : orders_a_batch)) {
            send(orders, std::exchange(batch, {}), failed);
            additions = true;
        }
    }
    send(orders, std::move(batch), failed);
}

// The number of the rule set's last change, whoever made it.
std::uint32_t NftablesBackend::generation() {
    std::array<char, message_space> buffer{};
    nlmsghdr* request = nftnl_nlmsg_build_hdr(buffer.data(), NFT_MSG_GETGEN, NFPROTO_UNSPEC,
                                              NLM_F_ACK, sequence_++);
    std::uint32_t generation = 0;
    std::vector<NetlinkAnswer> answers;
    [[maybe_unused]] auto asked = commands_.exchange(
        {buffer.data(), request->nlmsg_len}, answers, [&](const nlmsghdr& message) {
            auto visit = [](const nlattr* attribute, void* data) -> int {
                if (mnl_attr_get_type(attribute) == NFTA_GEN_ID)
                    *static_cast<std::uint32_t*>(data) = ntohl(mnl_attr_get_u32(attribute));
                return MNL_CB_OK;
            };
            mnl_attr_parse(&message, sizeof(nfgenmsg), visit, &generation);
        });
    return generation;
}

// Many additions, as at a start: messages of many elements each. They share their fate, so this
// says only whether all took.
bool NftablesBackend::send_additions(std::span<const Order> orders,
                                     std::span<const std::size_t> indexes) {
    constexpr std::size_t elements_a_message = 75;  // 40 bytes each: within message_space
    Batch batch(sequence_);
    for (std::size_t i = 0; i < indexes.size();) {
        const Order& first = orders[indexes[i]];
        auto same_set = [&](const Order& other) {
            return other.target == first.target && other.prefix.is_v4() == first.prefix.is_v4() &&
                   other.prefix.length == first.prefix.length;
        };
        std::string set = set_name({first.target, first.prefix.is_v4(), first.prefix.length});
        nlattr* elements = nullptr;
        nlmsghdr* message = begin_elements(batch, NFT_MSG_NEWSETELEM, set, elements);
        for (std::size_t count = 0;
             count < elements_a_message && i < indexes.size() && same_set(orders[indexes[i]]);
             ++count, ++i)
            put_element(message, orders[indexes[i]].prefix, orders[indexes[i]].timeout);
        mnl_attr_nest_end(message, elements);
        batch.end(message);
    }
    // For a listener the kernel makes a message of every element, even for one that filters it out:
    // so we do not listen meanwhile, and tell by the generation whether there was anything to hear.
    std::uint32_t before = generation();
    notices_.leave(NFNLGRP_NFTABLES);
    std::vector<NetlinkAnswer> answers;
    auto sent = commands_.exchange(batch.finish(), answers);
    bool listening = notices_.join(NFNLGRP_NFTABLES).has_value();
    std::uint32_t after = generation();
    if (!listening || (after != before + 1 && after != before)) missed_ = true;
    if (!sent) return false;
    return std::ranges::all_of(answers, [](const auto& answer) { return answer.error == 0; });
}

// One transaction. If the kernel refuses some of it, all of it is undone: those go to `failed`, and
// the rest is sent again.
void NftablesBackend::send(std::span<const Order> orders, std::vector<std::size_t> indexes,
                           std::vector<Failure>& failed) {
    constexpr std::size_t many = 64;
    bool additions = std::ranges::all_of(
        indexes, [&](std::size_t index) { return orders[index].kind == Order::Kind::add; });
    if (indexes.size() >= many && additions && send_additions(orders, indexes)) return;
    while (!indexes.empty()) {
        Batch batch(sequence_);
        std::vector<std::size_t> owner;  // of each message
        for (std::size_t index : indexes) {
            const Order& order = orders[index];
            std::string set = set_name({order.target, order.prefix.is_v4(), order.prefix.length});
            auto put = [&](std::uint16_t type, std::optional<Duration> timeout) {
                nlattr* elements = nullptr;
                nlmsghdr* message = begin_elements(batch, type, set, elements);
                put_element(message, order.prefix, timeout);
                mnl_attr_nest_end(message, elements);
                batch.end(message);
                owner.push_back(index);
            };
            switch (order.kind) {
                case Order::Kind::add:
                    put(NFT_MSG_NEWSETELEM, order.timeout);
                    break;
                case Order::Kind::renew:
                    // Adding an element that is there changes nothing, and deleting one that is not
                    // fails: so make it be there, take it out, put it in anew.
                    put(NFT_MSG_NEWSETELEM, order.timeout);
                    put(NFT_MSG_DELSETELEM, std::nullopt);
                    put(NFT_MSG_NEWSETELEM, order.timeout);
                    break;
                case Order::Kind::remove:
                    put(NFT_MSG_NEWSETELEM, std::chrono::seconds(1));
                    put(NFT_MSG_DELSETELEM, std::nullopt);
                    break;
            }
        }
        std::uint32_t first = batch.first();
        std::vector<NetlinkAnswer> answers;
        auto sent = commands_.exchange(batch.finish(), answers);
        std::set<std::size_t> bad;
        int missing = 0;
        for (const NetlinkAnswer& answer : answers) {
            if (answer.error == 0) continue;
            std::size_t place = answer.sequence - first;
            if (place >= owner.size()) {
                // The commit itself failed: it is nobody's fault in particular.
                sent = fail("nftables", what_nft_says(answer.error));
                continue;
            }
            if (answer.error == ENOENT) ++missing;
            if (bad.insert(owner[place]).second)
                failed.push_back(
                    {owner[place],
                     Error{"nftables: set " + set_name({orders[owner[place]].target,
                                                        orders[owner[place]].prefix.is_v4(),
                                                        orders[owner[place]].prefix.length}),
                           what_nft_says(answer.error),
                           {},
                           {}}});
        }
        if (missing > 0) built_ = false;  // somebody took our table or sets away
        if (!sent) {
            for (std::size_t index : indexes)
                if (!bad.contains(index)) failed.push_back({index, sent.error()});
            return;
        }
        if (bad.empty()) return;
        std::erase_if(indexes, [&](std::size_t index) { return bad.contains(index); });
    }
}

Result<> NftablesBackend::list(TargetId target, const Visit& visit) {
    std::size_t visited = 0;
    auto enough = [&] { return visited > most_listed(); };
    for (const SetKey& key : sets_) {
        if (key.target != target) continue;
        std::array<char, message_space> buffer{};
        nlmsghdr* request = nftnl_nlmsg_build_hdr(buffer.data(), NFT_MSG_GETSETELEM, NFPROTO_INET,
                                                  NLM_F_DUMP, sequence_++);
        mnl_attr_put_strz(request, NFTA_SET_ELEM_LIST_TABLE, table_name);
        mnl_attr_put_strz(request, NFTA_SET_ELEM_LIST_SET, set_name(key).c_str());
        auto dumped = commands_.dump(
            *request,
            [&](const nlmsghdr& message) {
                Set set(nftnl_set_alloc());
                if (nftnl_set_elems_nlmsg_parse(&message, set.get()) < 0) return;
                auto* at = nftnl_set_elems_iter_create(set.get());
                for (auto* element = nftnl_set_elems_iter_next(at); element != nullptr;
                     element = nftnl_set_elems_iter_next(at)) {
                    std::uint32_t length = 0;
                    const void* data = nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &length);
                    if (data == nullptr || length != (key.v4 ? 4U : 16U)) continue;
                    Address address;
                    if (key.v4) address.bytes[10] = address.bytes[11] = 0xff;
                    std::memcpy(address.bytes.data() + (key.v4 ? 12 : 0), data, length);
                    Present element_present{make_prefix(address, key.length), {}};
                    if (nftnl_set_elem_is_set(element, NFTNL_SET_ELEM_EXPIRATION))
                        element_present.remaining = std::chrono::milliseconds(
                            nftnl_set_elem_get_u64(element, NFTNL_SET_ELEM_EXPIRATION));
                    visit(element_present);
                    ++visited;
                }
                nftnl_set_elems_iter_destroy(at);
            },
            enough);
        if (!dumped) return fail("nftables: reading set " + set_name(key), dumped.error().reason);
        if (!enough()) continue;
        // The rest of the answer is still on its way: a new socket does not hear it.
        auto fresh = Netlink::open(NETLINK_NETFILTER);
        if (!fresh) return std::unexpected(fresh.error());
        commands_ = std::move(*fresh);
        return notices_.ignore_port(commands_.port());
    }
    return {};
}

void NftablesBackend::clear() {
    Batch batch(sequence_);
    put_table(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    put_table(batch, NFT_MSG_DELTABLE, 0);
    std::vector<NetlinkAnswer> answers;
    [[maybe_unused]] auto ignored = commands_.exchange(batch.finish(), answers);
    sets_.clear();
    built_ = false;
}

Backend::Notices NftablesBackend::read_notices() {
    Notices notices;
    notices.touched = std::exchange(missed_, false);
    bool lost = notices_.read_notices([&](const nlmsghdr& message) {
        if (NFNL_SUBSYS_ID(message.nlmsg_type) != NFNL_SUBSYS_NFTABLES) return;
        if (NFNL_MSG_TYPE(message.nlmsg_type) == NFT_MSG_NEWGEN) return;
        if (table_of(message) == table_name) notices.touched = true;
    });
    if (lost) notices.touched = true;
    if (notices.touched) built_ = false;
    return notices;
}

}  // namespace bandd
