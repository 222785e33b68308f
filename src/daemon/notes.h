// SPDX-License-Identifier: GPL-2.0-or-later
// Names of the daemon's notes in the state, and what of them is not text.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/instant.h"

namespace bandd::notes {

inline constexpr const char* journal = "journal";
inline constexpr const char* conversations = "conversations";
inline constexpr const char* sessions = "sessions";
inline constexpr const char* waiting = "waiting";
inline constexpr const char* health = "filter_health";
inline constexpr const char* read_until = "read_until";

inline std::string from_time(std::optional<Instant> at) { return at ? std::to_string(at->us) : ""; }
inline std::optional<Instant> to_time(std::string_view text) {
    Instant at;
    auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), at.us);
    if (fault != std::errc{} || end != text.data() + text.size()) return {};
    return at;
}

}  // namespace bandd::notes
