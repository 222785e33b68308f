// SPDX-License-Identifier: GPL-2.0-or-later
// Civil time and time zones as values. `os/zoneinfo` reads the files; here nothing is opened.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/instant.h"
#include "core/base/result.h"

namespace bandd {

struct CivilTime {
    int year = 1970;
    int month = 1;  // 1..12
    int day = 1;    // 1..31
    int hour = 0, minute = 0, second = 0, microsecond = 0;
    bool operator==(const CivilTime&) const = default;
};

// Days since 1970-01-01 of the proleptic Gregorian calendar, and back.
std::int64_t days_from_civil(int year, int month, int day);
CivilTime civil_from_utc(Instant at);
Instant utc_from_civil(const CivilTime& civil);
bool is_valid(const CivilTime& civil);

class Zone {
  public:
    Zone() = default;  // UTC
    static Zone fixed(int offset_seconds);
    // The content of a TZif file (RFC 8536).
    static Result<Zone> from_tzif(std::string_view bytes);
    // A POSIX TZ string: "CET-1CEST,M3.5.0,M10.5.0/3".
    static std::optional<Zone> from_posix(std::string_view text);
    // "UTC", "Z", "+0200", "+02:00", "UTC+02:00".
    static std::optional<Zone> from_offset(std::string_view text);

    int offset_at(Instant at) const;  // seconds east of UTC

    // Civil time to instant. An hour that daylight saving repeats means the newest reading that is
    // not after `not_after`; a time that it skips is read with the offset before the change.
    Instant to_instant(const CivilTime& civil, Instant not_after) const;
    CivilTime to_civil(Instant at) const;

    bool operator==(const Zone&) const = default;

  private:
    struct Transition {
        std::int64_t at = 0;  // UTC seconds
        int offset = 0;
        bool operator==(const Transition&) const = default;
    };
    struct RuleDate {  // Mm.w.d/time, Jn or n
        char kind = 'M';
        int month = 0, week = 0, day = 0;
        int time = 7200;
        bool operator==(const RuleDate&) const = default;
    };
    struct Rule {  // what holds after the last transition
        int standard = 0;
        std::optional<int> daylight;
        RuleDate begin, end;
        bool operator==(const Rule&) const = default;
    };
    static std::optional<RuleDate> parse_rule_date(std::string_view& text);
    static std::int64_t local_second(const RuleDate& date, int year);
    int rule_offset(std::int64_t utc) const;

    int first_offset_ = 0;
    std::vector<Transition> transitions_;  // sorted by `at`
    std::optional<Rule> rule_;
};

// "2026-11-21 03:05:50" in that zone, and the same with "+01:00" for machines (RFC 3339, in UTC:
// Z).
std::string format_local(Instant at, const Zone& zone);
std::string format_rfc3339(Instant at);

}  // namespace bandd
