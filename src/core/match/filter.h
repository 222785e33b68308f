// SPDX-License-Identifier: GPL-2.0-or-later
// A filter: what lines of one program are an attack. It remembers nothing.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/prefix_set.h"
#include "core/match/json_fields.h"
#include "core/match/pattern.h"
#include "core/text/datepattern.h"
#include "core/text/envelope.h"
#include "core/text/unescape.h"

namespace bandd {

struct Filter {
    std::string name;
    std::string identity;  // name, modes, patterns: what stays the same over a reload and a restart
    Dialect dialect = Dialect::bandd;
    std::optional<Pattern> tag;  // what the syslog tag must match in full; empty: any line
    bool session_by_pid =
        false;          // see core/decide/sessions.h; a session is a process, not <F-SESSION>
    PrefixSet senders;  // whose syslog messages it looks at; empty: every line
    std::vector<Pattern> patterns;
    std::vector<Pattern> left_out;  // of other modes, or not among the jail's `patterns`: its lines
                                    // are known, and no hits
    std::vector<Pattern> ignore;    // ignoreregex: a line that one of these matches is no hit

    // Of filters of JSON logs: patterns see the message, a string of the line's object.
    std::shared_ptr<const JsonLayout> json;
    // trusted_proxies: of a request that came through one of these, <F-FORWARDED> says who sent it.
    PrefixSet proxies;

    // Of fail2ban's dialect only.
    std::shared_ptr<const DatePatterns> dates;
    // prefregex: must match first; patterns are then tried on its <F-CONTENT>.
    std::optional<Pattern> prefix;
    std::size_t lines = 1;        // maxlines: so many lines are matched as one text
    bool looks_up_names = false;  // usedns: a host name at <HOST> means its addresses
    bool converses = false;  // patterns name a connection (<F-MLFID>) or lines that are no failure
};

// What a filter looks at.
struct Seen {
    std::string_view text;  // into the line or the scratch
    std::string_view tag;
    std::optional<Instant> time;
    JsonReader::Outcome json = JsonReader::Outcome::read;  // of filters of JSON logs
    bool cut = false;                                      // the end of the line is missing
};
// Takes the head off and undoes escapes, or cuts the date out, as the filter's dialect wants it.
// The views point into the line, or into what the next call with this scratch overwrites.
Seen see(const Filter& filter, std::string_view line, const Zone& zone, Instant arrival,
         Escapes escapes, MatchScratch& scratch);

enum class LineFate {
    no_match,
    wrong_tag,
    no_json,     // the filter is of a JSON log, and the line is no JSON object, or a part of one
    ignored,     // a pattern matched, and an ignoreregex too
    no_address,  // a pattern matched, but with no address at <HOST>
    gave_up,     // a PCRE2 pattern needed more than its limits: as good as no match
    hit,
};

struct FilterMatch {
    LineFate fate = LineFate::no_match;
    const Pattern* pattern = nullptr;  // that matched
    const Pattern* ignore = nullptr;   // that took it back
    Captured captured;
};

// The head of a line, or of what a container said if Docker wrote the line; then the views point
// into `buffer`. fail2ban's dialect sees Docker's lines as they stand.
Envelope open_line(std::string_view line, const Zone& zone, Instant arrival, std::string& buffer,
                   LastHead* last = nullptr, DatesWithin within = DatesWithin::found);

// What filters with this layout need of `open_line`: what looks like a date within a JSON object
// may be a client's text.
inline DatesWithin dates_within(const JsonLayout* layout) {
    return layout != nullptr && layout->time ? DatesWithin::left : DatesWithin::found;
}

// The message of a line's head, its escapes undone.
std::string_view message_of(const Envelope& envelope, Escapes escapes, std::string& buffer);

// A message that is a JSON object, as filters with this layout see it. Its values are in
// `scratch.json` until the next call: `match` and `match_pattern` look at them.
Seen see_json(const JsonLayout& layout, const Envelope& envelope, std::string_view message,
              const Zone& zone, Instant arrival, MatchScratch& scratch);

bool accepts_tag(const Filter& filter, std::string_view tag, MatchScratch& scratch);

// Plain and slow: every pattern, one by one, the first that matches wins. `scan` must agree with
// it. In fail2ban's dialect a hit can lack an address, if its filter converses.
FilterMatch match(const Filter& filter, std::string_view tag, std::string_view message,
                  MatchScratch& scratch);

// True, with the fate set, if an ignoreregex matches.
bool is_ignored(const Filter& filter, std::string_view text, MatchScratch& scratch,
                FilterMatch& found);

// Whether the filter knows a line that is no hit: a pattern that is left out matches it, or an
// ignoreregex.
bool is_known(const Filter& filter, std::string_view text, MatchScratch& scratch);

// A client may choose where his line is cut, and so what its end is: of such a line only what its
// begin fixes is believed.
bool holds_in_cut_line(const Pattern& pattern);

// The second half of a match, with the pattern already chosen. False: try the next pattern.
bool match_pattern(const Filter& filter, const Pattern& pattern, std::string_view message,
                   MatchScratch& scratch, FilterMatch& found);

}  // namespace bandd
