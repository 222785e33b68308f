// SPDX-License-Identifier: GPL-2.0-or-later
// A node's word on a ban as it travels and lies in the state: JSON, so that a person can read it
// and later versions can add to it. Who says it, of which jail and prefix, is in the subject.
//
//   {"v":1,"kind":"decided","at":1700000000123,"n":0,"from":1700000000000000,
//    "until":1700003600000000,"offence":2,"hits":5,"makers":["mx1"],"reason":"invalid-user"}
//
// "at" is the stamp, in milliseconds, "n" its counter; "from" and "until" are in microseconds.
// Without "until" it is for ever. A `lifted` word has "at" and "n" only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/fleet/ban_words.h"

namespace bandd {

// What these messages are: another number is another language.
inline constexpr int fleet_language = 1;

std::string to_text(const BanWord& word);
// Nothing: it is none. `node` says it.
std::optional<BanWord> parse_ban_word(std::string_view text, std::string_view node);

inline constexpr std::size_t longest_word_reason = 256;
inline constexpr std::size_t most_makers = 64;        // further ones are left out
inline constexpr std::size_t longest_makers = 2'000;  // bytes, of all names: the same

}  // namespace bandd
