// SPDX-License-Identifier: GPL-2.0-or-later
// Every change is one transaction. Chains are rewritten whole, so that no packet sees half a rule
// set; sets are never recreated, so that bans hold meanwhile.
#include "kernel/nftables.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>

#include "kernel/nft_batch.h"

namespace bandd {
namespace {

constexpr const char* table_name = "bandd";
constexpr const char* needs_right = "bandd needs CAP_NET_ADMIN: start it as root";
// Each transaction waits for packets under way to be done with the old rules, some milliseconds: so
// as few as the socket's buffer allows.
constexpr std::size_t additions_a_batch = 32768;  // 1.5 MiB
constexpr std::size_t orders_a_batch = 4096;      // at three messages an order, some 1.2 MiB

using namespace nft;

// What an element's message says of its end.
enum class Timeout { none, of_order, short_one };

std::optional<Duration> timeout_for(Timeout timeout, const Order& order) {
    if (timeout == Timeout::none) return {};
    return timeout == Timeout::of_order ? order.timeout : Duration(std::chrono::seconds(1));
}

// The messages that an order takes: calls `put` for each. Adding an element that is there changes
// nothing, and deleting one that is not fails: so what is to go is made to be there first.
template <class Put>
void put_kind(Order::Kind kind, bool all_new, const Put& put) {
    if (kind == Order::Kind::renew && all_new)
        return put(NFT_MSG_NEWSETELEM, NLM_F_EXCL, Timeout::of_order);
    bool is_removal = kind == Order::Kind::remove;
    put(NFT_MSG_NEWSETELEM, 0, is_removal ? Timeout::short_one : Timeout::of_order);
    if (kind == Order::Kind::add) return;
    put(NFT_MSG_DELSETELEM, 0, Timeout::none);
    if (!is_removal) put(NFT_MSG_NEWSETELEM, 0, Timeout::of_order);
}

// One answer says that all was taken, see Batch.
bool took_all(const std::vector<NetlinkAnswer>& answers) {
    return !answers.empty() &&
           std::ranges::all_of(answers, [](const auto& answer) { return answer.error == 0; });
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
    if (!dumped && commands_.refusal() == ENOENT) return {};
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
        sets_.insert({id, false, ipv6_host_length});
    }
    for (bool clean : {false, true}) {
        Batch batch(sequence_, table_name);
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
        for (const SetKey& key : sets_)
            put_set(batch, NFT_MSG_NEWSET, set_name(key), key.v4, NFT_SET_TIMEOUT);
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
            for (const std::string& name : stale_sets)
                put_set(batch, NFT_MSG_DELSET, name, true, 0);
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
    Batch batch(sequence_, table_name);
    put_set(batch, NFT_MSG_NEWSET, set_name(key), key.v4, NFT_SET_TIMEOUT);
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

// Many orders, in messages of many elements each: all of them, or none. `all_new`: of what is
// renewed, nothing is there yet.
NftablesBackend::Fate NftablesBackend::send_together(std::span<const Order> orders,
                                                     std::span<const std::size_t> indexes,
                                                     bool all_new) {
    constexpr std::size_t elements_a_message = 75;  // 40 bytes each: within message_space
    Batch batch(sequence_, table_name);
    while (!indexes.empty()) {
        const Order& first = orders[indexes.front()];
        auto is_alike = [&](std::size_t index) {
            const Order& other = orders[index];
            return other.kind == first.kind && other.target == first.target &&
                   other.prefix.is_v4() == first.prefix.is_v4() &&
                   other.prefix.length == first.prefix.length;
        };
        auto end = std::find_if_not(indexes.begin(),
                                    indexes.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                          indexes.size(), elements_a_message)),
                                    is_alike);
        auto alike = indexes.first(static_cast<std::size_t>(end - indexes.begin()));
        indexes = indexes.subspan(alike.size());
        std::string set = set_name({first.target, first.prefix.is_v4(), first.prefix.length});
        put_kind(
            first.kind, all_new, [&](std::uint16_t type, std::uint16_t flags, Timeout timeout) {
                nlattr* elements = nullptr;
                nlmsghdr* message = begin_elements(batch, type, set, elements);
                message->nlmsg_flags |= flags;
                for (std::size_t index : alike)
                    put_element(message, orders[index].prefix, timeout_for(timeout, orders[index]));
                mnl_attr_nest_end(message, elements);
                batch.end(message);
            });
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
    if (sent && took_all(answers)) return Fate::taken;
    bool exists = std::ranges::any_of(answers, [](const auto& one) { return one.error == EEXIST; });
    return exists ? Fate::something_exists : Fate::refused;
}

// One transaction. If the kernel refuses some of it, all of it is undone: those go to `failed`, and
// the rest is sent again.
void NftablesBackend::send(std::span<const Order> orders, std::vector<std::size_t> indexes,
                           std::vector<Failure>& failed) {
    constexpr std::size_t many = 64;
    // Most of what is renewed is a new ban, of which nothing is there yet: one message instead of
    // three. If that turns out to be wrong, nothing has been done.
    bool all_new = true;
    if (indexes.size() >= many) {
        Fate fate = send_together(orders, indexes, true);
        all_new = fate != Fate::something_exists;
        if (!all_new) fate = send_together(orders, indexes, false);
        if (fate == Fate::taken) return;
    }
    while (!indexes.empty()) {
        Batch batch(sequence_, table_name);
        std::vector<std::size_t> owner;  // of each message
        for (std::size_t index : indexes) {
            const Order& order = orders[index];
            std::string set = set_name({order.target, order.prefix.is_v4(), order.prefix.length});
            put_kind(order.kind, all_new,
                     [&](std::uint16_t type, std::uint16_t flags, Timeout timeout) {
                         nlattr* elements = nullptr;
                         nlmsghdr* message = begin_elements(batch, type, set, elements);
                         message->nlmsg_flags |= flags;
                         put_element(message, order.prefix, timeout_for(timeout, order));
                         mnl_attr_nest_end(message, elements);
                         batch.end(message);
                         owner.push_back(index);
                     });
        }
        std::uint32_t first = batch.first();
        std::vector<NetlinkAnswer> answers;
        auto sent = commands_.exchange(batch.finish(), answers);
        auto was_there = [](const NetlinkAnswer& answer) { return answer.error == EEXIST; };
        if (std::exchange(all_new, false) && std::ranges::any_of(answers, was_there)) continue;
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
            bool full = answer.error == ENFILE;  // of its `size`, which is none of ours
            if (bad.insert(owner[place]).second)
                failed.push_back(
                    {owner[place],
                     Error{"nftables: set " + set_name({orders[owner[place]].target,
                                                        orders[owner[place]].prefix.is_v4(),
                                                        orders[owner[place]].prefix.length}),
                           full ? "is full" : what_nft_says(answer.error),
                           full ? "somebody gave it a size: nft delete table inet bandd, and bandd "
                                  "makes it anew"
                                : "",
                           {}},
                     full});
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
    Batch batch(sequence_, table_name);
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
