// SPDX-License-Identifier: GPL-2.0-or-later
// TZif is read as RFC 8536 lays it out: the 64-bit block where there is one, then the POSIX rule
// in its footer for times after the last transition.
#include "core/base/zone.h"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace bandd {

std::int64_t days_from_civil(int year, int month, int day) {
    // Howard Hinnant's algorithm: years begin in March, so that the leap day comes last.
    std::int64_t y = year - (month <= 2 ? 1 : 0);
    std::int64_t era = (y >= 0 ? y : y - 399) / 400;
    std::int64_t year_of_era = y - era * 400;
    std::int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    std::int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

CivilTime civil_from_utc(Instant at) {
    std::int64_t seconds = at.seconds();
    std::int64_t days = seconds >= 0 ? seconds / 86400 : -((-seconds + 86399) / 86400);
    std::int64_t rest = seconds - days * 86400;
    std::int64_t z = days + 719468;
    std::int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    std::int64_t doe = z - era * 146097;
    std::int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    std::int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    std::int64_t mp = (5 * doy + 2) / 153;
    CivilTime civil;
    civil.day = static_cast<int>(doy - (153 * mp + 2) / 5 + 1);
    civil.month = static_cast<int>(mp < 10 ? mp + 3 : mp - 9);
    civil.year = static_cast<int>(yoe + era * 400 + (civil.month <= 2 ? 1 : 0));
    civil.hour = static_cast<int>(rest / 3600);
    civil.minute = static_cast<int>(rest / 60 % 60);
    civil.second = static_cast<int>(rest % 60);
    civil.microsecond = static_cast<int>(at.us - seconds * 1'000'000);
    return civil;
}

Instant utc_from_civil(const CivilTime& c) {
    std::int64_t seconds = days_from_civil(c.year, c.month, c.day) * 86400 +
                           std::int64_t{c.hour} * 3600 + std::int64_t{c.minute} * 60 + c.second;
    return {seconds * 1'000'000 + c.microsecond};
}

bool is_valid(const CivilTime& c) {
    constexpr std::array<int, 12> days{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (c.month < 1 || c.month > 12 || c.day < 1 || c.day > days[c.month - 1]) return false;
    bool leap = (c.year % 4 == 0 && c.year % 100 != 0) || c.year % 400 == 0;
    if (c.month == 2 && c.day == 29 && !leap) return false;
    return c.hour >= 0 && c.hour < 24 && c.minute >= 0 && c.minute < 60 && c.second >= 0 &&
           c.second <= 60;
}

Zone Zone::fixed(int offset_seconds) {
    Zone zone;
    zone.first_offset_ = offset_seconds;
    return zone;
}

namespace {

std::int64_t big_endian(std::string_view bytes, std::size_t at, int width) {
    std::uint64_t value = 0;
    for (int i = 0; i < width; ++i)
        value = value << 8 | static_cast<std::uint8_t>(bytes[at + static_cast<std::size_t>(i)]);
    if (width == 4) return static_cast<std::int32_t>(value);
    return static_cast<std::int64_t>(value);
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::optional<int> take_number(std::string_view& text, int most_digits = 3) {
    int value = 0;
    int digits = 0;
    while (!text.empty() && is_digit(text.front()) && digits < most_digits) {
        value = value * 10 + (text.front() - '0');
        text.remove_prefix(1);
        ++digits;
    }
    if (digits == 0) return {};
    return value;
}

// [+-]hh[:mm[:ss]]
std::optional<int> take_time(std::string_view& text) {
    int sign = 1;
    if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
        if (text.front() == '-') sign = -1;
        text.remove_prefix(1);
    }
    auto hours = take_number(text);
    if (!hours) return {};
    int seconds = *hours * 3600;
    for (int scale : {60, 1}) {
        if (text.empty() || text.front() != ':') break;
        text.remove_prefix(1);
        auto part = take_number(text, 2);
        if (!part) return {};
        seconds += *part * scale;
    }
    return sign * seconds;
}

bool take_name(std::string_view& text) {
    std::size_t length = 0;
    if (!text.empty() && text.front() == '<') {
        auto end = text.find('>');
        if (end == std::string_view::npos) return false;
        length = end + 1;
    } else {
        while (length < text.size() && ((text[length] >= 'A' && text[length] <= 'Z') ||
                                        (text[length] >= 'a' && text[length] <= 'z')))
            ++length;
    }
    text.remove_prefix(length);
    return length >= 3;
}

}  // namespace

std::optional<Zone::RuleDate> Zone::parse_rule_date(std::string_view& text) {
    RuleDate date;
    if (text.empty()) return {};
    if (text.front() == 'M') {
        text.remove_prefix(1);
        auto month = take_number(text, 2);
        if (!month || text.empty() || text.front() != '.') return {};
        text.remove_prefix(1);
        auto week = take_number(text, 1);
        if (!week || text.empty() || text.front() != '.') return {};
        text.remove_prefix(1);
        auto day = take_number(text, 1);
        if (!day || *month < 1 || *month > 12 || *week < 1 || *week > 5 || *day > 6) return {};
        date = {'M', *month, *week, *day, 7200};
    } else {
        char kind = 'n';
        if (text.front() == 'J') {
            kind = 'J';
            text.remove_prefix(1);
        }
        auto day = take_number(text);
        if (!day || *day > 366) return {};
        date = {kind, 0, 0, *day, 7200};
    }
    if (!text.empty() && text.front() == '/') {
        text.remove_prefix(1);
        auto time = take_time(text);
        if (!time) return {};
        date.time = *time;
    }
    return date;
}

std::optional<Zone> Zone::from_posix(std::string_view text) {
    Rule rule;
    if (!take_name(text)) return {};
    auto standard = take_time(text);
    if (!standard) return {};
    rule.standard = -*standard;  // POSIX counts west of Greenwich
    if (!text.empty()) {
        if (!take_name(text)) return {};
        rule.daylight = rule.standard + 3600;
        if (!text.empty() && text.front() != ',') {
            auto daylight = take_time(text);
            if (!daylight) return {};
            rule.daylight = -*daylight;
        }
        // Without dates POSIX leaves the rule open; the US rule is what the C library takes.
        std::string_view dates = text.empty() ? ",M3.2.0,M11.1.0" : text;
        if (dates.front() != ',') return {};
        dates.remove_prefix(1);
        auto begin = parse_rule_date(dates);
        if (!begin || dates.empty() || dates.front() != ',') return {};
        dates.remove_prefix(1);
        auto end = parse_rule_date(dates);
        if (!end || !dates.empty()) return {};
        rule.begin = *begin;
        rule.end = *end;
    }
    Zone zone;
    zone.first_offset_ = rule.standard;
    zone.rule_ = rule;
    return zone;
}

Result<Zone> Zone::from_tzif(std::string_view bytes) {
    constexpr std::size_t header_size = 44;
    auto broken = [] { return fail("time zone file", "not a complete TZif file"); };
    auto counts = [&](std::size_t at, std::array<std::size_t, 6>& c) {
        if (bytes.size() < at + header_size || bytes.substr(at, 4) != "TZif") return false;
        for (std::size_t i = 0; i < 6; ++i) {
            std::int64_t count = big_endian(bytes, at + 20 + i * 4, 4);
            if (count < 0 || count > 1'000'000) return false;
            c[i] = static_cast<std::size_t>(count);
        }
        return true;
    };
    // isutcnt, isstdcnt, leapcnt, timecnt, typecnt, charcnt
    std::array<std::size_t, 6> c{};
    std::size_t at = 0;
    if (!counts(0, c)) return broken();
    int width = 4;
    if (bytes[4] >= '2') {
        at = header_size + c[3] * 4 + c[3] + c[4] * 6 + c[5] + c[2] * 8 + c[1] + c[0];
        if (!counts(at, c)) return broken();
        width = 8;
    }
    std::size_t w = static_cast<std::size_t>(width);
    std::size_t times = at + header_size;
    std::size_t indexes = times + c[3] * w;
    std::size_t types = indexes + c[3];
    std::size_t end = types + c[4] * 6 + c[5] + c[2] * (w + 4) + c[1] + c[0];
    if (bytes.size() < end || c[4] == 0) return broken();
    Zone zone;
    zone.first_offset_ = static_cast<int>(big_endian(bytes, types, 4));
    for (std::size_t i = 0; i < c[3]; ++i) {
        std::size_t type = static_cast<std::uint8_t>(bytes[indexes + i]);
        if (type >= c[4]) return broken();
        zone.transitions_.push_back({big_endian(bytes, times + i * w, width),
                                     static_cast<int>(big_endian(bytes, types + type * 6, 4))});
    }
    if (width == 8 && bytes.size() > end + 1 && bytes[end] == '\n') {
        auto footer = bytes.substr(end + 1);
        footer = footer.substr(0, footer.find('\n'));
        if (auto posix = from_posix(footer)) zone.rule_ = posix->rule_;
    }
    return zone;
}

std::optional<Zone> Zone::from_offset(std::string_view text) {
    if (text.starts_with("UTC") || text.starts_with("GMT")) text.remove_prefix(3);
    if (text.empty() || text == "Z") return Zone{};
    int sign = text.front() == '-' ? -1 : 1;
    if (text.front() != '-' && text.front() != '+') return {};
    text.remove_prefix(1);
    auto hours = take_number(text, 2);
    if (!hours || *hours > 15) return {};
    int minutes = 0;
    if (!text.empty() && text.front() == ':') text.remove_prefix(1);
    if (!text.empty()) {
        auto part = take_number(text, 2);
        if (!part || *part > 59) return {};
        minutes = *part;
    }
    if (!text.empty()) return {};
    return fixed(sign * (*hours * 3600 + minutes * 60));
}

std::int64_t Zone::local_second(const RuleDate& date, int year) {
    std::int64_t day = 0;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (date.kind == 'M') {
        std::int64_t first = days_from_civil(year, date.month, 1);
        std::int64_t weekday = ((first % 7) + 11) % 7;  // 1970-01-01 was a Thursday
        day = first + (date.day - weekday + 7) % 7 + std::int64_t{date.week - 1} * 7;
        std::int64_t next_month = date.month == 12 ? days_from_civil(year + 1, 1, 1)
                                                   : days_from_civil(year, date.month + 1, 1);
        while (day >= next_month) day -= 7;  // week 5 means the last one
    } else if (date.kind == 'J') {           // 1..365, 29 February is never counted
        day = days_from_civil(year, 1, 1) + date.day - 1 + (leap && date.day >= 60 ? 1 : 0);
    } else {
        day = days_from_civil(year, 1, 1) + date.day;
    }
    return day * 86400 + date.time;
}

int Zone::rule_offset(std::int64_t utc) const {
    if (!rule_->daylight) return rule_->standard;
    int year = civil_from_utc(Instant::from_seconds(utc + rule_->standard)).year;
    std::int64_t begin = local_second(rule_->begin, year) - rule_->standard;
    std::int64_t end = local_second(rule_->end, year) - *rule_->daylight;
    bool daylight = begin < end ? (utc >= begin && utc < end) : (utc >= begin || utc < end);
    return daylight ? *rule_->daylight : rule_->standard;
}

int Zone::offset_at(Instant at) const {
    std::int64_t utc = at.seconds();
    auto after = std::ranges::upper_bound(transitions_, utc, {}, &Transition::at);
    if (after == transitions_.end() && rule_) return rule_offset(utc);
    if (after == transitions_.begin()) return first_offset_;
    return std::prev(after)->offset;
}

Instant Zone::to_instant(const CivilTime& civil, Instant not_after) const {
    Instant local = utc_from_civil(civil);
    // An offset can only change once around one instant, so the offsets a day before and a day
    // after are the only candidates.
    int before = offset_at(local - std::chrono::hours(26));
    int after = offset_at(local + std::chrono::hours(26));
    auto reading = [&](int offset) { return local - std::chrono::seconds(offset); };
    if (before == after) return reading(before);
    Instant early = reading(std::max(before, after));
    Instant late = reading(std::min(before, after));
    bool early_holds = offset_at(early) == std::max(before, after);
    bool late_holds = offset_at(late) == std::min(before, after);
    if (early_holds && late_holds) return late <= not_after ? late : early;
    if (early_holds) return early;
    if (late_holds) return late;
    return reading(before);
}

CivilTime Zone::to_civil(Instant at) const {
    return civil_from_utc(at + std::chrono::seconds(offset_at(at)));
}

std::string format_local(Instant at, const Zone& zone) {
    CivilTime c = zone.to_civil(at);
    return fmt::format(FMT_COMPILE("{:04}-{:02}-{:02} {:02}:{:02}:{:02}"), c.year, c.month, c.day,
                       c.hour, c.minute, c.second);
}

std::string format_rfc3339(Instant at) {
    CivilTime c = civil_from_utc(at);
    std::string text = fmt::format(FMT_COMPILE("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}"), c.year,
                                   c.month, c.day, c.hour, c.minute, c.second);
    if (c.microsecond != 0) text += fmt::format(FMT_COMPILE(".{:06}"), c.microsecond);
    return text + "Z";
}

}  // namespace bandd
