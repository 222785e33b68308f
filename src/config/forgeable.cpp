// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/forgeable.h"

#include <fmt/format.h>

#include "config/compile.h"
#include "core/match/fail2ban_pattern.h"
#include "core/regex/two_hosts.h"

namespace bandd {
namespace {

// Documentation's addresses (RFC 5737).
constexpr std::string_view host = "203.0.113.9";
constexpr std::string_view forged = "198.51.100.7";

// The pattern with the host in place of its tag: it tells whether a line may be one of this host.
std::optional<Pattern> with_host(const FilterConfig& filter, std::string source) {
    for (std::string_view tag : {"<HOST>", "<ADDR>", "<IP4>"})
        for (std::size_t at = 0; (at = source.find(tag, at)) != std::string::npos;)
            source.replace(at, tag.size(), R"(203\.0\.113\.9)");
    Fail2banOptions options{filter.usedns != UseDns::no, false};
    auto pattern = compile_fail2ban("host", source, options);
    if (!pattern) return {};
    return std::move(*pattern);
}

constexpr std::string_view content_begins = "<F-CONTENT>";
constexpr std::string_view content_ends = "</F-CONTENT>";

bool names_host(std::string_view regex) {
    return regex.contains("<HOST>") || regex.contains("<ADDR>") || regex.contains("<IP4>");
}

// prefregex, with the pattern in place of the content that it is tried on.
std::string composed(const std::string& prefix, std::string_view pattern) {
    std::size_t from = prefix.find(content_begins);
    std::size_t to = prefix.find(content_ends);
    if (from == std::string::npos || to == std::string::npos) return {};
    if (pattern.starts_with('^')) pattern.remove_prefix(1);
    if (pattern.ends_with('$') && !pattern.ends_with("\\$")) pattern.remove_suffix(1);
    return prefix.substr(0, from) + "(?:" + std::string(pattern) + ")" +
           prefix.substr(to + content_ends.size());
}

struct Forged {
    std::string line;
    std::string where;  // the part of the pattern that takes it; empty: none, it is in front
};

class Forger {
  public:
    Forger(const FilterConfig& config, const Filter& filter) : config_(config), filter_(filter) {}

    // A line that the filter takes for one of `forged`, by that pattern, though it may be one of
    // `host`.
    std::optional<Forged> find(const PatternConfig& pattern) {
        const std::string& prefix = config_.prefregex.regex;
        bool of_prefix = names_host(prefix) && !names_host(pattern.regex);
        std::string whole = of_prefix ? composed(prefix, pattern.regex) : pattern.regex;
        auto of_host = with_host(config_, whole);
        if (!of_host) return {};
        for (TwoHosts& one : lines_with_two_hosts(whole, host, forged)) {
            if (!one.other_record && search(*of_host, one.line, scratch_) != Pcre::Outcome::match)
                continue;
            if (filter_.prefix && !of_prefix)
                one.line = text_around(prefix, content_begins, content_ends, one.line);
            if (takes_forged(one.line, pattern.id))
                return Forged{std::move(one.line), std::string(one.where)};
        }
        return {};
    }

  private:
    bool takes_forged(const std::string& line, const std::string& id) {
        Seen seen = see(filter_, line, Zone{}, Instant{0}, Escapes::automatic, scratch_);
        FilterMatch found = match(filter_, seen.tag, seen.text, scratch_);
        return found.fate == LineFate::hit && found.pattern->id == id && found.captured.address &&
               to_string(*found.captured.address) == forged;
    }

    const FilterConfig& config_;
    const Filter& filter_;
    MatchScratch scratch_;
};

}  // namespace

std::vector<Error> forgeable_patterns(const FilterConfig& config) {
    std::vector<Error> warnings;
    std::vector<Error> errors;
    if (config.maxlines > 1) return warnings;  // what belongs together is not in one line
    auto filter = compile_filter(config, {.modes = {"aggressive"}}, errors, warnings);
    if (!errors.empty()) return {};
    Forger forger(config, *filter);
    for (const PatternConfig& pattern : config.failregex) {
        auto found = forger.find(pattern);
        if (!found) continue;
        std::string where = found->where.empty()
                                ? "it does not begin with ^"
                                : fmt::format("\"{}\" takes any text", found->where);
        warnings.push_back(
            {"pattern \"" + pattern.id + "\"",
             fmt::format(
                 "a client could name another host: {}, so this line bans {} and not {}: {}", where,
                 forged, host, found->line),
             "begin it with ^, end it with $ behind <HOST>, and write [^\"]* or \\S+ in place of "
             ".*",
             pattern.where});
    }
    return warnings;
}

}  // namespace bandd
