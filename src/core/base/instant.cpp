// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/base/instant.h"

#include <array>
#include <charconv>
#include <cmath>

namespace bandd {
namespace {

struct Unit {
    std::string_view name;
    std::int64_t seconds;
};

// The spellings that fail2ban's jail.conf(5) lists, months and years as it counts them.
constexpr std::array<Unit, 27> units{{
    {"s", 1},        {"sec", 1},         {"secs", 1},         {"second", 1},
    {"seconds", 1},  {"m", 60},          {"mm", 60},          {"min", 60},
    {"mins", 60},    {"minute", 60},     {"minutes", 60},     {"h", 3600},
    {"hour", 3600},  {"hours", 3600},    {"d", 86400},        {"day", 86400},
    {"days", 86400}, {"w", 604800},      {"week", 604800},    {"weeks", 604800},
    {"mo", 2629746}, {"mon", 2629746},   {"month", 2629746},  {"months", 2629746},
    {"y", 31556952}, {"year", 31556952}, {"years", 31556952},
}};

std::optional<std::int64_t> unit_seconds(std::string_view name) {
    if (name.empty()) return 1;
    for (const Unit& unit : units)
        if (unit.name == name) return unit.seconds;
    return {};
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
    if (text == "forever" || text == "-1") return forever;
    double total_seconds = 0;
    bool any = false;
    std::size_t at = 0;
    while (at < text.size()) {
        if (text[at] == ' ') {
            ++at;
            continue;
        }
        double amount = 0;
        const char* end = text.data() + text.size();
        auto [rest, error] =
            std::from_chars(text.data() + at, end, amount, std::chars_format::fixed);
        if (error != std::errc{} || amount < 0 || !std::isfinite(amount)) return {};
        at = static_cast<std::size_t>(rest - text.data());
        while (at < text.size() && text[at] == ' ') ++at;
        std::size_t begin = at;
        while (at < text.size() && text[at] >= 'a' && text[at] <= 'z') ++at;
        auto seconds = unit_seconds(text.substr(begin, at - begin));
        if (!seconds) return {};
        total_seconds += amount * static_cast<double>(*seconds);
        any = true;
    }
    // 290,000 years fit in 64 bits of microseconds; what is longer is a typing error.
    if (!any || total_seconds > 1e12) return {};
    return Duration{std::llround(total_seconds * 1e6)};
}

std::string format_duration(Duration span) {
    if (span == forever) return "forever";
    std::int64_t seconds = span.count() / 1'000'000;
    if (seconds < 0) return "-" + format_duration(-span);
    constexpr std::array<Unit, 5> shown{
        {{"w", 604800}, {"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}}};
    std::string text;
    int parts = 0;
    for (const Unit& unit : shown) {
        std::int64_t amount = seconds / unit.seconds;
        if (amount == 0) {
            if (parts == 1) break;
            continue;
        }
        if (parts++ > 0) text += " ";
        text += std::to_string(amount);
        text += unit.name;
        seconds %= unit.seconds;
        if (parts == 2) break;
    }
    return text.empty() ? "0s" : text;
}

}  // namespace bandd
