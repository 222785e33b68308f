// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/match/pattern.h"

#include <algorithm>
#include <cctype>

#include "core/base/ascii.h"
#include "core/match/fail2ban_pattern.h"
#include "core/regex/host_regex.h"

namespace bandd {
namespace {

// A DFA of a single pattern stays far below; over it RE2 falls back to its NFA, slower but exact.
constexpr std::int64_t pattern_memory = 8 << 20;

// Writes `source` as RE2 wants it, noting the groups on the way.
class Translation {
  public:
    Translation(std::string_view source, const WordLists& lists) : source_(source), lists_(lists) {}

    Result<> run(Pattern& pattern) {
        while (at_ < source_.size()) {
            char c = source_[at_];
            if (c == '\\' && at_ + 1 < source_.size()) {
                copy(2);
            } else if (c == '[') {
                copy_class();
            } else if (c == '(') {
                open_group(pattern);
            } else if (c == '{' && source_.substr(at_, 2) == "{,") {
                // Python reads "{,n}" as "{0,n}"; RE2 would take it as literal text, in silence.
                out_ += "{0,";
                at_ += 2;
            } else if (c == '<') {
                if (auto done = tag(pattern); !done) return done;
            } else {
                copy(1);
            }
        }
        if (!open_fields_.empty())
            return fail("<F-" + open_fields_.back() + ">", "is never closed",
                        "write </F-" + open_fields_.back() + ">");
        pattern.regex = std::move(out_);
        return {};
    }

  private:
    void copy(std::size_t count) {
        out_ += source_.substr(at_, count);
        at_ += count;
    }

    void copy_class() {
        copy(1);
        if (peek("^")) copy(1);
        if (peek("]")) copy(1);
        while (at_ < source_.size() && source_[at_] != ']') copy(source_[at_] == '\\' ? 2 : 1);
        if (at_ < source_.size()) copy(1);
    }

    bool peek(std::string_view what) const { return source_.substr(at_).starts_with(what); }

    void open_group(Pattern& pattern) {
        if (peek("(?P<")) {
            ++groups_;
            auto close = source_.find('>', at_);
            if (close != std::string_view::npos)
                pattern.fields.emplace_back(source_.substr(at_ + 4, close - at_ - 4), groups_);
            copy(close == std::string_view::npos ? 1 : close - at_ + 1);
            return;
        }
        if (!peek("(?")) ++groups_;
        copy(1);
    }

    void add_host(Pattern& pattern, std::string_view regex) {
        pattern.host_groups.push_back(++groups_);
        out_ += regex;
    }

    Result<> tag(Pattern& pattern) {
        auto close = source_.find('>', at_);
        if (close == std::string_view::npos) {
            copy(1);
            return {};
        }
        std::string_view name = source_.substr(at_ + 1, close - at_ - 1);
        if (name == "HOST" || name == "ADDR") {
            add_host(pattern, host_regex());
        } else if (name == "IP4") {
            add_host(pattern, in_host_regex(ipv4_regex));
        } else if (name == "IP6") {
            add_host(pattern, in_host_regex(ipv6_regex));
        } else if (name.starts_with("F-")) {
            std::string_view field = name.substr(2);
            bool empty = field.ends_with('/');
            if (empty) field.remove_suffix(1);
            pattern.fields.emplace_back(ascii_lower(field), ++groups_);
            out_ += empty ? R"((\S*))" : "(";
            if (!empty) open_fields_.emplace_back(field);
        } else if (name.starts_with("/F-")) {
            if (open_fields_.empty() || open_fields_.back() != name.substr(3))
                return fail("<" + std::string(name) + ">", "closes no open <F-…>",
                            "fields must be nested properly");
            open_fields_.pop_back();
            out_ += ")";
        } else if (name.starts_with("LIST:")) {
            auto found = lists_.find(name.substr(5));
            if (found == lists_.end())
                return fail("<" + std::string(name) + ">", "no such list",
                            "declare it under \"lists:\" of the filter");
            add_list(found->second);
        } else {
            copy(1);  // plain text that happens to have angle brackets
            return {};
        }
        at_ = close + 1;
        return {};
    }

    void add_list(const std::vector<std::string>& items) {
        out_ += "(?i:";
        bool first = true;
        for (const std::string& item : items) {
            if (!first) out_ += "|";
            first = false;
            std::size_t from = 0;
            while (true) {
                auto star = item.find('*', from);
                out_ += RE2::QuoteMeta(item.substr(from, star - from));
                if (star == std::string::npos) break;
                out_ += R"([^\s"<>]*)";
                from = star + 1;
            }
        }
        out_ += ")";
    }

    std::string_view source_;
    const WordLists& lists_;
    std::size_t at_ = 0;
    std::string out_;
    int groups_ = 0;
    std::vector<std::string> open_fields_;
};

}  // namespace

std::optional<LazyRegex::Outline> take_regex(Pattern& pattern, const RE2::Options& options) {
    pattern.lazy = std::make_unique<LazyRegex>(pattern.regex, options);
    auto outline = pattern.lazy->outline();
    if (outline) pattern.groups = outline->groups;
    return outline;
}

RE2::Options pattern_options() {
    RE2::Options options;
    options.set_encoding(RE2::Options::EncodingLatin1);
    options.set_dot_nl(true);
    options.set_log_errors(false);
    options.set_max_mem(pattern_memory);
    return options;
}

Result<Pattern> compile_pattern(std::string_view id, std::string_view source,
                                const WordLists& lists, bool needs_host) {
    Pattern pattern;
    pattern.id = id;
    pattern.source = source;
    std::string what = "pattern \"" + pattern.id + "\"";
    if (auto done = Translation(source, lists).run(pattern); !done)
        return fail(what, done.error().what + " " + done.error().reason, done.error().hint);
    if (!take_regex(pattern, pattern_options())) {
        // The offending part, unless that is the whole pattern with its tags replaced.
        std::string reason = pattern.lazy->re2().error();
        const std::string& part = pattern.lazy->re2().error_arg();
        if (auto whole = reason.rfind(": " + pattern.regex);
            part == pattern.regex && whole != std::string::npos)
            reason.resize(whole);
        std::string hint;
        if (part.starts_with("(?") && part != pattern.regex)
            hint = "RE2 has no look-ahead, look-behind or back-references";
        return fail(what, "RE2 refuses it: " + reason, hint);
    }
    if (pattern.groups > most_groups)
        return fail(what, "has more than " + std::to_string(most_groups - 1) + " groups",
                    "write (?:…) where nothing is captured");
    if (needs_host && pattern.host_groups.empty())
        return fail(what, "has no <HOST>", "mark where the address stands with <HOST>");
    return pattern;
}

Result<Pattern> compile_tag(std::string_view source) {
    Pattern pattern;
    pattern.id = "tag";
    pattern.source = source;
    // Refused as it was written, not as it is wrapped.
    LazyRegex alone(pattern.source, pattern_options());
    if (!alone.outline()) return fail("tag", "RE2 refuses it: " + alone.re2().error());
    pattern.regex = "\\A(?:" + pattern.source + ")\\z";
    if (!take_regex(pattern, pattern_options()))
        return fail("tag", "RE2 refuses it: " + pattern.lazy->re2().error());
    return pattern;
}

bool names_empty_list(std::string_view source, const WordLists& lists) {
    for (const auto& [name, items] : lists)
        if (items.empty() && source.find("<LIST:" + name + ">") != std::string_view::npos)
            return true;
    return false;
}

namespace {

// What the value of a test must hold: a text of this set, or nothing that is known.
std::optional<LiteralSet> required_by(const FieldTest& test) {
    LiteralSet any;
    for (const std::string& text : test.texts) {
        auto literal = required_literal(text);
        if (!literal) return {};
        any.push_back(std::move(*literal));
    }
    for (const Pattern& regex : test.regexes) {
        auto sets = required_literals(regex.regex, syntax::Language::re2, LineForm::json);
        if (sets.empty()) return {};
        any.insert(any.end(), sets[0].begin(), sets[0].end());
    }
    if (any.size() > most_literals) return {};
    return any;
}

std::vector<LiteralSet> required_of_json(const Pattern& pattern) {
    std::vector<LiteralSet> sets;
    if (!pattern.only_tests)
        sets = required_literals(pattern.regex, syntax::Language::re2, LineForm::json);
    for (const FieldTest& test : pattern.tests)
        if (auto set = required_by(test)) sets.push_back(std::move(*set));
    // Most lines of a log have the same keys, so these are for want of something better.
    if (sets.empty())
        for (const std::string& key : pattern.keys)
            if (auto literal = required_literal(key)) sets.push_back({std::move(*literal)});
    return sets;
}

}  // namespace

std::vector<LiteralSet> required_literals(const Pattern& pattern) {
    if (pattern.json) return required_of_json(pattern);
    return required_literals(
        pattern.regex, pattern.pcre ? syntax::Language::pcre2 : syntax::Language::re2,
        pattern.dialect == Dialect::fail2ban ? LineForm::date_cut_out : LineForm::plain);
}

const FieldTest* failing_test(const Pattern& pattern, MatchScratch& scratch, Fields& fields) {
    for (const FieldTest& test : pattern.tests) {
        auto value = scratch.json.value(test.number);
        if (!value) return &test;
        if (std::ranges::find(test.texts, *value) != test.texts.end()) continue;
        auto matching = std::ranges::find_if(test.regexes, [&](const Pattern& regex) {
            return search(regex, *value, scratch) == Pcre::Outcome::match;
        });
        if (matching == test.regexes.end()) return &test;
        for (const auto& [name, index] : matching->fields)
            if (auto text = scratch.groups[static_cast<std::size_t>(index)]; !text.empty())
                fields.set(name, text);
    }
    return nullptr;
}

Pcre::Outcome search(const Pattern& pattern, std::string_view text, MatchScratch& scratch) {
    std::vector<std::string_view>& groups = scratch.groups;
    if (pattern.pcre) return pattern.pcre->search(text, groups, scratch.pcre);
    groups.resize(pattern.groups);
    return pattern.lazy->search(text, groups) ? Pcre::Outcome::match : Pcre::Outcome::no_match;
}

CaptureResult capture(const Pattern& pattern, std::string_view message, MatchScratch& scratch,
                      Captured& captured) {
    switch (search(pattern, message, scratch)) {
        case Pcre::Outcome::no_match:
            return CaptureResult::no_match;
        case Pcre::Outcome::gave_up:
            return CaptureResult::gave_up;
        case Pcre::Outcome::match:
            break;
    }
    const std::vector<std::string_view>& groups = scratch.groups;
    auto group = [&](int index) { return groups[static_cast<std::size_t>(index)]; };
    captured.address.reset();
    clear_kept(captured.name);
    captured.fields.clear();
    if (pattern.dialect == Dialect::fail2ban) {
        take_fail2ban_fields(pattern, groups, captured);
        return CaptureResult::captured;
    }
    for (int index : pattern.host_groups)
        if (!group(index).empty() && (captured.address = parse_address(group(index)))) break;
    if (!captured.address && !pattern.host_groups.empty()) return CaptureResult::no_address;
    for (const auto& [name, index] : pattern.fields)
        if (!group(index).empty()) captured.fields.add(name, group(index));
    return CaptureResult::captured;
}

}  // namespace bandd
