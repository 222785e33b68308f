// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/remote_bans.h"

#include <algorithm>

#include "core/decide/engine.h"
#include "daemon/pipeline.h"
#include "os/clock.h"

namespace bandd {
namespace {

RemoteReply reply_of(const Ban* ban, bool changed) {
    RemoteReply reply;
    reply.changed = changed;
    if (ban == nullptr) return reply;
    reply.banned = true;
    reply.until = ban->until;
    if (ban->story) reply.reason = ban->story->reason;
    return reply;
}

RemoteReply refusal(Error error) {
    RemoteReply reply;
    reply.error = std::move(error);
    return reply;
}

// False: unspecified, multicast, or reserved for ever.
bool is_host(const Address& address) {
    if (address.is_v4()) return address.bytes[12] != 0 && address.bytes[12] < 224;
    return address.bytes[0] != 0xff && address != Address{};
}
bool overlap(const Prefix& a, const Prefix& b) {
    return contains(a, b.network) || contains(b, a.network);
}

}  // namespace

// A peer that is wrong, or is somebody else's by now, must not cut off those whom we listen to.
std::optional<Error> RemoteBans::refuse(const Prefix& prefix, const Address& asker) const {
    auto no = [&](const char* why) { return Error{"ban " + to_string(prefix), why, {}, {}}; };
    if (!is_host(prefix.network)) return no("no host has such an address");
    if (contains(prefix, asker)) return no("the peer that asks for it is there");
    if (engine_.own_addresses().overlaps(prefix)) return no("it is an address of this machine");
    for (const auto& [name, address] : seen_)
        if (contains(prefix, address)) return no("another peer is there");
    for (const auto* ours : {&config_.from, &config_.text_from})
        for (const Prefix& network : *ours) {
            int widest = network.is_v4() ? widest_own_v4 : widest_own_v6;
            if (network.length >= widest && overlap(network, prefix))
                return no("it is where those are who may ask for bans");
        }
    return {};
}

RemoteReply RemoteBans::carry_out(const PeerConfig& peer, const RemoteRequest& request,
                                  const Address& asker) {
    Instant at = now();
    seen_[peer.name] = asker;
    auto jail = engine_.find_jail(peer.jail);
    if (!jail) return refusal({"jail \"" + peer.jail + "\"", "there is no such jail", {}, {}});
    Prefix prefix = *request.prefix;
    // An address alone means what the jail bans as one.
    if (prefix.is_single()) prefix = engine_.key_for(*jail, prefix.network);
    Outcome outcome;
    bool changed = false;
    switch (request.kind) {
        case RemoteRequest::Kind::authenticate:
            return {};
        case RemoteRequest::Kind::check:
            if (auto over = engine_.bans_over(prefix); !over.empty())
                return reply_of(over.front(), false);
            return reply_of(nullptr, false);
        case RemoteRequest::Kind::add: {
            if (auto refused = refuse(prefix, asker)) return refusal(std::move(*refused));
            changed = engine_.bans().find({*jail, prefix}) == nullptr;
            Duration wished = request.bantime.value_or(engine_.rules(*jail).bantime.base);
            Engine::BanOrder order{
                *jail, prefix, std::min(wished, peer.longest),
                peer.name + (request.reason.empty() ? "" : ": " + request.reason), false};
            if (auto done = engine_.ban_by_hand(order, at, outcome); !done) {
                Error error = done.error();
                error.hint.clear();  // it speaks of bandctl
                return refusal(std::move(error));
            }
            break;
        }
        case RemoteRequest::Kind::remove:
            changed = engine_.unban(*jail, prefix, at, outcome, Engine::Wider::stay) > 0;
            break;
    }
    write_soon_();
    pipeline_.put_at_once(outcome, at);
    // A wider block may still hold it.
    std::vector<const Ban*> over = engine_.bans_over(prefix);
    std::erase_if(over, [&](const Ban* ban) { return ban->key.jail != *jail; });
    return reply_of(over.empty() ? nullptr : over.front(), changed);
}

}  // namespace bandd
