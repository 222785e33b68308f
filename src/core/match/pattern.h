// SPDX-License-Identifier: GPL-2.0-or-later
// One failregex: fail2ban's tags around RE2.
#pragma once

#include <re2/re2.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/address.h"
#include "core/base/result.h"

namespace bandd {

// Word lists that a pattern names as <LIST:name>. Items are text in which '*' stands for any run
// of characters but space, quotes and angle brackets; letter case does not matter.
using WordLists = std::map<std::string, std::vector<std::string>, std::less<>>;

struct Pattern {
    std::string id;
    std::string source;  // as the user wrote it
    std::string regex;   // as RE2 gets it
    std::unique_ptr<RE2> re2;
    std::vector<int> host_groups;                     // one for each <HOST>, <ADDR>, <IP4>, <IP6>
    std::vector<std::pair<std::string, int>> fields;  // "user" -> group, from <F-USER> or (?P<…>)
};

// Fields of a match, by name. Copies: they outlive the line.
using Fields = std::vector<std::pair<std::string, std::string>>;

struct Captured {
    Address address;
    Fields fields;
};

enum class CaptureResult { no_match, no_address, captured };

// How patterns are compiled: bytes are Latin-1, so that a broken UTF-8 sequence cannot hide a line;
// '.' matches everything, as a message holds no line end but one that a client sent escaped.
RE2::Options pattern_options();

// `needs_host` is false for ignoreregex and tags. The error has no place yet.
Result<Pattern> compile_pattern(std::string_view id, std::string_view source,
                                const WordLists& lists, bool needs_host);

// True if a list that the pattern names is empty: it can't match anything then, and is left out.
bool names_empty_list(std::string_view source, const WordLists& lists);

// Matches and takes the captures. `no_address`: it matched, but what stands at <HOST> is none.
CaptureResult capture(const Pattern& pattern, std::string_view message, Captured& captured);

}  // namespace bandd
