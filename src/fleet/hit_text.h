// SPDX-License-Identifier: GPL-2.0-or-later
// Hits that a node tells the counting ones, some of one jail in a message, with the rules that they
// are counted by: so a counting node needs no such jail of its own, and machines whose rules differ
// are counted apart.
//
//   {"v":1,"life":"9f86d081884c7d65","rules":{"jail":"sshd","maxretry":5,"findtime":600000000,…},
//    "hits":[[1700000000000000,"198.51.100.7",1,17],[…,"2001:db8::1",2,18,"a1b2…"]]}
//
// A hit is its time in microseconds, the address, how many failures it stands for, its number in
// this life of the node, and if the jail counts distinct values, a keyed hash of its value.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/types.h"
#include "core/base/sip_hash.h"
#include "core/decide/rules.h"
#include "core/fleet/shared_hit.h"

namespace bandd {

struct HitBatch {
    std::uint64_t life = 0;       // of the node: another one after each start
    std::string rules;            // as `to_text` gives them
    std::vector<SharedHit> hits;  // their `id.high` is `life`; their node is not in it
};

// What of a jail's rules decides.
std::string to_text(const JailRules& rules);
// Nothing: they are none, or what nobody may count by.
std::optional<JailRules> parse_shared_rules(std::string_view text);

std::string to_text(const HitBatch& batch);
std::optional<HitBatch> parse_hit_batch(std::string_view text);

// Of a message.
inline constexpr std::size_t most_hits_of_batch = 400;
// What stands for a value in other machines' memory: whoever lacks the fleet's key cannot find out
// by guessing. The same for all machines of a fleet, and never 0.
std::uint64_t hidden_value(const SipKey& key, std::string_view jail, std::string_view value);
// Of the fleet's key, as a join file has it.
SipKey hiding_key(std::string_view hexadecimal);

}  // namespace bandd
