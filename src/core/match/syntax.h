// SPDX-License-Identifier: GPL-2.0-or-later
// A regular expression as a tree over bytes: what RE2's own parser knows but does not tell. Used
// to judge patterns (forgery), never to match with them.
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

// Reads RE2's syntax, with <HOST>, <ADDR>, <IP4>, <IP6> as `host` and other <TAGS> as nothing.
// Nothing on what it does not know; RE2 itself reports what is wrong with a pattern.
std::optional<Node> parse(std::string_view pattern);

bool nullable(const Node& node);
ByteSet first_bytes(const Node& node);
ByteSet last_bytes(const Node& node);

}  // namespace bandd::syntax
