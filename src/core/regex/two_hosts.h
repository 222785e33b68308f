// SPDX-License-Identifier: GPL-2.0-or-later
// Lines in which a pattern may take one of two addresses, so that it can be tried which one it
// takes: what `find_forgery` says by reason is shown by an example. That works for fail2ban's
// patterns, too, whose guards (look-ahead, conditions) nobody can judge by reading.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bandd {

struct TwoHosts {
    std::string line;           // what the pattern is tried on
    bool other_record = false;  // it is no match of the pattern with `host`, but of its beginning
    std::string_view where;     // the part of the pattern that takes the forged address; into the
                                // pattern; empty: what is before the match
};

// `host` is where it belongs; `forged` is in what a client may have written:
//  - in text that the pattern takes whatever it is (`.*`),
//  - behind what a user's name should be: `\S+` does not hold a name with a space,
//  - in front, if the pattern may begin anywhere, and takes no text behind <HOST>,
//  - in the last field of another record, if the pattern is of records with quoted columns, and one
//    of them (`".*"`) can run past its quotes. The others come first.
// The lines are made of the pattern's own text. Most are no match at all.
std::vector<TwoHosts> lines_with_two_hosts(std::string_view pattern, std::string_view host,
                                           std::string_view forged);

// A text that the pattern may match, with `content` in place of what is between `open` and `close`.
std::string text_around(std::string_view pattern, std::string_view open, std::string_view close,
                        std::string_view content);

}  // namespace bandd
