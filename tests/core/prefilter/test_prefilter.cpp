// SPDX-License-Identifier: GPL-2.0-or-later
// The prefilter is proven by the way without it: whatever patterns and lines, the hits are the
// same.
#include <random>

#include "core/base/ascii.h"
#include "core/match/fail2ban_pattern.h"
#include "core/match/scanner.h"
#include "core/prefilter/gate.h"
#include "core/prefilter/text_finder.h"
#include "support/common.h"

using namespace bandd;

namespace {

std::vector<std::string> texts_of(const std::string& regex) {
    std::vector<std::string> texts;
    for (const LiteralSet& set : required_literals(*compile_pattern("p", regex, {}, false))) {
        std::string text;
        for (const Literal& literal : set)
            text += (text.empty() ? "" : "|") + literal.text + (literal.any_case ? "/i" : "");
        texts.push_back(text);
    }
    return texts;
}
using Texts = std::vector<std::string>;

// A pattern, and texts that it matches.
class Inventor {
  public:
    explicit Inventor(unsigned seed) : random_(seed) {}
    std::size_t any(std::size_t below) { return random_() % below; }

    std::string word() {
        static const std::vector<std::string> words{
            "fail", "Failed pass", "user ",   "from ", "\t", "\"", "auth",
            "x",    "..",          "SENT: 5", "<",     "/",  "é",  "invalid user ",
            "LOG",  "not allowed"};
        return words[any(words.size())];
    }
    static std::string quoted(const std::string& text) {
        std::string out;
        for (char c : text)
            if (c == '\t')
                out += "\\t";
            else if (std::string_view(".\"/<").contains(c))
                out += std::string("\\") + c;
            else
                out += c;
        return out;
    }

    // Appends to the regex, and to a text that this part of it matches.
    void part(std::string& regex, std::string& text, int depth) {
        switch (any(depth > 2 ? 5 : 9)) {
            case 0:
            case 1:
            case 2: {
                std::string one = word();
                regex += quoted(one);
                text += one;
                break;
            }
            case 3:
                regex += "\\d+";
                text += std::to_string(any(10000));
                break;
            case 4:
                regex += "[^\"]*";
                text += any(2) == 0 ? "" : "stuff";
                break;
            case 5: {
                std::string left;
                std::string right;
                std::string a;
                std::string b;
                parts(left, a, depth + 1);
                parts(right, b, depth + 1);
                regex += "(?:" + left + "|" + right + ")";
                text += any(2) == 0 ? a : b;
                break;
            }
            case 6: {
                std::string inner;
                std::string one;
                parts(inner, one, depth + 1);
                regex += "(?:" + inner + ")?";
                if (any(2) == 0) text += one;
                break;
            }
            case 7: {
                std::string inner;
                std::string one;
                parts(inner, one, depth + 1);
                regex += "(?i:" + inner + ")";
                for (char& c : one)
                    if (c >= 'a' && c <= 'z' && any(2) == 0) c = static_cast<char>(c - 32);
                text += one;
                break;
            }
            default: {
                std::string inner;
                std::string one;
                parts(inner, one, depth + 1);
                regex += "(?:" + inner + ")+";
                text += one;
                if (any(2) == 0) text += one;
            }
        }
    }
    void parts(std::string& regex, std::string& text, int depth) {
        for (std::size_t i = 0; i < 1 + any(4); ++i) part(regex, text, depth);
    }

    // As some program writes it into a log.
    std::string written(const std::string& text) {
        std::string line = text;
        switch (any(4)) {
            case 0:
                return line;
            case 1: {
                line.clear();
                for (char c : text) {
                    auto byte = static_cast<unsigned char>(c);
                    char octal[8];
                    std::snprintf(octal, sizeof octal, "#%03o", byte);
                    line += byte < 32 ? std::string(octal) : std::string(1, c);
                }
                return "Nov 21 10:00:00 mx app[1]: " + line;
            }
            case 2: {
                line.clear();
                for (char c : text) {
                    if (c == '"' || c == '\\')
                        line += std::string("\\") + c;
                    else if (c == '\t')
                        line += "\\t";
                    else if (c == '<')
                        line += "\\u003c";
                    else if (c == '/' && any(2) == 0)
                        line += "\\/";
                    else
                        line += c;
                }
                return "{\"log\":\"" + line +
                       "\\n\",\"stream\":\"stderr\",\"time\":\"2026-11-21T10:00:00.1Z\"}";
            }
            default:
                if (!line.empty()) line.erase(any(line.size()), 1);
                return "2026-11-21 10:00:00 " + line;
        }
    }

  private:
    std::mt19937 random_;
};

std::vector<std::string> hits_with(Ruleset& rules, const std::string& text,
                                   const PrepareOptions& options) {
    prepare(rules, options);
    Scratch scratch;
    Hits hits;
    scan(rules, Chunk{0, text, {}}, at(0), scratch, hits);
    std::vector<std::string> found;
    for (const Hit& hit : hits)
        found.push_back(std::to_string(hit.rule->jails[0]) + " " + hit.pattern->id + " " +
                        (hit.address ? to_string(*hit.address) : hit.name) + " " +
                        std::string(hit.line));
    return found;
}

}  // namespace

TEST_CASE("what a pattern requires: its longest texts, alternatives together") {
    CHECK(texts_of("^denied <HOST>$") == Texts{"denied "});
    CHECK(texts_of("^(?:bad|wrong) password for \\S+ from <HOST>$") ==
          Texts{"bad password for |wrong password for "});
    CHECK(texts_of("^(?:Invalid|Illegal) user") == Texts{"Illegal user|Invalid user"});
    CHECK(texts_of("^(?i)Denied <HOST>") == Texts{"denied /i"});
    CHECK(texts_of("^\"SMTPD\"\\t\\d+\\t\"<HOST>\"") == Texts{"SMTPD"});
    CHECK(texts_of("^x? ?<HOST>$").empty());
    CHECK(texts_of("^(?:denied )?<HOST>$").empty());
    CHECK(texts_of("^(?:denied )+<HOST>$") == Texts{"denied "});
}

TEST_CASE("what a pattern requires: rather a short text than one that ordinary lines hold") {
    CHECK(texts_of(R"(^<HOST> .*\$\{.*://)") == Texts{"${"});
    CHECK(texts_of(R"(^<HOST> .*"POST .* HTTP/)") == Texts{"POST "});
}

TEST_CASE("what a pattern requires may be cut in two by a date, and then half of it is enough") {
    auto pattern = compile_fail2ban("p", "^fd=\\d+ session closed for <HOST>$", {});
    REQUIRE(pattern);
    auto sets = required_literals(*pattern);
    REQUIRE(sets.size() == 1);
    CHECK(sets[0] == LiteralSet{{" session c", false}, {"losed for ", false}});
}

TEST_CASE("what a pattern requires is not lost by look-around, conditions and back-references") {
    auto required = [](const std::string& regex) {
        auto pattern = compile_fail2ban("p", regex, {});
        REQUIRE(pattern);
        REQUIRE(pattern->pcre);
        std::string text;
        for (const LiteralSet& set : required_literals(*pattern))
            for (const Literal& literal : set) text += literal.text + "|";
        return text;
    };
    CHECK(required("^(?!noise)authentication failure <HOST>$") == "authenticat|ion failure |");
    CHECK(required("^(?P<q>\")?authentication failure(?(q)\") <HOST>$") != "");
    CHECK(required("^(\\S+) authentication failure \\1 <HOST>$") != "");
}

TEST_CASE("a gate opens for whatever holds a text of each of a check's sets") {
    std::mt19937 random(GENERATE(range(1U, 40U)));
    auto any = [&](std::size_t below) { return random() % below; };
    static const std::vector<std::string> words{"fail", "auth",   "user ", " from ", "Log",
                                                ": ",   "reject", "x",     "12",     "entication"};
    std::vector<std::vector<LiteralSet>> required(1 + any(30));
    for (auto& sets : required)
        for (std::size_t i = any(3); i > 0; --i) {
            LiteralSet& set = sets.emplace_back();
            for (std::size_t j = 1 + any(4); j > 0; --j) {
                std::string text;
                while (text.size() < shortest_literal || any(2) == 0)
                    text += words[any(words.size())];
                bool any_case = any(4) == 0;
                set.push_back({any_case ? ascii_lower(text) : text, any_case});
            }
        }
    Gate gate = choose_gate(required);
    REQUIRE(gate.texts.size() == gate.opens_for.size());
    auto opens = [&](const std::string& line, std::uint32_t check) {
        for (std::size_t i = 0; i < gate.texts.size(); ++i) {
            const auto& [text, any_case] = gate.texts[i];
            if ((any_case ? ascii_lower(line) : line).find(text) != std::string::npos &&
                std::ranges::find(gate.opens_for[i], check) != gate.opens_for[i].end())
                return true;
        }
        return false;
    };
    // The same where it must stand within what the check requires.
    auto opens_within = [&](const std::string& line, std::uint32_t check) {
        for (std::size_t i = 0; i < gate.texts.size(); ++i) {
            if (std::ranges::find(gate.opens_for[i], check) == gate.opens_for[i].end()) continue;
            const auto& [text, any_case] = gate.texts[i];
            std::string in = any_case ? ascii_lower(line) : line;
            auto places = places_of(gate.texts[i], check, required[check]);
            LiteralPlaces all(text.size(), places);
            for (auto at = in.find(text); at != std::string::npos; at = in.find(text, at + 1)) {
                std::size_t end = at + text.size();
                auto is_there = [&](const Within& within) { return is_within(line, end, within); };
                bool found = false;
                all.for_likely(line, end, [&](const Within& one) { found |= is_there(one); });
                CHECK(found == std::ranges::any_of(places, is_there));
                if (found) return true;
            }
        }
        return false;
    };
    for (std::uint32_t check = 0; check < required.size(); ++check) {
        if (required[check].empty()) continue;
        for (int round = 0; round < 20; ++round) {
            std::string line;
            for (const LiteralSet& set : required[check]) {
                Literal one = set[any(set.size())];
                for (char& c : one.text)
                    if (one.any_case && any(2) == 0) c = static_cast<char>(std::toupper(c));
                line += "|" + one.text;
            }
            // Near the ends of a chunk less of it can be compared at once.
            if (any(2) == 0) line.insert(0, 1 + any(10), '.');
            if (any(2) == 0) line.append(1 + any(10), '.');
            INFO("line " << line << ", check " << check);
            CHECK(opens(line, check));
            CHECK(opens_within(line, check));
        }
    }
}

TEST_CASE("of the many places of a common text, all that are there are looked at, and few others") {
    std::mt19937 random(11);
    auto any = [&](std::size_t below) { return static_cast<std::size_t>(random() % below); };
    auto letters = [&](std::size_t count) {
        std::string text;
        while (text.size() < count) text += "abAB :"[any(6)];
        return text;
    };
    std::size_t seen = 0;
    std::size_t compared = 0;
    for (int round = 0; round < 200; ++round) {
        LiteralSet literals;
        for (std::size_t i = 0; i < 1 + any(150); ++i) {
            bool any_case = any(3) == 0;
            std::string text = letters(any(6)) + "failed" + letters(any(6));
            literals.push_back({any_case ? ascii_lower(text) : text, any_case});
        }
        auto places = places_of({"failed", true}, 0, {literals});
        LiteralPlaces all(6, places);
        REQUIRE(all.size() == places.size());
        for (int line = 0; line < 20; ++line) {
            std::string text = letters(any(7)) + "failed" + letters(any(7));
            std::size_t end = text.find("failed") + 6;
            std::vector<Literal> found;
            std::vector<Literal> plain;
            all.for_likely(text, end, [&](const Within& within) {
                ++seen;
                if (is_within(text, end, within)) found.push_back(within.literal);
            });
            for (const Within& within : places)
                if (is_within(text, end, within)) plain.push_back(within.literal);
            CHECK(found == plain);
            compared += places.size();
        }
    }
    CHECK(seen < compared / 4);
}

TEST_CASE("a text is found in a line as by looking at each place") {
    std::mt19937 random(5);
    auto any = [&](std::size_t below) { return static_cast<std::size_t>(random() % below); };
    for (int round = 0; round < 5000; ++round) {
        auto some = [&](std::size_t most) {
            std::string text;
            for (std::size_t i = any(most + 1); i > 0; --i) text += "aAbB: "[any(6)];
            return text;
        };
        bool any_case = any(2) == 0;
        std::string text = some(4) + "b";
        if (any_case) text = ascii_lower(text);
        std::string line = some(12);
        INFO("\"" << text << "\" in \"" << line << "\"");
        bool there = (any_case ? ascii_lower(line) : line).find(text) != std::string::npos;
        CHECK(TextFinder(Literal{text, any_case}).is_in(line) == there);
    }
}

TEST_CASE("fail2ban's dialect: a text is cut in two where its halves are rare") {
    auto filter = compile_fail2ban("p", "^\\S+ slapd\\[\\d+\\]: conn=\\d+ <HOST>$", {});
    for (const LiteralSet& set : required_literals(*filter))
        for (const Literal& literal : set) CHECK(literal.text != "]: c");
}

TEST_CASE("a gate needs few texts, and none that ordinary lines hold if there is another") {
    auto exact = [](const char* text) { return LiteralSet{{text, false}}; };
    Gate gate = choose_gate(std::vector<std::vector<LiteralSet>>{
        {exact("535 Authentication failed"), exact("\"SMTPD\"")},
        {exact(": SASL LOGIN Authentication failed")},
        {exact("Disconnected from user"), exact("(preauth attack)")},
    });
    REQUIRE(gate.texts.size() == 2);
    CHECK(gate.opens_for[0] == std::vector<std::uint32_t>{0, 1});
    CHECK(std::string("(preauth attack)").find(gate.texts[1].text) != std::string::npos);
}

TEST_CASE("with and without prefilter: the same hits") {
    unsigned seed = GENERATE(range(1U, 13U));
    Inventor inventor(seed);
    Ruleset rules;
    std::string log;
    std::size_t with_literals = 0;
    for (JailIndex i = 0; i < 12; ++i) {
        auto filter = std::make_shared<Filter>();
        filter->name = "generated";
        for (int j = 0; j < 3; ++j) {
            std::string regex = inventor.any(2) == 0 ? "^" : "";
            std::string text;
            inventor.parts(regex, text, 0);
            regex += "<HOST>";
            auto pattern = compile_pattern("p" + std::to_string(j), regex, {}, true);
            if (!pattern) continue;
            if (!required_literals(*pattern).empty()) ++with_literals;
            filter->patterns.push_back(std::move(*pattern));
            for (int k = 0; k < 6; ++k)
                log += inventor.written(text + "203.0.113." + std::to_string(1 + i)) + "\n";
        }
        if (!filter->patterns.empty()) rules.rules.push_back({filter, {i}});
    }
    log += "harmless\n\nlast 203.0.113.9 without an end";
    CHECK(with_literals > 5);
    auto plain = hits_with(rules, log, {.prefilter = false});
    CHECK(plain.size() > 20);
    CHECK(hits_with(rules, log, {}) == plain);
}

TEST_CASE(
    "fail2ban's dialect: a line that holds a part of what a filter requires costs it nothing") {
    auto filter = std::make_shared<Filter>();
    filter->dialect = Dialect::fail2ban;
    filter->dates = std::make_shared<const DatePatterns>(*DatePatterns::compile({}));
    filter->patterns.push_back(std::move(
        *compile_fail2ban("p", "^\\s*Failed password for invalid user \\S+ from <HOST>$", {})));
    Ruleset rules;
    rules.rules.push_back({filter, {0}});
    std::string log;
    for (const char* text : {"Failed to start", "password forgotten", "a invalid user", "lid user"})
        log += std::string("Nov 21 10:00:00 ") + text + " from 203.0.113.9\n";
    log += "Nov 21 10:00:00 Failed password for invalid user joe from 203.0.113.9\n";
    prepare(rules);
    Scratch scratch;
    Hits hits;
    scan(rules, Chunk{0, log, {}}, at(0), scratch, hits);
    CHECK(scratch.counts.candidates == (rules.prepared.gate ? 1 : 5));
    CHECK(hits.size() == 1);
}

TEST_CASE("fail2ban's dialect: a date cut out of the middle of a text hides nothing") {
    auto filter = std::make_shared<Filter>();
    filter->name = "old";
    filter->dialect = Dialect::fail2ban;
    filter->dates = std::make_shared<const DatePatterns>(*DatePatterns::compile({}));
    filter->patterns.push_back(
        std::move(*compile_fail2ban("p", "^authentication failure of <HOST>$", {})));
    Ruleset rules;
    rules.rules.push_back({filter, {0}});
    std::string log;
    const std::string text = "authentication failure of 203.0.113.9";
    for (std::size_t at = 0; at < text.size() - 12; ++at) {
        std::string line = text;
        log += line.insert(at, " 2026-11-21 10:00:00 ") + "\n" + text + "\n";
    }
    auto plain = hits_with(rules, log, {.prefilter = false});
    CHECK(plain.size() >= text.size() - 12);
    CHECK(hits_with(rules, log, {}) == plain);
}

TEST_CASE("literals are found wherever they are") {
    std::mt19937 random(7);
    for (int round = 0; round < 300; ++round) {
        LiteralSet literals;
        // Few and many: a search may go about them in other ways.
        std::size_t count = 1 + random() % 120;
        for (std::size_t i = 0; i < count; ++i) {
            std::string text;
            for (std::size_t j = 0; j < 2 + random() % 9; ++j)
                text += static_cast<char>('a' + random() % 3);
            literals.push_back({text, random() % 3 == 0});
        }
        std::ranges::sort(literals);
        auto twice = std::ranges::unique(literals);
        literals.erase(twice.begin(), twice.end());
        std::string text;
        for (int j = 0; j < 400; ++j)
            text += static_cast<char>((random() % 8 == 0 ? 'A' : 'a') + random() % 4);
        // What no log holds may be among what a search looks for besides; nobody hears of it.
        for (int j = 0; j < 128; ++j) text += "\1\2\3\4\5" + std::string(1, static_cast<char>(j));
        auto found = [&](const LiteralScan& scan) {
            LiteralScratch scratch;
            std::vector<LiteralHit> hits;
            REQUIRE(scan.find(text, scratch, hits));
            std::vector<std::pair<std::uint32_t, std::uint32_t>> all;
            for (const LiteralHit& hit : hits) all.emplace_back(hit.end, hit.literal);
            std::ranges::sort(all);
            return all;
        };
        std::vector<std::pair<std::uint32_t, std::uint32_t>> expected;
        auto lower = [](std::string word) {
            for (char& c : word) c = static_cast<char>(std::tolower(c));
            return word;
        };
        for (std::uint32_t i = 0; i < literals.size(); ++i) {
            std::string word = literals[i].text;
            std::string in = literals[i].any_case ? lower(text) : text;
            for (auto at = in.find(word); at != std::string::npos; at = in.find(word, at + 1))
                expected.emplace_back(at + word.size(), i);
        }
        std::ranges::sort(expected);
        auto scan = LiteralScan::make(literals);
        if (!scan) return;  // not built in
        CHECK(found(*scan) == expected);
    }
}
