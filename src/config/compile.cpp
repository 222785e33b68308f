// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/compile.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "core/base/suggest.h"
#include "core/match/fail2ban_pattern.h"
#include "core/match/proxies.h"
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

bool has_field(const Pattern& pattern, auto&& is_it) {
    return std::ranges::any_of(pattern.fields,
                               [&](const auto& field) { return is_it(field.first); });
}

// fail2ban's ways to name the host: <ADDR>, <DNS>, <F-ID>, <F-ALT_IP4>, …
bool names_host(const Pattern& pattern) {
    return has_field(pattern, [](std::string_view name) {
        for (std::string_view prefix : {"alt_", "tuple_"})
            if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
        for (std::string_view host : {"ip4", "ip6", "dns", "fid", "id", "mlfid"})
            if (name.starts_with(host)) return true;
        return false;
    });
}

// What it matches is no failure: it tells of a connection, for other patterns' sake.
bool tells_of_connection(const Pattern& pattern) {
    return has_field(pattern, [](std::string_view name) {
        return name == "nofail" || name == "mlfforget" || name == "mlfgained";
    });
}

// Its lines belong together with others of one connection.
bool converses(const Pattern& pattern) {
    return has_field(pattern,
                     [](std::string_view name) { return name == "mlfid" || name == "nofail"; });
}

// One filter, as one jail uses it.
class FilterCompiler {
  public:
    FilterCompiler(const FilterConfig& config, const FilterUse& use, std::vector<Error>& errors,
                   std::vector<Error>& warnings)
        : config_(config), use_(use), lists_(config.lists), errors_(errors), warnings_(warnings) {
        for (const auto& [name, words] : use.lists)
            lists_[name].insert(lists_[name].end(), words.begin(), words.end());
    }

    std::shared_ptr<const Filter> run(SharedDates* shared_dates) {
        filter_->name = config_.name;
        filter_->identity = config_.name;
        for (const std::string& mode : use_.modes) filter_->identity += "," + mode;
        for (const std::string& id : use_.patterns) filter_->identity += ",=" + id;
        filter_->dialect = config_.dialect;
        filter_->senders = PrefixSet(config_.senders);
        filter_->session_by_pid = config_.session_by_pid;
        if (!config_.tag.empty()) {
            if (auto tag = compile_tag(config_.tag))
                filter_->tag = std::move(*tag);
            else
                add_error(tag.error(), config_.tag_where);
        }
        filter_->proxies = PrefixSet(use_.trusted_proxies);
        if (is_json()) read_layout();
        if (is_fail2ban()) {
            filter_->dates = date_patterns(config_, shared_dates, errors_);
            filter_->lines = config_.maxlines;
            filter_->looks_up_names =
                config_.usedns == UseDns::yes || config_.usedns == UseDns::warn;
            if (!config_.prefregex.regex.empty())
                filter_->prefix = compile(config_.prefregex, false);
        }
        for (const PatternConfig& pattern : config_.failregex) add_fail_pattern(pattern);
        for (const PatternConfig& pattern : config_.ignoreregex)
            if (is_used(pattern))
                if (auto compiled = compile(pattern, false))
                    filter_->ignore.push_back(std::move(*compiled));
        // Complete: tests have added their paths.
        if (is_json()) filter_->json = std::make_shared<const JsonLayout>(std::move(layout_));
        filter_->converses = std::ranges::any_of(filter_->patterns, converses) ||
                             (filter_->prefix && converses(*filter_->prefix));
        return filter_;
    }

  private:
    bool is_fail2ban() const { return config_.dialect == Dialect::fail2ban; }

    bool is_json() const { return !config_.json.empty(); }

    void add_error(Error error, const Place& where) {
        error.where = where;
        errors_.push_back(std::move(error));
    }

    // In the jail's modes; and there are words for the lists that it names.
    bool is_used(const PatternConfig& pattern) const {
        bool wanted = pattern.mode.empty() ||
                      std::ranges::find(use_.modes, pattern.mode) != use_.modes.end() ||
                      std::ranges::find(use_.modes, "aggressive") != use_.modes.end();
        auto empty = [&](const std::string& regex) { return names_empty_list(regex, lists_); };
        return wanted && !empty(pattern.regex) &&
               std::ranges::none_of(pattern.tests, [&](const FieldTestConfig& test) {
                   return std::ranges::any_of(test.wants, empty);
               });
    }

    // The filter's paths, and the jail's in place of them.
    void read_layout() {
        json_ = config_.json;
        auto replace = [](auto& path, const auto& by) {
            if (!by.empty()) path = by;
        };
        replace(json_.ip, use_.json.ip);
        replace(json_.user, use_.json.user);
        replace(json_.time, use_.json.time);
        replace(json_.message, use_.json.message);
        replace(json_.forwarded, use_.json.forwarded);
        for (const auto& [name, path] : use_.json.fields) json_.fields[name] = path;

        for (const std::string& path : json_.ip)
            if (auto number = path_number(path)) layout_.ip.push_back(*number);
        if (!layout_.ip.empty()) named_["ip"] = layout_.ip.front();
        layout_.time = path_number(json_.time);
        layout_.message = path_number(json_.message);
        if (layout_.message) named_["message"] = *layout_.message;
        for (const std::string& path : json_.user) add_field("user", path);
        add_field(std::string(forwarded_field), json_.forwarded);
        for (const auto& [name, path] : json_.fields) add_field(name, path);
    }

    void add_field(const std::string& name, const std::string& path) {
        auto number = path_number(path);
        if (!number) return;
        named_.emplace(name, *number);
        layout_.fields.emplace_back(name, *number);
    }

    // Empty if the path is.
    std::optional<std::size_t> path_number(const std::string& text) {
        if (text.empty()) return {};
        auto path = parse_json_path(text);
        if (!path) {
            add_error(path.error(), config_.json_where);
            return {};
        }
        return layout_.paths.add(*path);
    }

    // The last key of a path that is a name, not a number in an array: a line holds it.
    void add_key(const std::string& text, Pattern& pattern) {
        auto path = parse_json_path(text);
        if (!path) return;
        auto is_number = [](const std::string& key) {
            return key.find_first_not_of("0123456789") == std::string::npos;
        };
        while (path->size() > 1 && is_number(path->back())) path->pop_back();
        pattern.keys.push_back(path->back());
    }

    void add_tests(const PatternConfig& from, Pattern& pattern) {
        for (const FieldTestConfig& config : from.tests) {
            FieldTest test;
            test.name = config.field;
            auto named = named_.find(config.field);
            auto known = named != named_.end() ? named->second : path_number(config.field);
            if (!known) {
                errors_.push_back(
                    {"\"" + config.field + "\"", "json has no path for it", {}, config.where});
                continue;
            }
            if (named == named_.end()) add_key(config.field, pattern);
            test.number = *known;
            for (const std::string& want : config.wants) {
                if (!want.starts_with('^')) {
                    test.texts.push_back(want);
                    continue;
                }
                auto regex = compile_pattern(from.id, want, lists_, false);
                if (!regex)
                    add_error(regex.error(), config.where);
                else if (!regex->host_groups.empty())
                    errors_.push_back({"\"" + config.field + "\"", "must not have <HOST>",
                                       "name the path of the address by \"json: ip\"",
                                       config.where});
                else
                    test.regexes.push_back(std::move(*regex));
            }
            pattern.tests.push_back(std::move(test));
        }
    }

    std::optional<Pattern> compile(const PatternConfig& from, bool needs_host) {
        if (!is_json()) return compile_regex(from, needs_host);
        auto pattern = compile_regex(from, needs_host && layout_.ip.empty());
        if (!pattern) return {};
        pattern->json = true;
        pattern->only_tests = from.regex.empty();
        if (!pattern->only_tests && !layout_.message)
            errors_.push_back(
                {"pattern \"" + from.id + "\"", "has a regex, but there is no message",
                 "name its path by \"json: message\", or test fields by \"where\"", from.where});
        add_tests(from, *pattern);
        if (pattern->host_groups.empty() && json_.ip.size() == 1) add_key(json_.ip[0], *pattern);
        if (!pattern->only_tests && pattern->keys.empty()) add_key(json_.message, *pattern);
        return pattern;
    }

    std::optional<Pattern> compile_regex(const PatternConfig& from, bool needs_host) {
        Fail2banOptions options{config_.usedns != UseDns::no, config_.maxlines > 1};
        auto pattern = is_fail2ban() ? compile_fail2ban(from.id, from.regex, options)
                                     : compile_pattern(from.id, from.regex, lists_, needs_host);
        if (!pattern) {
            add_error(pattern.error(), from.where);
            return {};
        }
        pattern->once = from.once;
        pattern->times = has_field(*pattern, [](std::string_view name) { return name == "times"; });
        if (from.once && !config_.session_by_pid &&
            !has_field(*pattern, [](std::string_view name) { return name == "session"; }))
            add_error({"pattern \"" + from.id + "\"",
                       "\"once\" needs a <F-SESSION>, by which lines of one attempt are known",
                       "capture the client's port: port <F-SESSION>\\d+</F-SESSION>",
                       {}},
                      from.where);
        return std::move(*pattern);
    }

    // Whether they are faulty is for `bandctl check` to say. Of JSON logs their lines would have
    // to be read further.
    void leave_out(const PatternConfig& from) {
        if (is_json() || is_fail2ban() || names_empty_list(from.regex, lists_)) return;
        std::size_t errors = errors_.size();
        if (auto pattern = compile(from, false)) filter_->left_out.push_back(std::move(*pattern));
        errors_.resize(errors);
    }

    void add_fail_pattern(const PatternConfig& from) {
        if (!is_used(from)) return leave_out(from);
        auto pattern = compile(from, true);
        if (!pattern) return;
        bool chosen = use_.patterns.empty() ||
                      std::ranges::find(use_.patterns, from.id) != use_.patterns.end();
        if (!chosen && !tells_of_connection(*pattern)) {
            if (!is_json() && !is_fail2ban()) filter_->left_out.push_back(std::move(*pattern));
            return;
        }
        std::string what = "pattern \"" + from.id + "\"";
        if (is_fail2ban() && !names_host(*pattern) &&
            !(filter_->prefix && names_host(*filter_->prefix))) {
            errors_.push_back({what, "has no <HOST>",
                               "mark where the address is with <HOST>, <ADDR> or <F-ID>",
                               from.where});
            return;
        }
        // fail2ban's patterns come with their own guards, which this check does not know: lines are
        // tried on them instead, by config/forgeable.
        bool judged = !is_fail2ban() && from.safe.empty();
        if (auto forgery = judged ? find_forgery(from.regex) : std::nullopt)
            warnings_.push_back({what, "a client could name another host: " + *forgery,
                                 "take <HOST> from before what clients write, or end with $ "
                                 "behind it; write [-\\w.]+ for what the program itself writes",
                                 from.where});
        filter_->patterns.push_back(std::move(*pattern));
    }

    const FilterConfig& config_;
    const FilterUse& use_;
    WordLists lists_;
    JsonConfig json_;  // the filter's, with the jail's paths
    JsonLayout layout_;
    // Of a JSON log: the numbers of paths that have a name.
    std::map<std::string, std::size_t, std::less<>> named_;
    std::vector<Error>& errors_;
    std::vector<Error>& warnings_;
    std::shared_ptr<Filter> filter_ = std::make_shared<Filter>();
};

}  // namespace

FilterUse use_of(const JailConfig& jail) {
    return {jail.modes, jail.lists, jail.patterns, jail.json, jail.trusted_proxies};
}

std::shared_ptr<const Filter> compile_filter(const FilterConfig& config, const FilterUse& use,
                                             std::vector<Error>& errors,
                                             std::vector<Error>& warnings,
                                             SharedDates* shared_dates) {
    return FilterCompiler(config, use, errors, warnings).run(shared_dates);
}

namespace {

// Conditions and counts may name only what the filter captures: a misspelt name would never be
// found in any line.
void check_fields(const JailConfig& jail, const Filter& filter, std::vector<Error>& errors) {
    if (jail.needed_fields.empty()) return;
    std::vector<std::string_view> captured;
    auto take = [&](const Pattern& pattern) {
        for (const auto& [name, group] : pattern.fields)
            if (std::ranges::find(captured, name) == captured.end()) captured.push_back(name);
    };
    std::ranges::for_each(filter.patterns, take);
    for (const Pattern& pattern : filter.patterns)
        for (const FieldTest& test : pattern.tests) std::ranges::for_each(test.regexes, take);
    if (filter.json)
        for (const auto& [name, number] : filter.json->fields) captured.emplace_back(name);
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
    std::map<std::pair<std::string, FilterUse>, std::shared_ptr<const Filter>> made;
    for (const JailConfig& jail : config.jails) {
        auto filter = config.filters.find(jail.filter);
        if (filter == config.filters.end()) {
            compiled.filters.emplace_back();
            continue;
        }
        auto& shared = made[{jail.filter, use_of(jail)}];
        if (!shared)
            shared = compile_filter(filter->second, use_of(jail), compiled.errors,
                                    compiled.warnings, &dates);
        compiled.filters.push_back(shared);
        if (shared) check_fields(jail, *shared, compiled.errors);
    }
    return compiled;
}

std::size_t line_limit_of(const Filter& filter, std::size_t line_limit) {
    return filter.json ? std::max(line_limit, Config::longest_json_line) : line_limit;
}

std::shared_ptr<const Ruleset> make_ruleset(const JailFilters& filters,
                                            const std::vector<JailIndex>& jails, const Zone& zone,
                                            Escapes escapes, std::size_t line_limit) {
    auto ruleset = std::make_shared<Ruleset>();
    ruleset->zone = zone;
    ruleset->escapes = escapes;
    ruleset->line_limit = line_limit;
    for (JailIndex jail : jails) {
        const auto& filter = filters[jail];
        if (!filter) continue;
        auto rule = std::ranges::find(ruleset->rules, filter, &Rule::filter);
        if (rule == ruleset->rules.end())
            ruleset->rules.push_back({filter, {jail}});
        else
            rule->jails.push_back(jail);
    }
    for (const Rule& rule : ruleset->rules)
        ruleset->line_limit =
            std::max(ruleset->line_limit, line_limit_of(*rule.filter, line_limit));
    prepare(*ruleset);
    return ruleset;
}

std::vector<Error> check_samples(const FilterConfig& config, const Zone& zone) {
    std::vector<Error> errors;
    std::vector<Error> ignored;
    auto filter = compile_filter(config, {{"aggressive"}, config.sample_lists}, errors, ignored);
    if (!errors.empty()) return errors;
    constexpr Instant arrival = Instant::from_seconds(4102444800);  // 2100
    for (const Sample& sample : config.samples) {
        MatchScratch scratch;
        Seen seen = see(*filter, sample.line, zone, arrival, Escapes::automatic, scratch);
        FilterMatch found = match(*filter, seen.tag, seen.text, scratch);
        std::string got = "none";
        if (found.fate == LineFate::hit) got = found.pattern->id;
        if (found.fate == LineFate::ignored) got = "ignored";
        if (found.fate == LineFate::wrong_tag && sample.match != "none")
            got = "none (its tag is \"" + std::string(seen.tag) + "\")";
        if (found.fate == LineFate::no_json && sample.match != "none")
            got = "none (it is no JSON object)";
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
