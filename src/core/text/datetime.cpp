// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/text/datetime.h"

#include <array>

namespace bandd {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A cursor over the text; once something does not fit, `ok` stays false.
struct Cursor {
    std::string_view text;
    std::size_t at = 0;
    bool ok = true;

    char peek() const { return at < text.size() ? text[at] : '\0'; }
    void expect(char c) {
        if (peek() == c && at < text.size())
            ++at;
        else
            ok = false;
    }
    bool accept(char c) {
        if (at >= text.size() || text[at] != c) return false;
        ++at;
        return true;
    }
    int number(int digits) {
        int value = 0;
        for (int i = 0; i < digits; ++i, ++at) {
            if (at >= text.size() || !is_digit(text[at])) {
                ok = false;
                return 0;
            }
            value = value * 10 + (text[at] - '0');
        }
        return value;
    }
    // "hh:mm:ss" with an optional fraction after '.' or ','
    void time(CivilTime& civil) {
        civil.hour = accept(' ') ? number(1) : number(2);  // MariaDB pads with a space
        expect(':');
        civil.minute = number(2);
        expect(':');
        civil.second = number(2);
        if (ok && (peek() == '.' || peek() == ',') && at + 1 < text.size() &&
            is_digit(text[at + 1])) {
            ++at;
            int scale = 100'000;
            for (; at < text.size() && is_digit(text[at]); ++at, scale /= 10)
                civil.microsecond += (text[at] - '0') * scale;
        }
    }
    int month() {
        static constexpr std::string_view names = "JanFebMarAprMayJunJulAugSepOctNovDec";
        for (int i = 0; i < 12; ++i)
            if (text.substr(at, 3) == names.substr(static_cast<std::size_t>(i) * 3, 3)) {
                at += 3;
                return i + 1;
            }
        ok = false;
        return 0;
    }
    void weekday() {
        static constexpr std::string_view names = "SunMonTueWedThuFriSat";
        for (std::size_t i = 0; i < 21; i += 3)
            if (text.substr(at, 3) == names.substr(i, 3)) {
                at += 3;
                return;
            }
        ok = false;
    }
    // "Z", "+01:00", "+0100", "+01"
    std::optional<int> offset() {
        if (accept('Z')) return 0;
        if (peek() != '+' && peek() != '-') return {};
        int sign = text[at] == '-' ? -1 : 1;
        Cursor ahead{text, at + 1};
        int hours = ahead.number(2);
        bool colon = ahead.accept(':');
        int minutes = 0;
        if (colon || is_digit(ahead.peek())) minutes = ahead.number(2);
        if (!ahead.ok || hours > 15 || minutes > 59) return {};
        at = ahead.at;
        return sign * (hours * 3600 + minutes * 60);
    }
};

std::optional<WrittenDate> finish(const Cursor& cursor, WrittenDate date) {
    // 29 February is valid in a date without year until the year is known.
    CivilTime checked = date.civil;
    if (!date.has_year) checked.year = 2000;
    if (!cursor.ok || !is_valid(checked)) return {};
    date.length = cursor.at;
    return date;
}

}  // namespace

std::optional<WrittenDate> scan_syslog_date(std::string_view text) {
    Cursor cursor{text};
    WrittenDate date;
    date.has_year = false;
    date.civil.month = cursor.month();
    if (!cursor.ok) return {};
    cursor.expect(' ');
    // "Nov  5", and "Nov 5" of those who do not pad.
    if (cursor.accept(' ') || (cursor.at + 1 < text.size() && text[cursor.at + 1] == ' '))
        date.civil.day = cursor.number(1);
    else
        date.civil.day = cursor.number(2);
    cursor.expect(' ');
    // Some senders put the year here: "Aug 20 2020 17:02:35".
    Cursor ahead = cursor;
    int year = ahead.number(4);
    ahead.expect(' ');
    if (ahead.ok) {
        cursor = ahead;
        date.civil.year = year;
        date.has_year = true;
    }
    cursor.time(date.civil);
    return finish(cursor, date);
}

std::optional<WrittenDate> scan_iso_date(std::string_view text) {
    Cursor cursor{text};
    WrittenDate date;
    date.civil.year = cursor.number(4);
    cursor.expect('-');
    date.civil.month = cursor.number(2);
    cursor.expect('-');
    date.civil.day = cursor.number(2);
    if (!cursor.ok || (!cursor.accept('T') && !cursor.accept(' '))) return {};
    cursor.time(date.civil);
    if (!cursor.ok) return {};
    date.offset = cursor.offset();
    if (!date.offset && cursor.peek() == ' ') {  // "2026-11-21 03:05:50 +0100"
        Cursor ahead = cursor;
        ahead.accept(' ');
        if (auto offset = ahead.offset(); offset && ahead.at - cursor.at >= 6) {
            date.offset = offset;
            cursor = ahead;
        }
    }
    return finish(cursor, date);
}

std::optional<WrittenDate> scan_slash_date(std::string_view text) {
    Cursor cursor{text};
    WrittenDate date;
    date.civil.year = cursor.number(4);
    const char between = cursor.peek() == '.' ? '.' : '/';
    cursor.expect(between);
    date.civil.month = cursor.number(2);
    cursor.expect(between);
    date.civil.day = cursor.number(2);
    cursor.expect(' ');
    if (!cursor.ok) return {};
    cursor.time(date.civil);
    return finish(cursor, date);
}

std::optional<WrittenDate> scan_compact_date(std::string_view text) {
    Cursor cursor{text};
    WrittenDate date;
    date.civil.year = cursor.number(4);
    date.civil.month = cursor.number(2);
    date.civil.day = cursor.number(2);
    cursor.expect('-');
    if (!cursor.ok) return {};
    cursor.time(date.civil);
    return finish(cursor, date);
}

std::optional<WrittenDate> scan_clf_date(std::string_view text) {
    Cursor cursor{text};
    WrittenDate date;
    date.civil.day = cursor.number(2);
    cursor.expect('/');
    if (!cursor.ok) return {};
    date.civil.month = cursor.month();
    cursor.expect('/');
    date.civil.year = cursor.number(4);
    cursor.expect(':');
    cursor.time(date.civil);
    if (cursor.ok && cursor.accept(' ')) date.offset = cursor.offset();
    return finish(cursor, date);
}

std::optional<WrittenDate> scan_dash_date(std::string_view text) {
    Cursor cursor{text};
    WrittenDate date;
    date.civil.day = cursor.number(2);
    cursor.expect('-');
    if (!cursor.ok) return {};
    date.civil.month = cursor.month();
    cursor.expect('-');
    date.civil.year = cursor.number(4);
    cursor.expect(' ');
    cursor.time(date.civil);
    if (!cursor.ok) return {};
    Cursor ahead = cursor;
    if (ahead.accept(' '))
        if (auto offset = ahead.offset()) {
            date.offset = offset;
            cursor = ahead;
        }
    return finish(cursor, date);
}

std::optional<WrittenDate> scan_apache_date(std::string_view text) {
    Cursor cursor{text};
    WrittenDate date;
    cursor.weekday();
    cursor.expect(' ');
    date.civil.month = cursor.month();
    cursor.expect(' ');
    date.civil.day = cursor.accept(' ') ? cursor.number(1) : cursor.number(2);
    cursor.expect(' ');
    if (!cursor.ok) return {};
    cursor.time(date.civil);
    cursor.expect(' ');
    date.civil.year = cursor.number(4);
    return finish(cursor, date);
}

std::optional<WrittenDate> scan_epoch(std::string_view text) {
    Cursor cursor{text};
    std::int64_t seconds = 0;
    while (is_digit(cursor.peek()) && cursor.at < 11) {
        seconds = seconds * 10 + (cursor.peek() - '0');
        ++cursor.at;
    }
    if (cursor.at != 10) return {};  // ten digits reach from 2001 to 2286
    std::int64_t fraction = 0;
    if (cursor.peek() == '.' && cursor.at + 1 < text.size() && is_digit(text[cursor.at + 1])) {
        ++cursor.at;
        std::int64_t scale = 100'000;
        for (; is_digit(cursor.peek()); ++cursor.at, scale /= 10)
            fraction += (cursor.peek() - '0') * scale;
    }
    WrittenDate date;
    date.absolute = Instant{seconds * 1'000'000 + fraction};
    date.length = cursor.at;
    return date;
}

namespace {

// Since 1970, in a unit that the number's size tells.
std::optional<Instant> read_epoch(std::string_view text) {
    constexpr std::size_t most_digits = 19;  // of nanoseconds, until 2286
    std::size_t digits = 0;
    std::uint64_t number = 0;
    for (; digits < text.size() && is_digit(text[digits]); ++digits) {
        if (digits == most_digits) return {};
        number = number * 10 + static_cast<std::uint64_t>(text[digits] - '0');
    }
    std::string_view rest = text.substr(digits);
    if (digits == 0 || (!rest.empty() && rest.front() != '.')) return {};
    std::int64_t fraction = 0;  // millionths
    std::int64_t scale = 100'000;
    for (char c : rest.substr(rest.empty() ? 0 : 1)) {
        if (!is_digit(c)) return {};
        fraction += (c - '0') * scale;
        scale /= 10;
    }
    constexpr std::uint64_t seconds_from = 100'000'000;  // 1973, and so of the others
    constexpr std::uint64_t milliseconds_from = seconds_from * 1000;
    constexpr std::uint64_t microseconds_from = milliseconds_from * 1000;
    constexpr std::uint64_t nanoseconds_from = microseconds_from * 1000;
    auto whole = [&](std::uint64_t one) { return static_cast<std::int64_t>(one); };
    if (number < seconds_from) return {};
    if (number < milliseconds_from) return Instant{whole(number) * 1'000'000 + fraction};
    if (number < microseconds_from) return Instant{whole(number) * 1000 + fraction / 1000};
    if (number < nanoseconds_from) return Instant{whole(number)};
    return Instant{whole(number / 1000)};
}

}  // namespace

std::optional<Instant> read_time(std::string_view text, const Zone& zone, Instant arrival) {
    while (text.starts_with(' ')) text.remove_prefix(1);
    while (text.ends_with(' ')) text.remove_suffix(1);
    if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
    if (auto epoch = read_epoch(text)) return epoch;
    for (auto scan : {scan_iso_date, scan_clf_date, scan_syslog_date, scan_slash_date,
                      scan_dash_date, scan_apache_date})
        if (auto date = scan(text); date && date->length == text.size())
            return resolve(*date, zone, arrival);
    return {};
}

Instant resolve(const WrittenDate& date, const Zone& zone, Instant arrival) {
    if (date.absolute) return *date.absolute;
    auto read = [&](const CivilTime& civil) {
        if (date.offset) return utc_from_civil(civil) - std::chrono::seconds(*date.offset);
        return zone.to_instant(civil, arrival + std::chrono::minutes(1));
    };
    if (date.has_year) return read(date.civil);
    CivilTime civil = date.civil;
    Instant latest = arrival + std::chrono::hours(24);
    civil.year = zone.to_civil(latest).year;
    // Up to eight years back for 29 February.
    for (int tries = 0; tries < 9; ++tries, --civil.year) {
        if (!is_valid(civil)) continue;
        Instant at = read(civil);
        if (at <= latest) return at;
    }
    return arrival;
}

}  // namespace bandd
