// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/zone.h"
#include "core/text/encoding.h"

namespace bandd {

// A log as it is now: `end` is its size; no line is looked at beyond `line_limit` code units.
struct LogExtent {
    int fd = -1;
    std::uint64_t end = 0;
    Encoding encoding = Encoding::automatic;
    std::size_t line_limit = 0;
};

// Where reading begins.
struct FirstRead {
    std::uint64_t offset = 0;
    bool skipping = false;  // within a line, of which the rest is no line
    bool operator==(const FirstRead&) const = default;
};

// So much is read to find that out. A file without lines may have any size, at no cost to who owns
// it.
inline constexpr std::uint64_t most_looked_at = 256 << 20;

// Where to begin to read a log that nobody read before: its first line that is not older than
// `since`, by bisection. It is `find_end` if no line has a date, since such lines would count as
// new, and if `most_looked_at` did not tell. Lines are taken to be in the order of their dates.
FirstRead find_start(const LogExtent& log, Instant since, const Zone& zone, Instant now);
// Where only what is new is read. A last line that has no end yet is new.
FirstRead find_end(const LogExtent& log);
// The date of the last line that has one, of those that begin in the file's last 64 KiB.
std::optional<Instant> find_last_date(const LogExtent& log, const Zone& zone, Instant now);

}  // namespace bandd
