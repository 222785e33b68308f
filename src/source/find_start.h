// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/zone.h"
#include "core/text/encoding.h"

namespace bandd {

// Where to begin to read a log that nobody read before: the offset of its first line that is not
// older than `since`, by bisection. It is `end`, the file's size, if no line has a date, since such
// lines would count as new. Lines are taken to be in the order of their dates.
std::uint64_t find_start(int fd, std::uint64_t end, Encoding encoding, Instant since,
                         const Zone& zone, Instant now);
// The date of the last line that has one, of those in the file's last 64 KiB.
std::optional<Instant> find_last_date(int fd, std::uint64_t end, Encoding encoding,
                                      const Zone& zone, Instant now);

}  // namespace bandd
