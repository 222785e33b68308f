// SPDX-License-Identifier: GPL-2.0-or-later
// What the engine says. Everything after it (kernel, store, log, watchers) only hears these.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/base/address.h"
#include "core/base/instant.h"
#include "core/decide/question.h"
#include "core/match/hit.h"

namespace bandd {

struct BanKey {
    JailIndex jail = 0;
    Prefix prefix;
    bool operator==(const BanKey&) const = default;
};
struct BanKeyHash {
    std::size_t operator()(const BanKey& key) const {
        return PrefixHash{}(key.prefix) ^ (key.jail * 0x9e3779b97f4a7c15ULL);
    }
};

// A line that led to a ban.
struct Match {
    Instant time;
    std::string pattern;
    std::string line;  // at most `longest_kept_line` bytes
};
inline constexpr std::size_t longest_kept_line = 512;

// Why a ban is: shared by the ban, its events and its checkpoint; never changed once made.
struct Story {
    std::string reason;  // pattern id, "by hand: …", "3 bans in …"
    std::vector<Match> matches;
    Fields fields;  // of the deciding line
};

enum class BanState : std::uint8_t {
    pending,    // decided; the kernel has not acknowledged it yet
    active,     // every set that should hold it has acknowledged
    simulated,  // the jail only pretends
};

// Who says from when until when a ban is.
enum class Decider : std::uint8_t {
    here,
    fleet  // other machines, too: see Engine::adopt
};

// As long as a cache line: under an attack, nearly every hit looks one up.
struct Ban {
    BanKey key;
    std::uint32_t offence = 1;  // which ban of this address it is
    Instant from, until;        // event times: `until` is `never` for a ban for ever
    std::uint32_t hits = 0;
    BanState state = BanState::pending;
    bool by_hand = false;
    bool even_if_ignored = false;     // by hand, and meant to hold against ignoreip
    Decider decider = Decider::here;  // not kept over a restart: nothing depends on it then
    std::shared_ptr<const Story> story;
};
static_assert(sizeof(void*) != 8 || sizeof(Ban) == 64);

// The way back: an event of the actions, for the engine.
struct Acknowledged {
    BanKey ban;
    BanState state = BanState::active;
};

// A hit that counts.
struct Found {
    JailIndex jail = 0;
    Address address;
    std::string pattern;
    Instant time;
    std::uint32_t hits = 0;
};
// A hit that does not, and why.
struct Ignored {
    enum class Why {
        ignoreip,
        own_address,
        too_old,
        already_banned,
        exempt,
        where,
        nothing_to_count,
        same_attempt
    };
    JailIndex jail = 0;
    Address address;
    Instant time;
    Why why = Why::ignoreip;
};
struct Banned {
    Ban ban;
};
struct Extended {
    Ban ban;
};
struct Unbanned {
    // The state keeps its number.
    enum class Why : std::uint8_t { expired, by_hand, jail_gone, ignored, fleet };
    static constexpr Why last_why = Why::fleet;
    Ban ban;
    Why why = Why::expired;
    Instant at;
};

// A login that a log told.
struct LoggedIn {
    JailIndex jail = 0;
    std::string user;
    Address address;
    Instant time;
};
// An account has more countries or addresses than it may: a notice, not more than one in
// `notice_every`.
struct AccountOver {
    std::string user;
    Address address;  // of the login that made it too many
    std::string country;
    std::string reason;
    std::uint32_t countries = 0, addresses = 0;
    Instant time;
    bool simulated = false;  // it is not refused
};

using Event = std::variant<Found, Ignored, Banned, Extended, Unbanned, LoggedIn, AccountOver>;

// A hit that counts, of a jail that shares its hits with other machines.
struct ToldHit {
    JailIndex jail = 0;
    Address address;
    Instant time;
    std::uint32_t weight = 1;
    std::string value;  // of what `count: distinct` tells apart
};

struct Outcome {
    std::vector<Event> events;
    std::vector<ToldHit> told;
    std::vector<Question> questions;  // one can be asked again while it waits for its answer
};

}  // namespace bandd
