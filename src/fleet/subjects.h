// SPDX-License-Identifier: GPL-2.0-or-later
// What messages of a fleet are called, and in which streams they lie. Who said something is in the
// subject of his message, because that is what the server checks: each node publishes its own
// subjects only.
//
//   ban.CLASS.NODE.JAIL.PREFIX   ban.CLASS.NODE.+JAIL.PREFIX (counted)   hit.NODE   node.NODE
//
// A token's letters, digits, `-` and `_` stay; each other byte is `=` and two hexadecimal digits.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/instant.h"

namespace bandd {

// Bans by their duration, so that short ones do not lie in a stream for weeks.
enum class BanClass : std::uint8_t { hour, day, week, five_weeks, for_ever };
BanClass ban_class_of(Duration ban);

// Whoever has its credentials may lift bans of all. No node has this name.
inline constexpr std::string_view fleet_operator = "operator";

std::string to_token(std::string_view text);
// Nothing: it is no token that `to_token` makes. So each name has one spelling.
std::optional<std::string> from_token(std::string_view token);

struct BanSubject {
    BanClass kept = BanClass::hour;
    std::string node, jail, prefix;
    bool counted = false;  // by all nodes' hits; `+` begins the jail's token then
};
std::string to_subject(const BanSubject& subject);
std::optional<BanSubject> parse_ban_subject(std::string_view subject);
std::string hit_subject(std::string_view node);
std::string node_subject(std::string_view node);

// Who a message says that it is of; nothing if its subject is none of the above.
std::optional<std::string> node_of_subject(std::string_view subject);

struct FleetStream {
    std::string_view name, subjects;
    std::int64_t most_seconds;  // that a message is kept; 0: for ever
    std::int64_t most_bytes;    // then the oldest goes
    bool last_only;             // of a subject the last message is kept
    bool for_counting;          // only counting nodes read it
};
inline constexpr std::int64_t mebibytes = 1 << 20, hours = 3600;
// A class is kept for twice its duration: so a message that comes late does not come too late.
inline constexpr std::array fleet_streams{
    FleetStream{"BANS_H", "ban.h.>", 2 * hours, 512 * mebibytes, true, false},
    FleetStream{"BANS_D", "ban.d.>", 2 * 24 * hours, 512 * mebibytes, true, false},
    FleetStream{"BANS_W", "ban.w.>", 14 * 24 * hours, 512 * mebibytes, true, false},
    FleetStream{"BANS_M", "ban.m.>", 70 * 24 * hours, 512 * mebibytes, true, false},
    FleetStream{"BANS_F", "ban.f.>", 0, 512 * mebibytes, true, false},
    FleetStream{"NODES", "node.>", 0, 64 * mebibytes, true, false},
    FleetStream{"HITS", "hit.>", 24 * hours, 2048 * mebibytes, false, true}};
// That the server must have for all of them, and once more for one that is asked for again though
// it is there (nats-server 2.9).
inline constexpr std::int64_t fleet_storage = 7168 * mebibytes;

// Of a message.
inline constexpr std::size_t largest_fleet_payload = 64 << 10;
// Of one of which the last is kept: long ones would push others' out.
inline constexpr std::size_t largest_fleet_word = 4 << 10;
inline constexpr std::size_t longest_fleet_subject = 1024;

// The words between the dots.
std::vector<std::string_view> tokens_of(std::string_view subject);

}  // namespace bandd
