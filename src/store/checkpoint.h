// SPDX-License-Identifier: GPL-2.0-or-later
// What the state holds, as values: a checkpoint goes in, a restore comes out.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/log_position.h"
#include "core/base/result.h"
#include "core/decide/changes.h"
#include "core/fleet/fleet_row.h"

namespace bandd {

// The note that has what bandctl changed of the configuration.
inline constexpr std::string_view overrides_note = "overrides";

// One moment between two turns: all that has changed since the one before. Many changes are taken
// on several turns; what has changed again meanwhile is taken again, so the last turn is the
// moment.
struct Checkpoint {
    std::vector<std::string> jails;  // names by the numbers in `changes`
    Instant at;
    std::vector<Changes> earlier;  // of turns before, the oldest first; then come `changes`
    Changes changes;
    std::vector<FilePosition> positions;  // changed ones
    std::vector<FileNumber> gone;         // files that need not be known any more
    std::vector<std::pair<std::string, std::string>> notes;  // by name, whatever they mean
    std::vector<FleetRow> fleet;  // later ones of a key take the place of earlier ones
    Instant windows_before{INT64_MIN};   // windows whose last hit is older are forgotten
    Instant accounts_before{INT64_MIN};  // the same of accounts without a mark
    Instant offences_before{INT64_MIN};  // and offences, and ended bans
    // It is on the disk, power or not, once it is written: what a person ordered is in no log to be
    // read again. Others are where the system writes them when it likes, after half a minute or so.
    bool must_last = false;
    // It holds all that is remembered, not what changed; what was written before is forgotten.
    bool anew = false;
    // Nothing that would have to be written.
    bool empty() const {
        return !anew && earlier.empty() && changes.empty() && positions.empty() && gone.empty() &&
               notes.empty() && fleet.empty();
    }
};

// A part of a state that is read. What is not asked for by an address comes with the first one.
struct Piece {
    std::size_t bans = 0;  // of the first: so many there are in all
    Changes changes;
    std::vector<FleetRow> fleet;
    std::vector<FilePosition> positions;
    std::vector<std::pair<std::string, std::string>> notes;
    bool last = false;
    std::optional<Error> error;  // of the last: why there is no more
    std::size_t rows() const {
        return changes.bans.size() + changes.windows.size() + changes.offences.size() +
               fleet.size();
    }
};

// Where the parts of a stored state go. What belongs to jails that are not among the
// names given is left out, and stays on disk until it is over.
struct Restore {
    std::function<void(std::size_t bans)> expect;
    // What there are many of, the last in this order.
    std::function<void(Ban)> ban;  // its story has the reason only: see `find_details`
    std::function<void(const WindowChange&)> window;
    std::function<void(const BanKey&, const Offences&)> offences;
    // The rest, before.
    std::function<void(AccountChange)> account;
    std::function<void(JailIndex, const JailCounts&)> counts;
    std::function<void(const FilePosition&)> position;
    std::function<void(std::string_view name, std::string_view value)> note;
    std::function<void(FleetRow)> fleet;  // may be empty
    std::function<void(const Unbanned&)> history;  // may be empty: then it is not read
    Instant history_since{INT64_MIN};              // bans that ended since
};

}  // namespace bandd
