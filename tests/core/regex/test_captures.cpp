// SPDX-License-Identifier: GPL-2.0-or-later
// A pattern's own program takes the very captures that RE2 takes, or leaves them to it.
#include <random>

#include "config/compile.h"
#include "config/load.h"
#include "core/regex/capture_program.h"
#include "core/regex/inventor.h"
#include "core/regex/lazy_regex.h"
#include "support/common.h"

using namespace bandd;

namespace {

using Groups = std::vector<std::string_view>;

// What RE2 says: no groups if it does not match.
Groups by_re2(const RE2& re2, std::string_view text) {
    std::vector<re2::StringPiece> pieces(static_cast<std::size_t>(re2.NumberOfCapturingGroups()) +
                                         1);
    re2::StringPiece piece(text.data(), text.size());
    Groups groups;
    if (!re2.Match(piece, 0, piece.size(), RE2::UNANCHORED, pieces.data(),
                   static_cast<int>(pieces.size())))
        return groups;
    for (const auto& one : pieces) groups.emplace_back(one.data(), one.size());
    return groups;
}

std::string told(const Groups& groups, std::string_view text) {
    std::string out = groups.empty() ? "no match" : "";
    for (std::string_view group : groups)
        out += group.data() == nullptr ? "[-]"
                                       : "[" + std::to_string(group.data() - text.data()) + " '" +
                                             std::string(group) + "']";
    return out;
}

enum class Agreement { agrees, gave_up, differs };
Agreement compare(const CaptureProgram& program, const RE2& re2, std::string_view text) {
    Groups groups(static_cast<std::size_t>(re2.NumberOfCapturingGroups()) + 1);
    CaptureProgram::Outcome outcome = program.run(text, groups);
    if (outcome == CaptureProgram::Outcome::gave_up) return Agreement::gave_up;
    if (outcome == CaptureProgram::Outcome::no_match) groups.clear();
    std::string ours = told(groups, text);
    std::string theirs = told(by_re2(re2, text), text);
    if (ours == theirs) return Agreement::agrees;
    UNSCOPED_INFO("text " << text << "\n  ours " << ours << "\n  RE2  " << theirs);
    return Agreement::differs;
}

std::vector<std::filesystem::path> shipped() {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(BANDD_SOURCE "/filters"))
        if (entry.path().extension() == ".yaml") found.push_back(entry.path());
    std::ranges::sort(found);
    return found;
}

}  // namespace

TEST_CASE("programs take the captures that RE2 takes, whatever the pattern and the text") {
    Inventor invent(GENERATE(1U, 2U, 3U, 4U));
    std::size_t programs = 0;
    std::size_t matches = 0;
    std::size_t gave_up = 0;
    for (int i = 0; i < 4000; ++i) {
        std::string regex = invent.pattern();
        bool dot_nl = invent.any(2) == 0;
        RE2::Options options = pattern_options();
        options.set_dot_nl(dot_nl);
        RE2 re2(for_re2(regex), options);
        if (!re2.ok()) continue;
        auto program = CaptureProgram::compile(regex, dot_nl);
        if (!program) continue;
        ++programs;
        CHECK(program->groups() == static_cast<std::size_t>(re2.NumberOfCapturingGroups()) + 1);
        for (int j = 0; j < 20; ++j) {
            std::string text = invent.text();
            if (invent.any(10) == 0) text += '\n';
            Agreement agreement = compare(*program, re2, text);
            if (agreement == Agreement::differs) FAIL("pattern " << regex);
            if (agreement == Agreement::gave_up) ++gave_up;
            matches += by_re2(re2, text).empty() ? 0 : 1;
        }
    }
    CHECK(programs > 2000);
    CHECK(matches > 10000);
    CHECK(gave_up < 100);  // alternatives that can be gone through in very many ways
}

TEST_CASE(
    "every shipped pattern has a program, which agrees with RE2 on every sample, cut and "
    "changed") {
    std::mt19937 random(7);
    std::size_t compared = 0;
    std::size_t matches = 0;
    std::size_t gave_up = 0;
    for (const auto& path : shipped()) {
        INFO(path.filename().string());
        FilterConfig config = load_filter(path.string()).filter;
        std::vector<Error> errors;
        std::vector<Error> warnings;
        auto filter = compile_filter(config, {{}, config.sample_lists}, errors, warnings);
        REQUIRE(filter);
        std::vector<std::string> messages;
        std::string buffer;
        for (const Sample& sample : config.samples) {
            Envelope envelope =
                open_line(sample.line, Zone{}, Instant::from_seconds(1'795'100'000), buffer);
            std::string unescaped;
            messages.emplace_back(message_of(envelope, Escapes::automatic, unescaped));
        }
        auto hold_against = [&](const Pattern& pattern) {
            INFO(pattern.id);
            REQUIRE(pattern.lazy);
            REQUIRE(pattern.lazy->program());
            for (const std::string& message : messages) {
                for (int change = 0; change < 24; ++change) {
                    std::string text = message;
                    if (change > 0 && !text.empty()) {
                        std::size_t at = random() % text.size();
                        switch (random() % 4) {
                            case 0:
                                text.resize(at);
                                break;
                            case 1:
                                text.erase(at, 1 + random() % 3);
                                break;
                            case 2:
                                text.insert(at, text.substr(random() % text.size(), 12));
                                break;
                            default:
                                text[at] = static_cast<char>(random());
                        }
                    }
                    ++compared;
                    matches += by_re2(pattern.lazy->re2(), text).empty() ? 0 : 1;
                    // Giving up costs time, as RE2 matches then.
                    Agreement found = compare(*pattern.lazy->program(), pattern.lazy->re2(), text);
                    CHECK(found != Agreement::differs);
                    gave_up += found == Agreement::gave_up ? 1 : 0;
                }
            }
        };
        for (const Pattern& pattern : filter->patterns) hold_against(pattern);
        for (const Pattern& pattern : filter->ignore) hold_against(pattern);
    }
    INFO(gave_up << " of " << compared);
    CHECK(gave_up < compared / 200);
    CHECK(compared > 10000);
    CHECK(matches > 1000);
}

TEST_CASE("a host is read as RE2 reads it, whatever stands around it") {
    std::mt19937 random(11);
    auto any = [&](std::size_t below) { return random() % below; };
    static const std::vector<std::string> befores{"^", "^\\[", "^(?:x )?", "from ", "^[^\\[]*\\["};
    static const std::vector<std::string> behinds{
        "",     "$",      "\\]",          "\\](?::\\d+)?:", " ",
        "\\d?", "[:0-9]", "(?:%x|\\])?$", "\\.?x",          "(?: port \\d+)?$",
        "\"",   ", ",     "(?:\\]x|\\])"};
    static const std::vector<std::string> addresses{
        "203.0.113.9",       "1.2.3.4",      "203.0.113.1234",
        "1203.0.113.9",      "1.2.3",        "2001:db8::1",
        "::ffff:1.2.3.4",    "::1",          "999.999.999.999",
        "1.2.3.4.5",         "fe80::1%eth0", "1.2.3.4%eth0",
        "2001:db8::1.2.3.4", "12:34"};
    static const std::vector<std::string> ends{
        "",   "]", "]:25:", "]]", " ",        "\"", "x",
        "%x", ":", "5",     ".x", " port 22", "]x", ", rip and more"};
    std::size_t matches = 0;
    for (const std::string& before : befores)
        for (const std::string& behind : behinds) {
            auto pattern = compile_pattern("p", before + "<HOST>" + behind, {}, true);
            REQUIRE(pattern);
            REQUIRE(pattern->lazy->program());
            INFO(pattern->source);
            for (int i = 0; i < 400; ++i) {
                static const std::vector<std::string> heads{"", "[", "x ", "from ", "a [", "[["};
                std::string text = heads[any(heads.size())] + addresses[any(addresses.size())] +
                                   ends[any(ends.size())];
                matches += by_re2(pattern->lazy->re2(), text).empty() ? 0 : 1;
                CHECK(compare(*pattern->lazy->program(), pattern->lazy->re2(), text) ==
                      Agreement::agrees);
            }
        }
    CHECK(matches > 2000);
}

TEST_CASE("a line made to send a program back and forth is left to RE2, with the same result") {
    auto pattern = compile_pattern("p", "^(a|b|ab)*c(.*)(.*)(.*)x<HOST>$", {}, true);
    REQUIRE(pattern);
    REQUIRE(pattern->lazy->program());
    std::string text;
    for (int i = 0; i < 3000; ++i) text += "ab";
    text += "c x x x x203.0.113.9";
    Groups groups(8);
    CHECK(pattern->lazy->program()->run(text, groups) == CaptureProgram::Outcome::gave_up);
    MatchScratch scratch;
    Captured captured;
    REQUIRE(capture(*pattern, text, scratch, captured) == CaptureResult::captured);
    CHECK(to_string(*captured.address) == "203.0.113.9");
}

TEST_CASE("whatever a program has to look at again and again is counted") {
    struct Case {
        const char* regex;
        std::string text;
    };
    std::string letters(20000, 'a');
    for (const Case& one : {Case{"a[^b]*c", letters},  // begins anew at each letter
                            Case{"^(?:a|b)*.*x.*x.*y", letters + std::string(2000, 'x')},
                            Case{"^.*?(?:ax|ay|az)", letters},  // alternatives at each letter
                            Case{"^(?:.{1,5}x?)*z", letters}}) {
        INFO(one.regex);
        auto program = CaptureProgram::compile(one.regex, true);
        REQUIRE(program);
        Groups groups(program->groups());
        CHECK(program->run(one.text, groups) == CaptureProgram::Outcome::gave_up);
    }
}

TEST_CASE("alternatives that begin alike, with letters beyond ASCII, match by program and by RE2") {
    for (const char* regex :
         {"^(?:Ungültiges|Ungültiger) Kennwort", "(?m)^(?:Ungültiges|Ungültiger)",
          "\\xc8\\xc8|\\xc8a", "\xc8\xc8?|\xc8+b", "[\xc8][]\xc8]x|[\xc8]y", "é+|éé"}) {
        INFO(regex);
        RE2 re2(for_re2(regex), pattern_options());
        REQUIRE(re2.ok());
        auto program = CaptureProgram::compile(regex, true);
        std::size_t matches = 0;
        for (const char* text : {"Ungültiger Kennwort", "Ungültiges Kennwort", "\xc8\xc8",
                                 "\xc8"
                                 "a",
                                 "\xc8"
                                 "b",
                                 "\xc8]x", "\xc8y", "éé"}) {
            matches += by_re2(re2, text).empty() ? 0 : 1;
            if (program) CHECK(compare(*program, re2, text) == Agreement::agrees);
        }
        CHECK(matches > 0);
    }
}

TEST_CASE("what a tree cannot say exactly has no program") {
    for (const char* regex :
         {"(?s)a", "(?m)^a", "(?U)a+", "(?i)\xe9", "(?i)[a-\xff]", "(a*)*", "(?:a|)+", "\\012",
          "(?:(?:abcdefgh){1,100}x){1,100}", "d?(?i)?k", "a{2}{2}", "\\pL", "[[:cntrl:]]"}) {
        INFO(regex);
        CHECK_FALSE(CaptureProgram::compile(regex, true));
    }
}
