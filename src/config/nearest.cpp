// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/nearest.h"

#include <vector>

#include "core/match/fail2ban_pattern.h"

namespace bandd {

std::string in_words(const Nearest& nearest) {
    std::string words = nearest.id + " comes nearest: it takes \"" + nearest.fits + "\"";
    if (!nearest.wants.empty()) return words + ", but then wants " + nearest.wants;
    return words + ", which is all, but it is not used (its mode), or not for this tag";
}

std::optional<Nearest> nearest_pattern(const FilterConfig& filter, std::string_view text) {
    std::optional<Nearest> best;
    MatchScratch scratch;
    WordLists lists = filter.lists;
    for (const auto& [name, words] : filter.sample_lists)
        lists[name].insert(lists[name].end(), words.begin(), words.end());
    for (const PatternConfig& config : filter.failregex) {
        const std::string& regex = config.regex;
        // From the whole regex down to its first byte: the first beginning that matches is the
        // longest. One that is cut within a group or a class does not compile; one that is cut
        // within a <TAG> is not tried.
        std::size_t tag = 0;  // where the tag that `length` cuts begins
        for (std::size_t length = regex.size(); length > 1; --length) {
            if (length < regex.size() && regex[length] == '>') tag = regex.rfind('<', length);
            if (tag != 0 && length > tag) continue;
            tag = 0;
            std::string part = regex.substr(0, length);
            auto pattern = filter.dialect == Dialect::fail2ban
                               ? compile_fail2ban(config.id, part, {})
                               : compile_pattern(config.id, part, lists, false);
            if (!pattern || search(*pattern, text, scratch) != Pcre::Outcome::match) continue;
            std::string_view fits = scratch.groups[0];
            if (!fits.empty() && (!best || fits.size() > best->fits.size()))
                best = Nearest{config.id, std::string(fits), regex.substr(length)};
            break;
        }
    }
    return best;
}

}  // namespace bandd
