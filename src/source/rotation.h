// SPDX-License-Identifier: GPL-2.0-or-later
// The older files of a log, as rotation leaves them beside it: renamed, copied, compressed.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "source/tail.h"

namespace bandd {

// A file beside a log, as its directory shows it.
struct Rotated {
    std::string path;
    FileId id;
    std::int64_t modified = 0;  // nanoseconds, by the file system's clock
};

// True if `name` looks like a rotated file of `log`, both without directory. Of app.log: app.log.1,
// app.log-20261121, app.log.2.gz, app-20261121.log, app.log.old. But mail.err is none of mail.
bool is_rotated_name(std::string_view name, std::string_view log);

// What is in directories. One listing serves many logs, as long as its directory has not changed.
struct Listing {
    std::vector<std::string> names;  // sorted
    std::int64_t changed = 0;  // when its directory did, nanoseconds, by the file system's clock
    bool settled = false;      // long enough before: whatever changes now has another time
};
using Listings = std::map<std::string, Listing>;

// The newest `most` files that rotation made of the log `path`. A link is nothing that rotation
// makes, and could lead anywhere.
std::vector<Rotated> find_rotated(const std::string& path, std::size_t most, Listings& listings);
// Bounded, because the beginning of each is read on the loop: a tenth of a millisecond, unpacking
// included.
inline constexpr std::size_t most_rotated = 200;

// Opens it, to be read as lines of its log.
Result<Tail> open_rotated(const Rotated& rotated, Encoding encoding, std::size_t line_limit);

}  // namespace bandd
