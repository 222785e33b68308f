// SPDX-License-Identifier: GPL-2.0-or-later
// One failregex: fail2ban's tags around RE2.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/address.h"
#include "core/base/result.h"
#include "core/match/fields.h"
#include "core/prefilter/literals.h"
#include "core/regex/lazy_regex.h"
#include "core/regex/pcre.h"
#include "core/text/datepattern.h"
#include "core/text/json_line.h"

namespace bandd {

// Word lists that a pattern names as <LIST:name>. Items are text in which '*' is any run
// of characters but space, quotes and angle brackets; letter case does not matter.
using WordLists = std::map<std::string, std::vector<std::string>, std::less<>>;

// What a filter's patterns are written for.
enum class Dialect : std::uint8_t {
    bandd,     // the message without its head; <HOST> is an address; RE2
    fail2ban,  // the line without its date; Python's syntax; RE2, or PCRE2 for what that lacks
};

struct FieldTest;

struct Pattern {
    std::string id;
    std::string source;  // as the user wrote it
    std::string regex;   // as its engine gets it
    Dialect dialect = Dialect::bandd;
    bool once = false;                // see core/decide/sessions.h
    bool times = false;               // <F-TIMES> says how many attempts a line stands for
    std::unique_ptr<LazyRegex> lazy;  // RE2; one of these two
    std::shared_ptr<const Pcre> pcre;
    std::size_t groups = 0;        // the whole match, too
    std::vector<int> host_groups;  // one for each <HOST>, <ADDR>, <IP4>, <IP6>; of bandd's dialect
    std::vector<std::pair<std::string, int>> fields;  // "user" -> group, from <F-USER> or (?P<…>)

    bool json = false;              // of a filter of JSON logs; then:
    std::vector<FieldTest> tests;   // all must be true
    std::vector<std::string> keys;  // that a line it matches has
    bool only_tests = false;        // there is no regex: whatever the message is
};

// A condition on a value of a JSON line: it is one of these texts, or one of these matches it.
struct FieldTest {
    std::string name;        // as the user wrote it
    std::size_t number = 0;  // of the value: see JsonLayout
    std::vector<std::string> texts;
    std::vector<Pattern> regexes;
};

struct Captured {
    std::optional<Address> address;
    std::string name;  // a host name at <HOST>, where a filter takes these
    Fields fields;
};

// Memory that matching needs: one for each thread, good for every pattern and filter.
struct MatchScratch {
    PcreScratch pcre;
    std::vector<std::string_view> groups;  // of the last match; into the text that was searched
    DateScratch dates;
    std::string message;    // a line's, with its escapes undone or its date cut out
    std::string contained;  // a line that Docker wrote around
    JsonReader json;        // of filters of JSON logs: the line that was seen last
};

enum class CaptureResult { no_match, no_address, captured, gave_up };

// How patterns are compiled: bytes are Latin-1, so that a broken UTF-8 sequence cannot hide a line;
// '.' matches everything, as a message holds no line end but one that a client sent escaped.
RE2::Options pattern_options();
// `needs_host` is false for ignoreregex and tags. The error has no place yet.
Result<Pattern> compile_pattern(std::string_view id, std::string_view source,
                                const WordLists& lists, bool needs_host);

// Gives a pattern with a regex its RE2, lazily, and the number of its groups. Empty if RE2
// refuses it, which then says why.
std::optional<LazyRegex::Outline> take_regex(Pattern& pattern, const RE2::Options& options);

// What a syslog tag must be, as a whole.
Result<Pattern> compile_tag(std::string_view source);

// True if a list that the pattern names is empty: it can't match anything then, and is left out.
bool names_empty_list(std::string_view source, const WordLists& lists);

// See core/prefilter/literals.h.
std::vector<LiteralSet> required_literals(const Pattern& pattern);

// The first of the pattern's tests that is not true of the JSON line in the scratch; null if all
// are. Adds what their regexes capture.
const FieldTest* failing_test(const Pattern& pattern, MatchScratch& scratch, Fields& fields);

// A match anywhere in `text`, and its groups into `scratch.groups`, the whole match first; a group
// that took no part has no data.
Pcre::Outcome search(const Pattern& pattern, std::string_view text, MatchScratch& scratch);

// Matches and takes the captures. `no_address`: it matched, but what is at <HOST> is none
// (never in fail2ban's dialect, where an address can come from another line of the same
// connection).
CaptureResult capture(const Pattern& pattern, std::string_view message, MatchScratch& scratch,
                      Captured& captured);

}  // namespace bandd
