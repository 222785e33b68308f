// SPDX-License-Identifier: GPL-2.0-or-later
// Several lines that tell of one attempt. sshd writes of one wrong password:
//   Invalid user joe from 203.0.113.9 port 41233
//   Failed password for invalid user joe from 203.0.113.9 port 41233 ssh2
//   Connection closed by invalid user joe 203.0.113.9 port 41233 [preauth]
// Such patterns capture the client's session, <F-SESSION> (here the port), or their filter says
// `session: pid` (811 of sshd[811]). Those of lines that are there whatever was tried say
// `once: true`. A session counts as many hits as it has full ones, or as the largest `once` hit
// says, if that is more:
//   once                  1      once full         1      full once         1
//   once once             1      once full full    2      full full once    2
//   full once(3 attempts) 3      once(3) full      3      once full(3)      3
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/match/hit.h"

namespace bandd {

class Sessions {
  public:
    // Those that began first make room, and are counted: their next line counts in full.
    static constexpr std::size_t most = 4000;
    // From its first line: Dovecot ends a silent session after 3 minutes, sshd after 2. A port that
    // comes again later is another session's.
    static constexpr Duration longest = std::chrono::minutes(4);

    // As how many hits this one counts; 0: its attempt was counted already. One without an address
    // or a session counts in full.
    std::uint16_t count(const Hit& hit, Instant at);

    Sessions() = default;
    Sessions(Sessions&&) = default;
    Sessions& operator=(Sessions&&) = default;

    std::size_t size() const { return known_.size(); }
    std::uint64_t evicted() const { return evicted_; }
    // All of it as bytes, and back. What cannot be read is left out.
    std::string dump() const;
    void restore(std::string_view dump);

  private:
    struct Key {
        std::uint64_t filter = 0;  // a hash of its identity
        Address address;
        std::string session;
        bool operator==(const Key&) const = default;
    };
    struct KeyHash {
        std::size_t operator()(const Key& key) const;
    };
    struct Session {
        Instant began;
        std::uint16_t counted = 0;
        std::uint16_t full = 0;  // the full hits
    };
    using Known = std::unordered_map<Key, Session, KeyHash>;
    Known::iterator add(Key key, Session session);
    void forget_oldest();
    void forget_before(Instant from);

    Known known_;
    std::deque<const Known::value_type*> by_begin_;  // into `known_`, whose elements stay in place
    std::uint64_t evicted_ = 0;
};

}  // namespace bandd
