// SPDX-License-Identifier: GPL-2.0-or-later
// A regular expression as a tree over bytes: what RE2's own parser knows but does not tell. Used
// to judge patterns (forgery) and to find what they require (literals), never to match with them.
#pragma once

#include <bitset>
#include <optional>
#include <string_view>
#include <vector>

namespace bandd::syntax {

using ByteSet = std::bitset<256>;

enum class Kind {
    bytes,      // one byte out of `set`
    begin,      // ^ or \A
    end,        // $ or \z
    boundary,   // \b, \B: no bytes
    concat,     // of `children`; without children it matches the empty text
    alternate,  // of `children`
    repeat,     // of `children[0]`, `least` to `most` times
    host,       // where <HOST> stands
};

struct Node {
    static constexpr int unlimited = -1;

    Kind kind = Kind::concat;
    ByteSet set;
    std::vector<Node> children;
    int least = 0;
    int most = unlimited;
    std::size_t from = 0, to = 0;  // where it stands in the pattern's text
};

// RE2's syntax is what patterns are written in. Of PCRE2's more is understood: look-around as
// nothing (it matches no bytes), back-references as any text, conditionals as alternatives.
enum class Language { re2, pcre2 };

// Reads RE2's syntax, with <HOST>, <ADDR>, <IP4>, <IP6> as `host` and other <TAGS> as nothing.
// Nothing on what it does not know; RE2 itself reports what is wrong with a pattern.
std::optional<Node> parse(std::string_view pattern, Language language = Language::re2);

bool nullable(const Node& node);
ByteSet first_bytes(const Node& node);
ByteSet last_bytes(const Node& node);

}  // namespace bandd::syntax
