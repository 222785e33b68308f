// SPDX-License-Identifier: GPL-2.0-or-later
// What sources hand on: lines, whose they are, and in which time they are read.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/types.h"
#include "core/decide/log_clock.h"
#include "core/decide/log_time.h"
#include "core/text/chunk.h"

namespace bandd {

// Lines that were written while bandd was away are read in the time of their log. How far that has
// come:
struct Backlog {
    LogTime time;                // by its hits
    Instant reached{INT64_MIN};  // by its last line
};

// Which jails read a source's lines, and how the heads of these are understood.
struct Audience {
    std::vector<JailIndex> jails;  // ascending
    std::string timezone;          // as in LogSpec
    Escapes escapes = Escapes::automatic;
    auto operator<=>(const Audience&) const = default;
};

// A part of a file that whoever scans it reads himself. It goes on with a line of which `begun` was
// read before, or begins a line.
struct FilePart {
    int fd = -1;
    std::uint64_t offset = 0;
    std::size_t size = 0;
    std::string_view begun;
};
// What became of it.
struct PartRead {
    std::size_t bytes = 0;  // fewer than its size if the file was truncated meanwhile
    std::string_view left;  // the line that has no end yet, `begun` included
    std::size_t bans = 0;   // that it led to
};

// Lines, or where they are.
using Readable = std::variant<Chunk, FilePart>;

struct Lines {
    std::string_view source;  // what they are counted under: a logpath, "journal", "stdin" …
    const Audience& audience;
    Readable what;
    Backlog* backlog = nullptr;  // empty if they are new
    // Of the log that they are in, if its dates may be off.
    LogClock* clock = nullptr;
    std::string_view log = {};  // its name: a file's path, a syslog sender
    // Its lines before these were read to their end when these were written.
    bool just_written = false;
    // Which file of this log it is: rotation makes several.
    std::uint64_t file = 0;
};

}  // namespace bandd
