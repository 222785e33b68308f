// SPDX-License-Identifier: GPL-2.0-or-later
// The state as JSON, one object a line: for backups, and for moving to another machine.
//   {"bandd_state": 1}
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
#include <string>

#include "control/protocol.h"
#include "store/store.h"

namespace bandd {

// `jails`: names of the indexes in what is written. `show` hears how many lines there are yet.
void write_state(Store& store, const std::vector<std::string>& jails, std::ostream& out,
                 Result<>& result, const std::function<void(std::uint64_t lines)>& show);

// Adds what a line holds to `checkpoint`, whose `jails` grow by the names met. An error says what
// is wrong with the line; nothing of it was taken then.
Result<> read_state_line(const std::string& line, Checkpoint& checkpoint);

}  // namespace bandd
