// SPDX-License-Identifier: GPL-2.0-or-later
// Facilities and severities of syslog (RFC 5424, 6.2.1), by the names that syslogd knows them by.
#pragma once

#include <array>
#include <string_view>
#include <utility>

#include "config/table.h"

namespace bandd {

inline constexpr std::array<std::string_view, 8> syslog_severities{
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"};
inline constexpr std::array<std::pair<std::string_view, int>, 20> syslog_facilities{{
    {"kern", 0},      {"user", 1},    {"mail", 2},    {"daemon", 3},  {"auth", 4},
    {"syslog", 5},    {"lpr", 6},     {"news", 7},    {"uucp", 8},    {"cron", 9},
    {"authpriv", 10}, {"ftp", 11},    {"local0", 16}, {"local1", 17}, {"local2", 18},
    {"local3", 19},   {"local4", 20}, {"local5", 21}, {"local6", 22}, {"local7", 23},
}};

namespace key {

// A member that is a facility's number.
template <class T>
Key<T> syslog_facility(std::string_view name, int T::* member) {
    auto read = [member](const Field& field, T& target) {
        auto text = field.text();
        if (!text) return;
        for (const auto& [word, number] : syslog_facilities)
            if (word == *text) {
                target.*member = number;
                return;
            }
        field.error("is no syslog facility", "use one of local0 … local7, mail, daemon, auth");
    };
    auto default_word = [member](T& target) {
        for (const auto& [word, number] : syslog_facilities)
            if (number == target.*member) return std::string(word);
        return std::string();
    };
    return {name, "kern … local7", "syslog facility", read, default_word};
}

template <class T>
Key<T> syslog_severity(std::string_view name, int T::* member) {
    auto read = [member](const Field& field, T& target) {
        auto text = field.text();
        if (!text) return;
        for (std::size_t i = 0; i < syslog_severities.size(); ++i)
            if (syslog_severities[i] == *text) {
                target.*member = static_cast<int>(i);
                return;
            }
        field.not_one_of(field.value(), {syslog_severities.begin(), syslog_severities.end()});
    };
    auto default_word = [member](T& target) {
        return std::string(syslog_severities[static_cast<std::size_t>(target.*member)]);
    };
    return {name, "emerg … debug", "syslog severity", read, default_word};
}

}  // namespace key
}  // namespace bandd
