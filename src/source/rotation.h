// SPDX-License-Identifier: GPL-2.0-or-later
// The older files of a log, as rotation leaves them beside it: renamed, copied, compressed.
#pragma once

#include <vector>

#include "source/tail.h"

namespace bandd {

struct Rotated {
    std::string path;
    FileId id;
    std::int64_t modified = 0;  // nanoseconds, by the file system's clock
    Fingerprint fingerprint;
    // How far it was read, or the file that it is a copy of; null if that is not known.
    const TailPosition* saved = nullptr;
};

// True if `name` looks like a rotated file of `log`, both without directory. Of app.log: app.log.1,
// app.log-20261121, app.log.2.gz, app-20261121.log, app.log.old. But mail.err is none of mail.
bool is_rotated_name(std::string_view name, std::string_view log);

// The rotated files of the log `path`, oldest first: those that changed at `since` or later
// (nanoseconds, by the file system's clock), and of these the newest `most_rotated`. `current` is
// the file that has the name now, or null. It is left out, and so is a copy of it that is not
// finished. `positions`, of that path, become `saved` of the files that they belong to: found by
// inode, or by fingerprint if a file was copied or compressed.
std::vector<Rotated> find_rotated(const std::string& path, const Tail* current,
                                  const std::vector<TailPosition>& positions, std::int64_t since);
// Bounded, because the beginning of each is read on the loop: a tenth of a millisecond, unpacking
// included.
inline constexpr std::size_t most_rotated = 200;

// Opens it, to be read as lines of its log.
Result<Tail> open_rotated(const Rotated& rotated, Encoding encoding, std::size_t line_limit);

// True if the name that was listed still means the same inode.
bool still_there(const Rotated& rotated);
// True if the file that was opened is the one that was listed: another may have got its inode
// between.
bool is_the_same(const Tail& opened, const Rotated& listed);

}  // namespace bandd
