// SPDX-License-Identifier: GPL-2.0-or-later
// Dates found anywhere in a line, as fail2ban finds them, and its `datepattern` language: a regular
// expression in which %Y, %b, … are parts of a date, and {DATE}, {EPOCH}, {^LN-BEG}, … for
// whole ones. For logs whose head `open_envelope` does not know, and for imported filters.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/zone.h"
#include "core/regex/pcre.h"

namespace bandd {

struct FoundDate {
    std::size_t from = 0, to = 0;  // bytes of the line; if equal, there is nothing to cut out
    std::optional<Instant> time;   // empty if it is no date: 31 February
};

// Memory that a search for dates needs: one for each thread.
struct DateScratch {
    PcreScratch pcre;
    std::vector<std::string_view> groups, best_groups;
};

class DatePatterns {
  public:
    // Without patterns: the usual formats.
    static Result<DatePatterns> compile(const std::vector<std::string>& patterns);

    // The date that begins leftmost; of several that begin there, that of the first pattern. What
    // it leaves out (year, day, zone) follows from `arrival` and `zone`, as in fail2ban: no year is
    // the newest one that puts the date at most a day ahead, no day is today or yesterday.
    std::optional<FoundDate> find(std::string_view line, const Zone& zone, Instant arrival,
                                  DateScratch& scratch) const;

  private:
    enum class Kind { civil, epoch, tai64n, none };
    struct Template {
        Kind kind = Kind::civil;
        Pcre regex;
        bool at_line_begin = false;  // can only match there: nothing can be further left
        int value_group = 1;         // epoch: the digits
        // Of the parts of a date: the letter of strptime, and the group.
        std::vector<std::pair<char, int>> parts;

        // What a match says. Empty if its parts are no date.
        std::optional<Instant> time_of(const std::vector<std::string_view>& groups,
                                       const Zone& zone, Instant arrival) const;
    };
    static Result<Template> compile_one(std::string pattern);
    static Result<> add(std::vector<Template>& into, const std::string& pattern);
    std::vector<Template> templates_;
};

}  // namespace bandd
