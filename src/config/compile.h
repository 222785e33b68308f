// SPDX-License-Identifier: GPL-2.0-or-later
// Config to what the core runs on.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "config/types.h"

namespace bandd {

// Filters whose dates are read alike share one reader, and so one look at each line.
using SharedDates = std::map<std::vector<std::string>, std::shared_ptr<const DatePatterns>>;

// What a jail makes of a filter.
struct FilterUse {
    std::vector<std::string> modes{};
    WordLists lists{};                    // words that are added
    std::vector<std::string> patterns{};  // ids; empty: all
    JsonConfig json{};                    // paths in place of the filter's
    std::vector<Prefix> trusted_proxies{};
    auto operator<=>(const FilterUse&) const = default;
};
FilterUse use_of(const JailConfig& jail);

// The filter as one jail uses it. All faulty patterns are reported; `warnings` gets patterns
// through which a client could name another host.
std::shared_ptr<const Filter> compile_filter(const FilterConfig& config, const FilterUse& use,
                                             std::vector<Error>& errors,
                                             std::vector<Error>& warnings,
                                             SharedDates* shared_dates = nullptr);

// Null for jails that read no logs.
using JailFilters = std::vector<std::shared_ptr<const Filter>>;
struct Compiled {
    JailFilters filters;  // in the order of Config::jails
    std::vector<Error> errors, warnings;
};
Compiled compile(const Config& config);

// So many bytes of a line a filter looks at. A JSON line is looked at as a whole.
std::size_t line_limit_of(const Filter& filter, std::size_t line_limit);

// The ruleset for a source that these jails read; `filters` by jail.
std::shared_ptr<const Ruleset> make_ruleset(const JailFilters& filters,
                                            const std::vector<JailIndex>& jails, const Zone& zone,
                                            Escapes escapes, std::size_t line_limit);

// Runs a filter over its own samples; one error for each that comes out otherwise.
std::vector<Error> check_samples(const FilterConfig& config, const Zone& zone);

}  // namespace bandd
