// SPDX-License-Identifier: GPL-2.0-or-later
// Lines that mean something only together: those of one connection, joined by an id that the filter
// captures (<F-MLFID>), and those that stand below each other (maxlines). As in fail2ban; of its
// dialect only.
#pragma once

#include <deque>
#include <list>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/match/hit.h"

namespace bandd {

class Conversations {
  public:
    // Of one filter. Those that said nothing for longest make room; fail2ban keeps 100.
    static constexpr std::size_t most = 1000;
    static constexpr Duration longest_silence = std::chrono::minutes(5);

    // Merges a hit of a filter that converses with what is known of its connection. True: it is a
    // failure, and has what earlier lines told (address, user). False: it only added to that, or
    // told that all was well.
    bool merge(Hit& hit);

    // Takes one more line of a filter that looks at several. Appends a hit once they match; its
    // `line` is the newest one.
    void join(const LineToJoin& line, std::vector<Hit>& hits);

    // Connections that made room for others before they were over.
    std::uint64_t evicted() const { return evicted_; }
    // All of it as bytes, and back. What cannot be read is left out.
    std::string dump() const;
    void restore(std::string_view dump);

  private:
    struct Conversation {
        Instant last;
        std::optional<Address> address;
        std::string name;
        Fields fields;
        std::set<std::string> users;
        bool pending = false;  // a failure whose address is not known yet
        std::list<std::string>::iterator place;
    };
    struct OfFilter {
        std::map<std::string, Conversation, std::less<>> by_id;
        std::list<std::string> by_silence;  // ids, longest silent first
        std::deque<std::string> lines;
        std::optional<Instant> time;  // of the newest line with a date: others are as old
    };
    std::map<std::string, OfFilter, std::less<>> by_filter_;
    std::uint64_t evicted_ = 0;
    MatchScratch scratch_;
};

}  // namespace bandd
