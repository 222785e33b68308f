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

// Its lines belong together with others of one connection.
bool converses(const Pattern& pattern) {
    return has_field(pattern,
                     [](std::string_view name) { return name == "mlfid" || name == "nofail"; });
}

// One filter, as one jail uses it.
class FilterCompiler {
  public:
    FilterCompiler(const FilterConfig& config, const std::vector<std::string>& modes,
                   const WordLists& more_words, std::vector<Error>& errors,
                   std::vector<Error>& warnings)
        : config_(config),
          modes_(modes),
          lists_(config.lists),
          errors_(errors),
          warnings_(warnings) {
        for (const auto& [name, words] : more_words)
            lists_[name].insert(lists_[name].end(), words.begin(), words.end());
    }

    std::shared_ptr<const Filter> run(SharedDates* shared_dates) {
        filter_->name = config_.name;
        filter_->identity = config_.name;
        for (const std::string& mode : modes_) filter_->identity += "," + mode;
        filter_->dialect = config_.dialect;
        filter_->senders = PrefixSet(config_.senders);
        if (!config_.tag.empty()) {
            if (auto tag = compile_tag(config_.tag))
                filter_->tag = std::move(*tag);
            else
                add_error(tag.error(), config_.tag_where);
        }
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
        filter_->converses = std::ranges::any_of(filter_->patterns, converses) ||
                             (filter_->prefix && converses(*filter_->prefix));
        return filter_;
    }

  private:
    bool is_fail2ban() const { return config_.dialect == Dialect::fail2ban; }

    void add_error(Error error, const Place& where) {
        error.where = where;
        errors_.push_back(std::move(error));
    }

    // In the jail's modes; and there are words for the lists that it names.
    bool is_used(const PatternConfig& pattern) const {
        bool wanted = pattern.mode.empty() ||
                      std::ranges::find(modes_, pattern.mode) != modes_.end() ||
                      std::ranges::find(modes_, "aggressive") != modes_.end();
        return wanted && !names_empty_list(pattern.regex, lists_);
    }

    std::optional<Pattern> compile(const PatternConfig& from, bool needs_host) {
        Fail2banOptions options{config_.usedns != UseDns::no, config_.maxlines > 1};
        auto pattern = is_fail2ban() ? compile_fail2ban(from.id, from.regex, options)
                                     : compile_pattern(from.id, from.regex, lists_, needs_host);
        if (pattern) return std::move(*pattern);
        add_error(pattern.error(), from.where);
        return {};
    }

    void add_fail_pattern(const PatternConfig& from) {
        if (!is_used(from)) return;
        auto pattern = compile(from, true);
        if (!pattern) return;
        std::string what = "pattern \"" + from.id + "\"";
        if (is_fail2ban() && !names_host(*pattern) &&
            !(filter_->prefix && names_host(*filter_->prefix))) {
            errors_.push_back({what, "has no <HOST>",
                               "mark where the address is with <HOST>, <ADDR> or <F-ID>",
                               from.where});
            return;
        }
        // fail2ban's patterns come with their own guards, which the check does not know.
        if (auto forgery = is_fail2ban() ? std::nullopt : find_forgery(from.regex))
            warnings_.push_back({what, "a client could name another host: " + *forgery,
                                 "anchor it with ^, and write [^\"]* or \\S+ in place of .*",
                                 from.where});
        filter_->patterns.push_back(std::move(*pattern));
    }

    const FilterConfig& config_;
    const std::vector<std::string>& modes_;
    WordLists lists_;
    std::vector<Error>& errors_;
    std::vector<Error>& warnings_;
    std::shared_ptr<Filter> filter_ = std::make_shared<Filter>();
};

}  // namespace

std::shared_ptr<const Filter> compile_filter(
    const FilterConfig& config, const std::vector<std::string>& modes, const WordLists& more_words,
    std::vector<Error>& errors, std::vector<Error>& warnings, SharedDates* shared_dates) {
    return FilterCompiler(config, modes, more_words, errors, warnings).run(shared_dates);
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
        MatchScratch scratch;
        Seen seen = see(*filter, sample.line, zone, arrival, Escapes::automatic, scratch);
        FilterMatch found = match(*filter, seen.tag, seen.text, scratch);
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
