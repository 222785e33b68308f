// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/compile.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "core/match/forgery.h"
#include "core/text/unescape.h"

namespace bandd {

std::shared_ptr<const Filter> compile_filter(const FilterConfig& config,
                                             const std::vector<std::string>& modes,
                                             const WordLists& more_words,
                                             std::vector<Error>& errors,
                                             std::vector<Error>& warnings) {
    auto filter = std::make_shared<Filter>();
    filter->name = config.name;
    WordLists lists = config.lists;
    for (const auto& [name, words] : more_words)
        lists[name].insert(lists[name].end(), words.begin(), words.end());
    if (!config.tag.empty()) {
        filter->tag = std::make_unique<RE2>(config.tag, pattern_options());
        if (!filter->tag->ok())
            errors.push_back(
                {"tag", "RE2 refuses it: " + filter->tag->error(), {}, config.tag_where});
    }
    auto wanted = [&](const std::string& mode) {
        return mode.empty() || std::ranges::find(modes, mode) != modes.end() ||
               std::ranges::find(modes, "aggressive") != modes.end();
    };
    auto compile_into = [&](const PatternConfig& from, std::vector<Pattern>& into,
                            bool fail_pattern) {
        if (!wanted(from.mode) || names_empty_list(from.regex, lists)) return;
        auto pattern = compile_pattern(from.id, from.regex, lists, fail_pattern);
        if (!pattern) {
            Error error = pattern.error();
            error.where = from.where;
            errors.push_back(std::move(error));
            return;
        }
        if (auto forgery = fail_pattern ? find_forgery(from.regex) : std::nullopt)
            warnings.push_back(
                {"pattern \"" + from.id + "\"", "a client could name another host: " + *forgery,
                 "anchor it with ^, and write [^\"]* or \\S+ where .* stands", from.where});
        into.push_back(std::move(*pattern));
    };
    for (const PatternConfig& pattern : config.failregex)
        compile_into(pattern, filter->patterns, true);
    for (const PatternConfig& pattern : config.ignoreregex)
        compile_into(pattern, filter->ignore, false);
    return filter;
}

Compiled compile(const Config& config) {
    Compiled compiled;
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
                                    compiled.warnings);
        compiled.filters.push_back(shared);
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
    for (const Sample& sample : config.samples) {
        Envelope envelope = open_envelope(sample.line, zone, Instant::from_seconds(4102444800));
        std::string message;
        if (envelope.syslog)
            unescape(envelope.message, message);
        else
            message = envelope.message;
        FilterMatch found = match(*filter, envelope.tag, message);
        std::string got = "none";
        if (found.fate == LineFate::hit) got = found.pattern->id;
        if (found.fate == LineFate::ignored) got = "ignored";
        if (found.fate == LineFate::wrong_tag && sample.match != "none")
            got = "none (its tag is \"" + std::string(envelope.tag) + "\")";
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
        std::string ip = to_string(found.captured.address);
        if (!sample.ip.empty() && ip != sample.ip) wrong("ip", ip, sample.ip);
        if (!sample.user.empty()) {
            auto user =
                std::ranges::find(found.captured.fields, "user", &Fields::value_type::first);
            std::string text = user == found.captured.fields.end() ? "absent" : user->second;
            if (text != sample.user) wrong("user", text, sample.user);
        }
    }
    return errors;
}

}  // namespace bandd
