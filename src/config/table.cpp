// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/table.h"

#include <fmt/format.h>

#include <array>

namespace bandd {

std::string written(bool value) { return value ? "true" : "false"; }

std::string written(double value) { return fmt::format("{}", value); }

std::string written(Duration value) {
    using namespace std::chrono;
    if (value == forever) return "forever";
    constexpr std::array<std::pair<Duration, std::string_view>, 4> units{
        {{weeks(1), "w"}, {days(1), "d"}, {hours(1), "h"}, {minutes(1), "m"}}};
    for (const auto& [unit, name] : units)
        if (value >= unit && value % unit == Duration{0})
            return fmt::format("{}{}", value / unit, name);
    return fmt::format("{}s", duration_cast<seconds>(value).count());
}

}  // namespace bandd
