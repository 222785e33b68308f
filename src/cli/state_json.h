// SPDX-License-Identifier: GPL-2.0-or-later
// The state as JSON, one object a line: for backups, and for moving to another machine.
//   {"bandd_state": 2}, first; {"lines": N}, last: that no line is missing
//   {"ban": {"jail", "prefix", "from", "until", "offence", "hits", "by_hand", "reason"[,
//   "even_if_ignored"]}}
//   {"window": {"jail", "prefix", "times"}}  {"offences": {"jail", "prefix", "count", "last"}}
//   {"history": {ban's keys, "ended", "why"}}  {"counts": {"jail", …}}  {"position": {"path", …}}
// Times are microseconds since 1970, null for never. "jail" of offences is "" for the count over
// all.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>

#include "control/protocol.h"
#include "store/store.h"

namespace bandd {

// `jails`: names of the indexes in what is written. `show` hears how many lines there are yet.
void write_state(Store& store, const std::vector<std::string>& jails, std::ostream& out,
                 Result<>& result, const std::function<void(std::uint64_t lines)>& show);

// The first and the last line of an export, and that all between them were there. Those of version
// 1 have no last one.
class StateEnds {
  public:
    // It is one of the two. Other lines are counted.
    bool take(const std::string& line);
    // Once all are read.
    Result<> check() const;

  private:
    int version_ = 0;
    std::uint64_t lines_ = 0;
    std::optional<std::uint64_t> told_;
};

// Adds what a line holds to `checkpoint`, whose `jails` grow by the names met. An error says what
// is wrong with the line; nothing of it was taken then.
Result<> read_state_line(const std::string& line, Checkpoint& checkpoint);

}  // namespace bandd
