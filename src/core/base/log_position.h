// SPDX-License-Identifier: GPL-2.0-or-later
// How far a log is read, as a value: `source/tail` makes it, the state keeps it.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace bandd {

struct FileId {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    auto operator<=>(const FileId&) const = default;
};

// A hash of a file's first bytes: tells a reused inode, a truncated and rewritten file, or a copy.
// Docker writes the time of a line behind its text, so that files of a program that begins with the
// same words at each start differ late.
struct Fingerprint {
    static constexpr std::size_t longest = 1024;
    std::uint32_t length = 0;  // bytes hashed, read or not; 0: the file was still empty
    std::uint64_t hash = 0;
    bool operator==(const Fingerprint&) const = default;
    static Fingerprint of(std::string_view head);  // at most `longest` bytes
    // True if `head`, a file's first bytes, is what was hashed.
    bool matches(std::string_view head) const;
};

// Where reading goes on: everything before `offset` was handed on, nothing from there on.
struct TailPosition {
    std::string path;
    FileId id;
    std::uint64_t offset = 0;
    bool skipping = false;  // within a line that was cut, up to the next line end
    Fingerprint fingerprint;
    bool operator==(const TailPosition&) const = default;
};

// A file of a log, for ever: `source/chain` says what that is.
struct FileNumber {
    std::string log;  // the path by which it is read
    std::uint64_t number = 0;
    auto operator<=>(const FileNumber&) const = default;
};

// What a checkpoint keeps of a file.
struct FilePosition {
    FileNumber file;
    TailPosition at;            // `path`: beside what rotation leaves it
    std::int64_t modified = 0;  // nanoseconds, by the file system's clock
    bool gone = false;          // read to its end, and let go
    std::int64_t clock = 0;     // of the log, with number 0: microseconds added to its dates
    bool operator==(const FilePosition&) const = default;
};

}  // namespace bandd
