// SPDX-License-Identifier: GPL-2.0-or-later
// Dates as logs write them. Each scanner is written by hand: the formats are few, and this runs
// for every line.
#pragma once

#include <optional>
#include <string_view>

#include "core/base/zone.h"

namespace bandd {

// What a log wrote: some of it can be missing.
struct WrittenDate {
    CivilTime civil;
    bool has_year = true;
    std::optional<int> offset;        // seconds east of UTC, where the log says so
    std::optional<Instant> absolute;  // epoch
    std::size_t length = 0;           // bytes that it took
};

// Each reads a date at the very beginning of `text`.
std::optional<WrittenDate> scan_syslog_date(std::string_view text);  // Nov 21 03:05:50[.123]
std::optional<WrittenDate> scan_iso_date(
    std::string_view text);  // 2026-11-21[T ]03:05:50[.,123][Z|+01:00]
// 2026/11/21 03:05:50 (nginx), 2026.11.21 03:05:50 (stunnel)
std::optional<WrittenDate> scan_slash_date(std::string_view text);
std::optional<WrittenDate> scan_compact_date(std::string_view text);  // 20261121-03:05:50 (xrdp)
std::optional<WrittenDate> scan_clf_date(std::string_view text);      // 21/Nov/2026:03:05:50 +0100
std::optional<WrittenDate> scan_dash_date(
    std::string_view text);  // 21-Nov-2026 03:05:50[.123][ +0100]
std::optional<WrittenDate> scan_apache_date(std::string_view text);  // Sat Nov 21 03:05:50.123 2026
std::optional<WrittenDate> scan_epoch(std::string_view text);        // 1605924350[.123]

// A whole value of a log of fields: a number since 1970, in seconds with a fraction, milli-, micro-
// or nanoseconds, as its size says (from 1973 on); or one of the dates above, perhaps in brackets.
std::optional<Instant> read_time(std::string_view text, const Zone& zone, Instant arrival);

// The instant meant, read in `zone` where the log names none. A missing year is the newest one
// that does not put the line more than a day after `arrival`.
Instant resolve(const WrittenDate& date, const Zone& zone, Instant arrival);

}  // namespace bandd
