// SPDX-License-Identifier: GPL-2.0-or-later
// Points and spans of time as values. Nothing here reads a clock.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bandd {

using Duration = std::chrono::microseconds;

// A ban "for ever" has this duration and ends at `never`.
inline constexpr Duration forever = Duration::max();

// Microseconds since 1970-01-01 00:00:00 UTC.
struct Instant {
    std::int64_t us = 0;
    auto operator<=>(const Instant&) const = default;

    static constexpr Instant from_seconds(std::int64_t seconds) { return {seconds * 1'000'000}; }
    constexpr std::int64_t seconds() const {
        return us >= 0 ? us / 1'000'000 : -((-us + 999'999) / 1'000'000);
    }
};

inline constexpr Instant never{INT64_MAX};

// Saturates: anything plus `forever` is `never`, `never` minus anything is `never`.
constexpr Instant operator+(Instant at, Duration span) {
    if (at == never || span == forever) return never;
    std::int64_t sum = 0;
    if (__builtin_add_overflow(at.us, span.count(), &sum))
        return span.count() > 0 ? never : Instant{INT64_MIN};
    return {sum};
}
constexpr Instant operator-(Instant at, Duration span) {
    if (at == never) return never;
    std::int64_t difference = 0;
    if (__builtin_sub_overflow(at.us, span.count(), &difference))
        return span.count() > 0 ? Instant{INT64_MIN} : never;
    return {difference};
}
constexpr Duration operator-(Instant later, Instant earlier) {
    if (later == never) return forever;
    return Duration{later.us - earlier.us};
}

// "90", "10m", "1d12h30m", "1.5h", "forever" or "-1". Units as in fail2ban: s(ec), m(in), h(our),
// d(ay), w(eek), mo(nth), y(ear); a bare number is seconds. Nothing on bad input.
std::optional<Duration> parse_duration(std::string_view text);

// The two largest units: "1d 12h", "10m", "45s", "forever"; below a second "0s".
std::string format_duration(Duration span);

}  // namespace bandd
