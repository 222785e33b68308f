// SPDX-License-Identifier: GPL-2.0-or-later
// What rotation makes of a log: the files beside it that had its name once, or are copies of it.
#pragma once

#include <vector>

#include "source/tail.h"

namespace bandd {

struct Rotated {
    std::string path;
    FileId id;
    std::int64_t modified = 0;  // nanoseconds, by the file system's clock
    Fingerprint fingerprint;
    const TailPosition* saved = nullptr;  // the position that is this file's, or its original's
};

// True if rotation may have made the name `name` out of `log` (both without directory): app.log.1,
// app.log-20261121, app.log.2.gz, app-20261121.log, app.log.old; not mail.err out of mail.
bool is_rotated_name(std::string_view name, std::string_view log);

// The files beside `path` that rotation may have made of it, oldest first, with the one of
// `positions` (of that path) that is theirs: by inode, or by fingerprint if they were copied or
// compressed. `current`, the file that has the name now, is not one of them, nor is a copy of it
// that is being made; null if there is none.
// Of more than `most_rotated` the newest; none that last changed before `since` (nanoseconds, by
// the file system's clock).
std::vector<Rotated> find_rotated(const std::string& path, const Tail* current,
                                  const std::vector<TailPosition>& positions, std::int64_t since);
// Each is opened and its beginning read, unpacked if need be, on the loop: a tenth of a
// millisecond.
inline constexpr std::size_t most_rotated = 200;

// To be read as a part of its log.
Result<Tail> open_rotated(const Rotated& rotated, Encoding encoding, std::size_t line_limit);

// True if the name that was listed still means the same inode.
bool still_there(const Rotated& rotated);
// True if what was opened is what was listed: its inode may have been freed and used again between.
bool is_the_same(const Tail& opened, const Rotated& listed);

}  // namespace bandd
