// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/geoblock.h"

#include <algorithm>
#include <array>
#include <set>

#include "kernel/nft_batch.h"

namespace bandd {

using namespace nft;

namespace {

std::string set_name(const Geoblock& block, bool v4) {
    return block.config.name + (v4 ? "-ipv4" : "-ipv6");
}

void put_ranges(Batch& batch, const Geoblock& block, bool v4) {
    constexpr std::size_t ranges_a_message = 40;  // two boundaries of 44 bytes each
    auto in_family = [&](const AddressRange& range) { return range.first.is_v4() == v4; };
    for (auto at = std::ranges::find_if(block.ranges, in_family); at != block.ranges.end();) {
        nlattr* elements = nullptr;
        nlmsghdr* message =
            begin_elements(batch, NFT_MSG_NEWSETELEM, set_name(block, v4), elements);
        std::size_t count = 0;
        for (; at != block.ranges.end() && count < ranges_a_message; ++at) {
            if (!in_family(*at)) continue;
            put_boundary(message, at->first, false);
            // Up to the last address of all there is no end.
            if (auto end = next_address(at->last)) put_boundary(message, *end, true);
            ++count;
        }
        mnl_attr_nest_end(message, elements);
        batch.end(message);
        at = std::find_if(at, block.ranges.end(), in_family);
    }
}

}  // namespace

Result<> put_geoblocks(const std::vector<Geoblock>& blocks) {
    auto commands = Netlink::open(NETLINK_NETFILTER);
    if (!commands) return std::unexpected(commands.error());
    std::uint32_t sequence = 1;
    Batch batch(sequence, geoblock_table);
    put_table(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    put_table(batch, NFT_MSG_DELTABLE, 0);
    if (!blocks.empty()) put_table(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    std::set<ChainKey> chains;
    for (const Geoblock& block : blocks)
        for (Hook hook : block.config.packets.hooks)
            chains.insert({hook, block.config.packets.priority});
    for (const ChainKey& key : chains) put_chain(batch, NFT_MSG_NEWCHAIN, chain_name(key), &key);
    for (const Geoblock& block : blocks)
        for (bool v4 : {true, false}) {
            put_set(batch, NFT_MSG_NEWSET, set_name(block, v4), v4, NFT_SET_INTERVAL);
            put_ranges(batch, block, v4);
            for (Hook hook : block.config.packets.hooks)
                put_rules(batch, chain_name({hook, block.config.packets.priority}),
                          block.config.packets, v4, v4 ? 32 : 128, set_name(block, v4));
        }
    std::vector<NetlinkAnswer> answers;
    std::span<const char> request = batch.finish();
    commands->allow_request(request.size());
    if (auto sent = commands->exchange(request, answers); !sent) return sent;
    for (const NetlinkAnswer& answer : answers)
        if (answer.error != 0)
            return fail("nftables: making table inet " + std::string(geoblock_table),
                        what_nft_says(answer.error));
    return {};
}

bool geoblocks_stand() {
    auto commands = Netlink::open(NETLINK_NETFILTER);
    if (!commands) return false;
    std::array<char, message_space> buffer{};
    nlmsghdr* request =
        nftnl_nlmsg_build_hdr(buffer.data(), NFT_MSG_GETTABLE, NFPROTO_INET, NLM_F_ACK, 1);
    mnl_attr_put_strz(request, NFTA_TABLE_NAME, geoblock_table);
    std::vector<NetlinkAnswer> answers;
    bool stands = false;
    auto asked = commands->exchange({buffer.data(), request->nlmsg_len}, answers,
                                    [&](const nlmsghdr&) { stands = true; });
    return asked && stands;
}

const int GeoblockWatch::group = NFNLGRP_NFTABLES;

Result<GeoblockWatch> GeoblockWatch::open() {
    std::array<int, 1> groups{group};
    auto notices = Netlink::open(NETLINK_NETFILTER, groups);
    if (!notices) return std::unexpected(notices.error());
    return GeoblockWatch(std::move(*notices));
}

bool GeoblockWatch::was_changed() {
    bool changed = false;
    bool lost = notices_.read_notices([&](const nlmsghdr& message) {
        if (NFNL_SUBSYS_ID(message.nlmsg_type) != NFNL_SUBSYS_NFTABLES) return;
        if (NFNL_MSG_TYPE(message.nlmsg_type) == NFT_MSG_NEWGEN) return;
        changed = changed || table_of(message) == geoblock_table;
    });
    return changed || lost;
}

}  // namespace bandd
