// SPDX-License-Identifier: GPL-2.0-or-later
// A jail whose hits several machines share, as a counting node has it. Its bans are a function of
// the set of hits: neither the order in which they arrive nor doubles change anything, and nodes
// that have the same hits come to the same bans, which are those of one machine that reads all
// logs merged by time.
//
//   maxretry 3, hits at 10:00:01 (mx1), 10:00:09 (gate), 10:00:05 (mx2, arrives last):
//   a ban from 10:00:09. At 10:00:07 of mx1 arrives: the ban is from 10:00:07 now.
//
// How: hits are kept in groups, which do not influence each other (an IPv4 prefix, an IPv6 /48).
// Whenever a hit may change something, an engine of its own reads the group's hits in the order of
// time (`decide_group`). Hits older than `lateness` are settled: none can come before them any
// more, so what the engine remembers then stands for them.
//
// One thread. Deterministic. Time is an argument.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/decide/changes.h"
#include "core/decide/rules.h"
#include "core/fleet/shared_hit.h"

namespace bandd {

// A ban that the fleet's hits lead to.
struct SharedBan {
    Prefix prefix;
    Instant from, until;
    std::uint32_t offence = 1;
    std::uint32_t hits = 0;        // that led to it, and came during it
    std::vector<NodeIndex> nodes;  // whose hits led to it; ascending
    bool operator==(const SharedBan&) const = default;
};

// An order by hand: what was hit before does not count, and what is banned is not.
struct Pardon {
    Instant at;
    Prefix prefix;
    auto operator<=>(const Pardon&) const = default;
};

// What is known of a group at one moment. Empty: nothing.
struct Settled {
    Instant at{INT64_MIN};        // that moment: hits and pardons before it are in it
    Changes memory;               // all that the engine remembers
    std::vector<SharedBan> bans;  // those that held within findtime before
    std::vector<SharedHit> last;  // within findtime: they are counted, and say who read them
    bool empty() const { return memory.empty() && bans.empty(); }
};

// The bans that `hits` (in their order) lead to after `settled`, in the order in which they begin;
// those of `settled` first. `pardons` in the order of time, those that are in `settled` too.
std::vector<SharedBan> decide_group(const JailRules& rules, const Settled& settled,
                                    std::span<const SharedHit> hits,
                                    std::span<const Pardon> pardons);
// What is known at `at`; the hits are from before it.
Settled settle_group(const JailRules& rules, const Settled& settled,
                     std::span<const SharedHit> hits, std::span<const Pardon> pardons, Instant at);

class SharedJail {
  public:
    struct Limits {
        std::size_t hits = 2'000'000;       // kept, of all groups
        std::size_t hits_of_group = 10'000;  // further ones are refused until some have settled
        std::size_t pardons = 10'000;
    };
    static constexpr Duration usual_lateness = std::chrono::hours(1);

    // Of the rules counts what decides; ignore lists, `where` and `simulate` are for the nodes.
    explicit SharedJail(JailRules rules, Duration lateness = usual_lateness);
    SharedJail(JailRules rules, Duration lateness, Limits limits);

    enum class Taken {
        counted,
        known,     // it came before
        too_late,  // older than `lateness`: refused
        ahead,     // from the future by more than the clocks of a fleet may differ: refused
        no_room    // refused
    };
    // `now`: when the stream stored it. So each counting node judges alike what is too late, also
    // one that was away. Never before the time of the call before.
    Taken add(const SharedHit& hit, Instant now);
    // One that was counted is none: a ban that other jails count was withdrawn. False: it is not
    // there, or has settled.
    bool remove(const Address& address, const HitId& id, Instant now);
    void pardon(const Pardon& pardon, Instant now);

    // Settles what is due, at most `most` groups. To be called every now and then.
    void on_time(Instant now, std::size_t most = 1000);

    // What changed since the last call, in this order: a ban that is new, or has another end than
    // it had; or one that is none any more.
    struct Change {
        SharedBan ban;
        bool gone = false;
    };
    // A group is read again once for all of its hits that came since; at most so many hits are read
    // in a call, of one group at least. `waits`: there are more.
    std::vector<Change> take_changes(std::size_t most_read = SIZE_MAX);
    bool waits() const { return !undecided_.empty(); }

    // For a checkpoint: groups that changed since the last call, about `most`; opaque bytes,
    // nothing if a group is gone. Pardons are a thing of their own, to be restored first.
    struct Row {
        Prefix group;
        std::optional<std::string> bytes;
    };
    std::vector<Row> take_rows(std::size_t most);
    std::size_t waiting_rows() const { return changed_.size(); }
    void mark_all_changed();
    std::string pardons() const;
    void restore_pardons(std::string_view bytes);
    // False: that is no group.
    bool restore(const Prefix& group, std::string_view bytes);

    // The last one of a prefix that is known; null: none is.
    const SharedBan* last_of(const Prefix& prefix) const;
    // Those that are in force, or may change yet.
    std::vector<SharedBan> bans();
    const JailRules& rules() const { return rules_; }
    std::size_t hits() const { return hits_; }
    std::size_t groups() const { return groups_.size(); }
    std::uint64_t evicted() const { return evicted_; }

  private:
    struct Decided {
        Settled settled;
        std::vector<SharedBan> bans;  // what its hits come to
        bool empty() const { return settled.empty() && bans.empty(); }
    };
    struct Group {
        std::vector<SharedHit> hits;  // in their order
        std::uint64_t weight = 0;     // of these
        std::optional<Instant> due;   // when it is to be looked at; a row of due_ says the same
        bool undecided = false;       // hits came that may change something
        // Most groups have none: of no address that is banned.
        std::unique_ptr<Decided> decided;
    };
    using Groups = std::unordered_map<Prefix, Group, PrefixHash>;

    Prefix group_of(const Address& address) const;
    void decide(const Prefix& name, Group& group);
    void decide_waiting(std::size_t most_read);
    void decide_later(const Prefix& name, Group& group);
    bool only_lengthens(Group& group, const SharedHit& hit) const;
    void settle(const Prefix& name, Instant now);
    std::size_t may_go(const Group& group, Instant horizon) const;
    void erase_hits(Group& group, std::size_t count);
    void plan(const Prefix& name, Group& group);
    bool make_room();
    template <class Visit>
    void for_groups_with_bans(const Prefix& prefix, Visit&& visit);
    void forget_pardons(Instant now);
    std::vector<Pardon> pardons_of(const Prefix& group) const;

    JailRules rules_;
    Duration lateness_;
    Limits limits_;
    std::uint64_t fewest_ = 1;  // failures without which there is no ban
    int v6_group_ = 0;
    Groups groups_;
    std::size_t hits_ = 0;
    std::vector<Pardon> pardons_;  // in the order of time
    std::multimap<Instant, Prefix> due_;
    std::vector<Change> changes_;
    std::vector<Prefix> undecided_;                   // groups; some may be gone, or decided since
    std::unordered_set<Prefix, PrefixHash> changed_;  // groups
    std::uint64_t evicted_ = 0;
};

}  // namespace bandd
