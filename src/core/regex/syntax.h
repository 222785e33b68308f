// SPDX-License-Identifier: GPL-2.0-or-later
// A regular expression as a tree over bytes: what RE2's own parser knows but does not tell. It is
// used to judge patterns (forgery), to find what they require (literals), and, where it is exact,
// to match with them (capture_program).
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
    host,       // <HOST>
};

struct Node {
    static constexpr int unlimited = -1;

    Kind kind = Kind::concat;
    ByteSet set;
    std::vector<Node> children;
    int least = 0;
    int most = unlimited;
    bool lazy = false;             // of a repeat: as few as will do
    bool negative = false;         // of a boundary: \B
    int group = 0;                 // the capturing group that it is, from 1; 0 if it is none
    std::string_view name;         // of the group, into the pattern's text; only of `exact`
    std::size_t from = 0, to = 0;  // in the pattern's text
};

// RE2's syntax is what patterns are written in. Of PCRE2's more is understood: look-around as
// nothing (it matches no bytes), back-references as any text, conditionals as alternatives.
// `exact` is RE2's without tags, and only what the tree tells exactly: no flags but i, no letters
// beyond ASCII that have two cases. RE2 takes all of that, too, unless it is too large for it.
enum class Language { re2, pcre2, exact };

// Reads a pattern, with <HOST>, <ADDR>, <IP4>, <IP6> as `host`; other <TAGS> match no bytes. Empty
// if it holds syntax that is not known here; RE2 itself reports what is wrong with a pattern.
// `dot_nl`: '.' matches a line end, too.
std::optional<Node> parse(std::string_view pattern, Language language = Language::re2,
                          bool dot_nl = true);

std::size_t count_groups(const Node& node);  // capturing ones
bool nullable(const Node& node);
ByteSet first_bytes(const Node& node);
ByteSet last_bytes(const Node& node);

}  // namespace bandd::syntax
