// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/compile.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "core/base/suggest.h"
#include "core/match/fail2ban_pattern.h"
#include "core/regex/forgery.h"

namespace bandd {

namespace {

std::shared_ptr<const DatePatterns> date_patterns(const FilterConfig& config, SharedDates* known,
                                                  std::vector<Error>& errors) {
    if (known != nullptr)
        if (auto found = known->find(config.datepattern); found != known->end())
            return found->second;
    auto compiled = DatePatterns::compile(config.datepattern);
    if (!compiled) {
        Error error = compiled.error();
        error.where = config.datepattern_where;
        errors.push_back(std::move(error));
        return nullptr;
    }
    auto made = std::make_shared<const DatePatterns>(std::move(*compiled));
    if (known != nullptr) known->emplace(config.datepattern, made);
    return made;
}

bool names_host(const Pattern& pattern) {
    return std::ranges::any_of(pattern.fields, [](const auto& field) {
        std::string_view name = field.first;
        for (std::string_view prefix : {"alt_", "tuple_"})
            if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
        for (std::string_view host : {"ip4", "ip6", "dns", "fid", "id", "mlfid"})
            if (name.starts_with(host)) return true;
        return false;
    });
}

}  // namespace

std::shared_ptr<const Filter> compile_filter(
    const FilterConfig& config, const std::vector<std::string>& modes, const WordLists& more_words,
    std::vector<Error>& errors, std::vector<Error>& warnings, SharedDates* shared_dates) {
    auto filter = std::make_shared<Filter>();
    filter->name = config.name;
    filter->identity = config.name;
    for (const std::string& mode : modes) filter->identity += "," + mode;
    filter->dialect = config.dialect;
    filter->senders = PrefixSet(config.senders);
    WordLists lists = config.lists;
    for (const auto& [name, words] : more_words)
        lists[name].insert(lists[name].end(), words.begin(), words.end());
    if (!config.tag.empty()) {
        if (auto tag = compile_tag(config.tag)) {
            filter->tag = std::move(*tag);
        } else {
            errors.push_back(tag.error());
            errors.back().where = config.tag_where;
        }
    }
    bool fail2ban = config.dialect == Dialect::fail2ban;
    Fail2banOptions options{config.usedns != UseDns::no, config.maxlines > 1};
    auto compile_one = [&](const PatternConfig& from, bool needs_host) -> std::optional<Pattern> {
        auto pattern = fail2ban ? compile_fail2ban(from.id, from.regex, options)
                                : compile_pattern(from.id, from.regex, lists, needs_host);
        if (pattern) return std::move(*pattern);
        Error error = pattern.error();
        error.where = from.where;
        errors.push_back(std::move(error));
        return {};
    };
    if (fail2ban) {
        filter->dates = date_patterns(config, shared_dates, errors);
        filter->lines = config.maxlines;
        filter->looks_up_names = config.usedns == UseDns::yes || config.usedns == UseDns::warn;
        if (!config.prefregex.regex.empty()) filter->prefix = compile_one(config.prefregex, false);
    }
    auto wanted = [&](const std::string& mode) {
        return mode.empty() || std::ranges::find(modes, mode) != modes.end() ||
               std::ranges::find(modes, "aggressive") != modes.end();
    };
    auto compile_into = [&](const PatternConfig& from, std::vector<Pattern>& into,
                            bool fail_pattern) {
        if (!wanted(from.mode) || names_empty_list(from.regex, lists)) return;
        auto pattern = compile_one(from, fail_pattern);
        if (!pattern) return;
        if (fail2ban && fail_pattern && !names_host(*pattern) &&
            !(filter->prefix && names_host(*filter->prefix))) {
            errors.push_back({"pattern \"" + from.id + "\"", "has no <HOST>",
                              "mark where the address stands with <HOST>, <ADDR> or <F-ID>",
                              from.where});
            return;
        }
        // fail2ban's patterns come with their own guards, which the check does not know.
        if (auto forgery = fail_pattern && !fail2ban ? find_forgery(from.regex) : std::nullopt)
            warnings.push_back(
                {"pattern \"" + from.id + "\"", "a client could name another host: " + *forgery,
                 "anchor it with ^, and write [^\"]* or \\S+ where .* stands", from.where});
        into.push_back(std::move(*pattern));
    };
    for (const PatternConfig& pattern : config.failregex)
        compile_into(pattern, filter->patterns, true);
    for (const PatternConfig& pattern : config.ignoreregex)
        compile_into(pattern, filter->ignore, false);
    auto converses = [](const Pattern& pattern) {
        return std::ranges::any_of(pattern.fields, [](const auto& field) {
            return field.first == "mlfid" || field.first == "nofail";
        });
    };
    filter->converses = std::ranges::any_of(filter->patterns, converses) ||
                        (filter->prefix && converses(*filter->prefix));
    return filter;
}

namespace {

// Conditions and counts may name only what the filter captures; a slip of the pen would never hold
// else.
void check_fields(const JailConfig& jail, const Filter& filter, std::vector<Error>& errors) {
    if (jail.needed_fields.empty()) return;
    std::vector<std::string_view> captured;
    auto take = [&](const Pattern& pattern) {
        for (const auto& [name, group] : pattern.fields)
            if (std::ranges::find(captured, name) == captured.end()) captured.push_back(name);
    };
    std::ranges::for_each(filter.patterns, take);
    if (filter.prefix) take(*filter.prefix);
    for (const auto& [key, field, where] : jail.needed_fields) {
        if (std::ranges::find(captured, field) != captured.end()) continue;
        std::vector<std::string_view> known = captured;
        for (std::string_view fact : Condition::fact_names()) known.push_back(fact);
        std::string hint = did_you_mean(field, known);
        if (hint.empty() && captured.empty()) hint = "its patterns capture nothing but the address";
        if (hint.empty()) hint = fmt::format("it captures {}", fmt::join(captured, ", "));
        errors.push_back({"\"" + key + "\"",
                          "filter \"" + filter.name + "\" captures no \"" + field + "\"", hint,
                          where});
    }
}

}  // namespace

Compiled compile(const Config& config) {
    Compiled compiled;
    SharedDates dates;
    std::map<std::tuple<std::string, std::vector<std::string>, WordLists>,
             std::shared_ptr<const Filter>>
        made;
    for (const JailConfig& jail : config.jails) {
        auto filter = config.filters.find(jail.filter);
        if (filter == config.filters.end()) {
            compiled.filters.emplace_back();
            continue;
        }
        auto& shared = made[{jail.filter, jail.modes, jail.lists}];
        if (!shared)
            shared = compile_filter(filter->second, jail.modes, jail.lists, compiled.errors,
                                    compiled.warnings, &dates);
        compiled.filters.push_back(shared);
        if (shared) check_fields(jail, *shared, compiled.errors);
    }
    return compiled;
}

std::shared_ptr<const Ruleset> make_ruleset(const Compiled& compiled,
                                            const std::vector<JailIndex>& jails, const Zone& zone,
                                            Escapes escapes, std::size_t line_limit) {
    auto ruleset = std::make_shared<Ruleset>();
    ruleset->zone = zone;
    ruleset->escapes = escapes;
    ruleset->line_limit = line_limit;
    for (JailIndex jail : jails) {
        const auto& filter = compiled.filters[jail];
        if (!filter) continue;
        auto rule = std::ranges::find(ruleset->rules, filter, &Rule::filter);
        if (rule == ruleset->rules.end())
            ruleset->rules.push_back({filter, {jail}});
        else
            rule->jails.push_back(jail);
    }
    prepare(*ruleset);
    return ruleset;
}

std::vector<Error> check_samples(const FilterConfig& config, const Zone& zone) {
    std::vector<Error> errors;
    std::vector<Error> ignored;
    auto filter = compile_filter(config, {"aggressive"}, config.sample_lists, errors, ignored);
    if (!errors.empty()) return errors;
    constexpr Instant arrival = Instant::from_seconds(4102444800);  // 2100
    for (const Sample& sample : config.samples) {
        std::string buffer;
        Seen seen = see(*filter, sample.line, zone, arrival, Escapes::automatic, buffer);
        FilterMatch found = match(*filter, seen.tag, seen.text);
        std::string got = "none";
        if (found.fate == LineFate::hit) got = found.pattern->id;
        if (found.fate == LineFate::ignored) got = "ignored";
        if (found.fate == LineFate::wrong_tag && sample.match != "none")
            got = "none (its tag is \"" + std::string(seen.tag) + "\")";
        auto wrong = [&](const std::string& what, const std::string& is,
                         const std::string& should) {
            errors.push_back({"sample", what + " is " + is + ", but should be " + should,
                              "the line is: " + sample.line, sample.where});
        };
        if (got != sample.match) {
            wrong("match", got, sample.match);
            continue;
        }
        if (found.fate != LineFate::hit) continue;
        const Captured& captured = found.captured;
        std::string ip = captured.address ? to_string(*captured.address) : captured.name;
        if (!sample.ip.empty() && ip != sample.ip) wrong("ip", ip, sample.ip);
        if (!sample.user.empty()) {
            std::string text(captured.fields.find("user").value_or("absent"));
            if (text != sample.user) wrong("user", text, sample.user);
        }
    }
    return errors;
}

}  // namespace bandd
