// SPDX-License-Identifier: GPL-2.0-or-later
// Transactions of nftables: tables, chains, sets and rules by libnftnl, elements by hand with
// libmnl, as they are what there are many of. Attribute numbers are linux/netfilter/nf_tables.h's.
#pragma once

// Before linux's own, which yield to them.
#include <arpa/inet.h>
#include <netinet/in.h>

#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/types.h"
#include "core/base/address.h"
#include "core/base/instant.h"
#include "os/netlink.h"

namespace bandd::nft {

inline constexpr std::size_t message_space = 4096;  // more than any one message takes

template <class T, void (*release)(const T*)>
struct Free {
    void operator()(T* object) const { release(object); }
};
using Table = std::unique_ptr<nftnl_table, Free<nftnl_table, nftnl_table_free>>;
using Chain = std::unique_ptr<nftnl_chain, Free<nftnl_chain, nftnl_chain_free>>;
using RuleObject = std::unique_ptr<nftnl_rule, Free<nftnl_rule, nftnl_rule_free>>;
using Set = std::unique_ptr<nftnl_set, Free<nftnl_set, nftnl_set_free>>;

// Messages of one transaction, between batch begin and end.
class Batch {
  public:
    // Everything in it is about `table`, which must outlive it.
    Batch(std::uint32_t& sequence, const char* table) : sequence_(sequence), table_(table) {
        frame(NFNL_MSG_BATCH_BEGIN);
        first_ = sequence_;
    }
    std::uint32_t first() const { return first_; }
    const char* table() const { return table_; }

    // The kernel tells of each message that it refuses. That it took one it says only of the last:
    // then it took all, and a large batch needs no room for as many answers.
    nlmsghdr* begin(std::uint16_t type, std::uint16_t flags) {
        data_.resize(used_ + message_space);
        last_ = used_;
        return nftnl_nlmsg_build_hdr(data_.data() + used_, type, NFPROTO_INET, flags, sequence_++);
    }
    void end(const nlmsghdr* message) { used_ += MNL_ALIGN(message->nlmsg_len); }

    std::span<const char> finish() {
        if (last_ != 0) reinterpret_cast<nlmsghdr*>(data_.data() + last_)->nlmsg_flags |= NLM_F_ACK;
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
    const char* table_;
    std::uint32_t first_ = 0;
    std::vector<char> data_;
    std::size_t used_ = 0;
    std::size_t last_ = 0;  // where the last message begins; 0: there is none
};

std::string what_nft_says(int error);

void put_table(Batch& batch, std::uint16_t type, std::uint16_t flags);
// `flags`: NFT_SET_TIMEOUT, NFT_SET_INTERVAL.
void put_set(Batch& batch, std::uint16_t type, const std::string& name, bool v4,
             std::uint32_t flags);

// A base chain: a hook at a priority.
using ChainKey = std::pair<Hook, int>;
std::string chain_name(const ChainKey& key);
void put_chain(Batch& batch, std::uint16_t type, const std::string& name, const ChainKey* key);
void flush_chain(Batch& batch, const std::string& chain);
// What the action does with packets whose source, cut to `length` bits, is in the set.
void put_rules(Batch& batch, const std::string& chain, const NftablesAction& action, bool v4,
               int length, const std::string& set);

// What every element message begins with; `elements` is the nest that the elements go into.
nlmsghdr* begin_elements(Batch& batch, std::uint16_t type, const std::string& set,
                         nlattr*& elements);
void put_element(nlmsghdr* message, const Prefix& prefix, std::optional<Duration> timeout);
// Of an interval set: where an interval begins, or the first address behind its end.
void put_boundary(nlmsghdr* message, const Address& address, bool is_end);

// The table that a message of ours is about.
std::string_view table_of(const nlmsghdr& message);

}  // namespace bandd::nft
