// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/kernel_claims.h"

#include <set>

#include "os/namespace_lock.h"

namespace bandd {
namespace {

constexpr const char* table = "nftables table \"bandd\"";

std::string ipset(const std::string& set) { return "ipset \"" + set + "\""; }

std::set<std::string> needs_of(const Config& config) {
    std::set<std::string> needs;
    if (!config.geoblocks.empty()) needs.insert(table);
    for (const JailConfig& jail : config.jails)
        for (const ActionConfig& action : jail.actions) {
            if (std::holds_alternative<NftablesAction>(action)) needs.insert(table);
            const auto* sets = std::get_if<IpsetAction>(&action);
            if (sets == nullptr) continue;
            for (const std::string& set : {sets->set4, sets->set6})
                if (!set.empty()) needs.insert(ipset(set));
        }
    return needs;
}

}  // namespace

Result<> KernelClaims::take(const Config& config, uid_t our_user) {
    for (const std::string& what : needs_of(config)) {
        if (held_.contains(what)) continue;
        auto held = lock_in_namespace("bandd: " + what, our_user);
        if (!held)
            return fail(
                what,
                "another bandd of this network namespace has it (" + held.error().reason + ")",
                what == table ? "stop that one; or run this one in a network namespace of its own, "
                                "or set \"action: ipset\" with other sets for all of its jails"
                              : "stop that one, or name another set");
        held_[what] = std::move(*held);
    }
    return {};
}

void KernelClaims::keep_only(const Config& config) {
    std::set<std::string> needs = needs_of(config);
    std::erase_if(held_, [&](const auto& one) { return !needs.contains(one.first); });
}

}  // namespace bandd
