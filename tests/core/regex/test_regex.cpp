// SPDX-License-Identifier: GPL-2.0-or-later
// What our own parser knows of a regex is what RE2 knows.
#include "core/match/pattern.h"
#include "core/regex/forgery.h"
#include "core/regex/inventor.h"
#include "core/regex/lazy_regex.h"
#include "core/regex/pcre.h"
#include "core/regex/syntax.h"
#include "os/clock.h"
#include "support/common.h"

using namespace bandd;

TEST_CASE("RE2 need not be asked whether it takes a pattern whose syntax is known exactly") {
    static const std::vector<std::string> parts{
        "a",     "A",      "_",       "-",         "]",          "[",          "[^",
        "^",     "$",      "(",       ")",         "(?:",        "(?i)",       "(?i:",
        "(?-i)", "(?-",    "(?",      "(?P<n>",    "(?P<m>",     "(?<n>",      "|",
        "*",     "+",      "?",       "{",         "}",          "{2}",        "{2,}",
        "{,3}",  "{2,5}",  "{5,2}",   "{1000}",    "{1001}",     "{1,388888}", "{99999999999}",
        "{40}",  ",",      ".",       "\\",        "\\d",        "\\S",        "\\w",
        "\\b",   "\\A",    "\\z",     "\\Z",       "\\Q",        "\\C",        "\\x41",
        "\\xe4", "\\x4",   "\\x{41}", "\\n",       "\\.",        "\\_",        "\\-",
        "\\0",   "\\1",    "\\pL",    "[:alpha:]", "[:^digit:]", "[[:word:]]", "<",
        "\xe4",  "\\\xe4", ":",       "#",         "=",          "!",          "P",
        "i",     "s",      "-i",      "\\v",       "*?",         "++",         "\n",
        "9"};
    Inventor invent(GENERATE(5U, 6U, 7U));
    std::size_t known = 0;
    for (int i = 0; i < 60'000; ++i) {
        std::string regex;
        if (i % 10 == 0) {
            regex = invent.pattern();
            for (int j = 0; j < 3 && invent.any(2) == 0; ++j)
                regex = "(?:" + regex + "){" + std::to_string(1 + invent.any(40)) + "}";
        } else {
            for (std::size_t j = 0, count = 1 + invent.any(9); j < count; ++j)
                regex += parts[invent.any(parts.size())];
        }
        if (!syntax::parse(regex, syntax::Language::exact)) continue;
        LazyRegex lazy(regex, pattern_options());
        INFO(regex);
        auto outline = lazy.outline();
        REQUIRE(outline.has_value() == lazy.re2().ok());
        if (!outline) continue;
        ++known;
        const RE2& re2 = lazy.re2();
        REQUIRE(outline->groups == static_cast<std::size_t>(re2.NumberOfCapturingGroups()) + 1);
        const auto& names = re2.NamedCapturingGroups();
        REQUIRE(std::map<std::string, int>(outline->names.begin(), outline->names.end()) == names);
    }
    CHECK(known > 5000);
    // More than RE2 has room for, though a run is one instruction here.
    std::string large;
    for (int i = 0; i < 700; ++i) large += "[a-c][^x]{1000}";
    REQUIRE(syntax::parse(large, syntax::Language::exact));
    auto pattern = compile_pattern("p", large, {}, false);
    REQUIRE_FALSE(pattern);
    CHECK(pattern.error().reason.find("too large") != std::string::npos);
}

TEST_CASE("behind flags, a count is of what stands before them, as in RE2") {
    for (const char* regex : {"^ab(?i){2}$", "^(?:ab(?i)*c)$", "(?:ab(?-i)?)+$"}) {
        INFO(regex);
        auto pattern = compile_pattern("p", regex, {}, false);
        REQUIRE(pattern);
        CHECK(required_literals(*pattern).empty());
        MatchScratch scratch;
        for (const char* text : {"abb", "ab", "ab{2}", "AB{2}", "ac", "abbC", "ab*c", "a", "ab?"}) {
            INFO(text);
            CHECK((search(*pattern, text, scratch) == Pcre::Outcome::match) ==
                  RE2::PartialMatch(text, pattern->lazy->re2()));
        }
    }
}

TEST_CASE("letters beyond ASCII in a class whose range ends in a bracket") {
    auto pattern = compile_pattern("p", "^[!-[:\xe4:]+x$", {}, false);
    REQUIRE(pattern);
    CHECK(pattern->lazy->re2().ok());
    CHECK(RE2::FullMatch("9\xe4:x", pattern->lazy->re2()));
}

TEST_CASE("the syntax tree knows what RE2 knows") {
    // Everything that RE2 compiles here must be read, or be given up without harm.
    for (const char* regex :
         {"a|b", "(?i)abc", "(?i:a)b", "[[:alpha:]_-]+", "[^]a]", "\\x41\\d\\W", "a{2,3}?",
          "(?P<n>x)", "\\bfoo\\B", "x*?", "[\\]\\-]", "a{,2}", "{", "a{x}"})
        CHECK(syntax::parse(regex));
    for (const char* regex : {"(?=x)", "(?<!x)", "\\1", "(", "[a", "a)"})
        CHECK_FALSE(syntax::parse(regex));
    auto tree = syntax::parse("(?i:a)[b-d]?");
    CHECK(syntax::first_bytes(*tree).count() == 2);
    CHECK(syntax::last_bytes(*tree).count() == 5);
}

TEST_CASE("patterns through which a client could name another host are found") {
    for (const char* unsafe : {
             "from <HOST>",
             "^user .* from <HOST>",
             "^user .* from <HOST> .*$",
             "^<F-USER>.*</F-USER><HOST> .*$",
             "^user \\S+(?: \\S+)? from <HOST>",
             "^.*<HOST>$",
             "^.* \"SMTPD\"\t\\d*\t\\d*\t\".*\"\t\"<HOST>\"\t\"RECEIVED: EHLO .*\\.us\"$",
             "^(?:<HOST> )+$",
             "^x .{0,80} from <HOST>",
             // A client is called `x from 198.51.100.7`, or `x" from 198.51.100.7`.
             "^user [^ ]+ from <HOST>",
             "^user \\S+ from <HOST>(?: port \\d+)?",
             "^user \"[^\"]*\" from <HOST>",
             "^user <F-USER>\\w+</F-USER> from <HOST>",
             "^user <F-USER>[\\w.]+</F-USER> from <HOST> .*$",
             "^user \\S+ from <HOST> by [^ ]+$",
             "^user (?:[^\"\\\\]|\\\\.)* from <HOST>",
             "^\"SMTPD\"\\t\\d+\\t\\d+\\t\"[^\"]*\"\\t\"<HOST>\"\\t\"SENT: 503",
         }) {
        INFO(unsafe);
        CHECK(find_forgery(unsafe));
    }
    for (const char* safe : {
             "^<HOST> ",
             "^user [^ ]+ from <HOST>$",
             "^user \"[^\"]*\" from <HOST>(?: port \\d+)?$",
             "^user <F-USER>\\w+</F-USER> from <HOST> port \\d+$",
             "^\"SMTPD\"\\t\\d+\\t\\d+\\t\"[-\\d:. ]*\"\\t\"<HOST>\"\\t\"SENT: 503",
             "^Failed \\S+ for (?:invalid user )?<F-USER>.*</F-USER> from <HOST> port \\d+(?: "
             "ssh\\d*)?$",
             "from <HOST>$",
             "^[-\\w.]*\\[<HOST>\\](?::\\d+)?: SASL",
             "^user .* rip=<HOST>, lip=[\\da-f.:]*$",
             "^x (?:yes|no) <HOST>",
             "^x \\d* <HOST>",
         }) {
        INFO(safe);
        CHECK_FALSE(find_forgery(safe));
    }
}

// A search anywhere in the text begins anew at each byte, and each begin may cost much.
TEST_CASE("PCRE2 gives up on a line that takes too long, wherever in it the time goes") {
    Pcre::measure_with(thread_seconds);
    std::string parts;
    for (int i = 0; i < 37; ++i) parts += std::string(1400, 'a') + " ";
    for (auto [pattern, text] :
         {std::pair<std::string, std::string>{R"((?!x)\S+ from (?=\d))",
                                              std::string(60'000, 'a') + " from x"},
          {"(?!x)a*a*[bq]", parts},
          {"(?!x)(a|aa)+[bq]", parts}}) {
        INFO(pattern);
        auto regex = Pcre::compile(pattern);
        REQUIRE(regex);
        std::vector<std::string_view> groups;
        PcreScratch scratch;
        CHECK(regex->search(text, groups, scratch) == Pcre::Outcome::gave_up);
        CHECK(regex->search("xyz ab", groups, scratch) ==
              (pattern.ends_with("[bq]") ? Pcre::Outcome::match : Pcre::Outcome::no_match));
    }
}

TEST_CASE("PCRE2: places of errors, verbs, alternatives, groups") {
    std::vector<std::string_view> groups;
    PcreScratch scratch;
    CHECK(Pcre::compile("ab(").error().what == "PCRE2 refuses it at byte 4");
    CHECK(Pcre::compile("a)b").error().what == "PCRE2 refuses it at byte 2");
    auto verbs = Pcre::compile("(*UTF)(*UCP)\\w(?=!)|(b)");
    REQUIRE(verbs);
    CHECK(verbs->search("\xc3\xa9!", groups, scratch) == Pcre::Outcome::match);
    CHECK(verbs->search("b", groups, scratch) == Pcre::Outcome::match);
    CHECK(groups.at(1) == "b");
    auto either = Pcre::compile("^a(?=b)|^(c)");
    REQUIRE(either);
    CHECK(either->search("xab", groups, scratch) == Pcre::Outcome::no_match);
    CHECK(either->search("c", groups, scratch) == Pcre::Outcome::match);
    CHECK(groups.at(1) == "c");
}
