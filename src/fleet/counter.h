// SPDX-License-Identifier: GPL-2.0-or-later
// A counting node's work: all nodes' hits, by jail and by the rules that they came with, and the
// bans that they lead to. What a hit is and how it is counted is core/fleet/shared_jail's.
//
// One thread. Deterministic. Time is an argument.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/fleet/fleet_row.h"
#include "core/fleet/shared_jail.h"
#include "fleet/packets.h"

namespace bandd {

class FleetCounter {
  public:
    explicit FleetCounter(Duration lateness = SharedJail::usual_lateness) : lateness_(lateness) {}

    struct Counts {
        std::uint64_t counted = 0, known = 0, too_late = 0, ahead = 0, no_room = 0;
        std::uint64_t malformed = 0;  // messages
        std::uint64_t too_many_rules = 0;
    };
    // Sets of rules, of all jails; further ones are refused.
    static constexpr std::size_t most_rules = 512;
    static constexpr std::size_t most_nodes = 4096;
    // Groups that are settled in a call.
    static constexpr std::size_t settled_a_time = 500;

    // A message with hits.
    void hear(const FleetMessage& message);
    // The operator lifted it.
    void pardon(const std::string& jail, const Pardon& pardon);
    // Settles what is due. `now`: all that the server stored until then was heard.
    void on_time(Instant now);

    // What changed since the last call: what a prefix of a jail comes to now. Of machines whose
    // rules differ it is the ban that lasts longest.
    struct Counted {
        std::string jail;
        SharedBan ban;  // gone: the one that was withdrawn
        std::vector<std::string> makers;
        bool gone = false;
    };
    // Reads at most so many hits, of one address at least. `waits`: there is more to be done.
    static constexpr std::size_t most_read = 10'000;
    std::vector<Counted> take_changes(std::size_t most = SIZE_MAX);
    bool waits() const;

    const Counts& counts() const { return counts_; }
    // Of jails whose rules differ between machines: how many sets of them are in use.
    std::map<std::string, std::size_t> rules_by_jail() const;
    std::size_t hits() const;

    void take_rows(std::vector<FleetRow>& rows, std::size_t most);
    std::size_t waiting_rows() const;
    void mark_all_changed();
    // All rows first, then `restored`: groups need what other rows say. False: it is not of this.
    bool restore(const FleetRow& row);
    void restored();

  private:
    struct Counting {
        SharedJail jail;
        bool is_stored = false;  // its rules, in the state
        bool pardons_changed = false;
    };
    Counting* counting_for(const std::string& rules);
    NodeIndex index_of(const std::string& node);

    Duration lateness_;
    Instant now_{INT64_MIN};  // of what was heard last
    bool now_changed_ = false;
    std::map<std::string, Counting> jails_;  // by their rules
    std::vector<std::string> nodes_;         // by index
    std::unordered_map<std::string, NodeIndex> indices_;
    std::size_t stored_nodes_ = 0;
    std::vector<FleetRow> groups_;  // that were read before their rules
    Counts counts_;
};

}  // namespace bandd
