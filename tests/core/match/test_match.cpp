// SPDX-License-Identifier: GPL-2.0-or-later
#include <random>

#include "core/match/scanner.h"
#include "support/common.h"

using namespace bandd;

namespace {

Pattern pattern(const std::string& regex, const WordLists& lists = {}) {
    auto compiled = compile_pattern("p", regex, lists, true);
    INFO(regex);
    if (!compiled) FAIL(to_line(compiled.error()));
    return std::move(*compiled);
}
std::string host(const std::string& regex, const std::string& message) {
    MatchScratch scratch;
    Captured captured;
    switch (capture(pattern(regex), message, scratch, captured)) {
        case CaptureResult::no_match:
            return "no match";
        case CaptureResult::no_address:
            return "no address";
        case CaptureResult::captured:
            return to_string(*captured.address);
        case CaptureResult::gave_up:
            return "gave up";
    }
    return "?";
}
std::string refusal(const std::string& regex) {
    auto compiled = compile_pattern("p", regex, {}, true);
    return compiled ? "none" : to_line(compiled.error());
}

std::shared_ptr<Filter> filter_of(std::vector<std::string> regexes, std::string tag = "") {
    auto filter = std::make_shared<Filter>();
    filter->name = "test";
    if (!tag.empty()) filter->tag = *compile_tag(tag);
    for (std::size_t i = 0; i < regexes.size(); ++i)
        filter->patterns.push_back(
            std::move(compile_pattern("p" + std::to_string(i), regexes[i], {}, true).value()));
    return filter;
}
Ruleset rules_of(std::vector<std::shared_ptr<Filter>> filters) {
    Ruleset rules;
    for (std::size_t i = 0; i < filters.size(); ++i)
        rules.rules.push_back({filters[i], {static_cast<JailIndex>(i)}});
    prepare(rules);
    return rules;
}
std::vector<std::string> hits_in(const Ruleset& rules, const std::string& text,
                                 Scratch* used = nullptr) {
    Scratch own;
    Scratch& scratch = used != nullptr ? *used : own;
    Hits hits;
    scan(rules, Chunk{0, text, {}}, at(0), scratch, hits);
    std::vector<std::string> found;
    for (const Hit& hit : hits)
        found.push_back(std::to_string(hit.rule->jails[0]) + " " + hit.pattern->id + " " +
                        to_string(*hit.address));
    return found;
}

}  // namespace

TEST_CASE("what is known of a tag holds for one ruleset") {
    auto first = rules_of({filter_of({"^x <HOST>"}, "sshd"), filter_of({"^x <HOST>"}, "su")});
    auto second = rules_of({filter_of({"^x <HOST>"}, "su"), filter_of({"^x <HOST>"}, "sshd|su")});
    const std::string text =
        "Nov 21 09:59:58 mx sshd[1]: x 203.0.113.1\n"
        "Nov 21 09:59:58 mx su[1]: x 203.0.113.2\n"
        "Nov 21 09:59:58 mx " +
        std::string(40, 's') +
        "[1]: x 203.0.113.3\n"
        "x 203.0.113.4\n";
    Scratch scratch;
    for (int round = 0; round < 3; ++round) {
        CHECK(hits_in(first, text, &scratch) ==
              std::vector<std::string>{"0 p0 203.0.113.1", "1 p0 203.0.113.2"});
        CHECK(hits_in(second, text, &scratch) ==
              std::vector<std::string>{"1 p0 203.0.113.1", "0 p0 203.0.113.2", "1 p0 203.0.113.2"});
    }
}

TEST_CASE("fields are found by name, and keep any bytes") {
    Fields fields{{"user", "joe"}, {"empty", ""}, {"user", "second"}};
    fields.add("bytes", std::string_view("a\0b", 3));
    CHECK(fields.size() == 4);
    CHECK(fields.find("user") == "joe");
    CHECK(fields.find("empty") == "");
    CHECK_FALSE(fields.find("use"));
    CHECK(fields.find("bytes")->size() == 3);
    fields.set("user", std::string(5000, 'x'));
    CHECK(fields.find("user")->size() == 5000);
    CHECK(fields.size() == 4);
    fields.set("new", "1");
    fields.erase("user");
    CHECK(fields == Fields{{"empty", ""}, {"bytes", std::string_view("a\0b", 3)}, {"new", "1"}});
    Fields moved = std::move(fields);
    fields.clear();
    CHECK(fields.empty());
    CHECK(moved.size() == 3);
}

TEST_CASE("what a container says, as Docker logs it, is read like any other line") {
    Filter filter;
    filter.name = filter.identity = "app";
    filter.patterns.push_back(
        std::move(*compile_pattern("denied", "^denied <F-USER>.*</F-USER> <HOST>$", {}, true)));
    auto found = [&](const std::string& line) {
        MatchScratch scratch;
        Seen seen = see(filter, line, Zone{}, at(0), Escapes::automatic, scratch);
        FilterMatch match = bandd::match(filter, seen.tag, seen.text, scratch);
        if (match.pattern != nullptr && seen.cut && !holds_in_cut_line(*match.pattern))
            match.fate = LineFate::no_match;
        std::string time = seen.time ? format_rfc3339(*seen.time) : "no time";
        return match.fate == LineFate::hit ? to_string(*match.captured.address) + " " + time
                                           : "none " + time;
    };
    CHECK(
        found(
            R"({"log":"denied bob 203.0.113.9\n","stream":"stdout","time":"2026-11-21T03:05:50.5Z"})") ==
        "203.0.113.9 2026-11-21T03:05:50.500000Z");
    CHECK(
        found(
            R"({"log":"2026-11-21 03:00:00 denied \"x\" \u0026\t\\ 203.0.113.9\r\n","stream":"stderr","attrs":{"a":"b"},"time":"2026-11-21T03:05:50Z"})") ==
        "203.0.113.9 2026-11-21T03:00:00Z");
    // What a client says cannot end the text, nor set the time.
    CHECK(
        found(
            R"({"log":"welcome x\",\"time\":\"2020-01-01T00:00:00Z\n","stream":"stdout","time":"2026-11-21T03:05:50Z"})") ==
        "none 2026-11-21T03:05:50Z");
    CHECK(found(R"({"log":"welcome\ndenied bob 203.0.113.9\n","time":"2026-11-21T03:05:50Z"})") ==
          "none 2026-11-21T03:05:50Z");
    CHECK(found(R"({"log":"denied bob 203.0.113.9)") == "none no time");
    // As others write it anew.
    for (
        const char* line :
        {R"({"log": "denied b\u006fb 203.0.113.9\n", "stream": "stdout", "time": "2026-11-21T03:05:50Z"})",
         R"({ "stream" : "stderr" , "time" : "2026-11-21T03:05:50Z" , "log" : "denied bob 203.0.113.9\n" })",
         R"({"time":"2026-11-21T03:05:50Z","stream":"stdout","log":"denied bob 203.0.113.9\n"})",
         R"({"attrs":{"tag":"}\",\"","x":[{}]},"stream":"stdout","log":"denied bob 203.0.113.9\n","time":"2026-11-21T04:05:50+01:00"})",
         R"({"time":"2026-11-21T03:05:50Z","log":"denied bob 203.0.113.9\n","stream":"stdout"})"})
        CHECK(found(line) == "203.0.113.9 2026-11-21T03:05:50Z");
    // Logs that have such keys of their own.
    for (const char* line :
         {R"({"log":{"level":"error"},"message":"denied bob 203.0.113.9","stream":"stdout"})",
          R"({"level":"info","log":"denied bob 203.0.113.9\n","stream":"stdout"})",
          R"({"time":"x","log":"denied bob 203.0.113.9\n","stream":"other"})",
          R"({"stream":"stdout","attrs":{"log":"denied bob 203.0.113.9\n"}})"})
        CHECK(found(line).starts_with("none"));
}

TEST_CASE("the limit of what a container says is that of its text") {
    auto rules = rules_of({filter_of({"^denied [^ ]* from <HOST>$"})});
    rules.line_limit = 65'536;
    auto docker = [](std::size_t escapes, bool reordered) {
        std::string text = R"("log":"denied )";
        for (std::size_t i = 0; i < escapes; ++i) text += "\\u003c";
        text += R"( from 203.0.113.9\n")";
        std::string rest = R"("stream":"stdout","time":"2026-11-21T10:00:00Z")";
        return reordered ? "{" + rest + "," + text + "}\n" : "{" + text + "," + rest + "}\n";
    };
    for (bool reordered : {false, true})
        for (std::size_t escapes : {0U, 11U << 10, 60'000U, 65'510U, 65'511U, 70'000U}) {
            Scratch scratch;
            auto found = hits_in(rules, docker(escapes, reordered) + "denied x from 203.0.113.1\n",
                                 &scratch);
            INFO(escapes);
            std::size_t length = std::string("denied  from 203.0.113.9").size() + escapes;
            bool fits = length <= rules.line_limit;
            CHECK(found.size() == (fits ? 2 : 1));
            CHECK(scratch.counts.cut == (fits ? 0 : 1));
        }
}

TEST_CASE("<HOST> finds addresses in all their forms") {
    CHECK(host("from <HOST>$", "from 203.0.113.9") == "203.0.113.9");
    CHECK(host("from <HOST>$", "from 2001:db8::9") == "2001:db8::9");
    CHECK(host("from <HOST>$", "from ::1") == "::1");
    CHECK(host("from <HOST>$", "from ::ffff:203.0.113.9") == "203.0.113.9");
    CHECK(host("from <HOST>$", "from [2001:db8::9]") == "2001:db8::9");
    CHECK(host("from <HOST>$", "from fe80::1%eth0") == "fe80::1");
    CHECK(host("from <HOST>: ", "from 2001:db8::9: x") == "2001:db8::9");
    CHECK(host("from <HOST>:", "from 203.0.113.9:25") == "203.0.113.9");
    CHECK(host("<IP6>", "from 2001:db8:1:2:3:4:5:6") == "2001:db8:1:2:3:4:5:6");
    CHECK(host("^(?:a <HOST>|b <HOST>)$", "b 203.0.113.9") == "203.0.113.9");
    CHECK(host("from <HOST>$", "from mail.example.com") == "no match");
    CHECK(host("from <HOST>$", "from 999.1.1.1") == "no address");
}

TEST_CASE("fields are captured by fail2ban's names and by Python's groups") {
    MatchScratch scratch;
    Captured captured;
    REQUIRE(capture(pattern("^user <F-USER>.*</F-USER> port (?P<port>\\d+) from <HOST>$"),
                    "user joe port 22 from 203.0.113.9", scratch,
                    captured) == CaptureResult::captured);
    CHECK(captured.fields == Fields{{"user", "joe"}, {"port", "22"}});
}

TEST_CASE("{,n} is a repetition, as in Python, not text") {
    CHECK(host("^a{,2}b <HOST>$", "aab 203.0.113.9") == "203.0.113.9");
}

TEST_CASE("bytes that are not UTF-8 do not hide a line") {
    CHECK(host("^user .* from <HOST>$", "user \xff\xfe\x80 from 203.0.113.9") == "203.0.113.9");
    CHECK(host("^user .* from <HOST>$", "user a\nb from 203.0.113.9") == "203.0.113.9");
    CHECK(host("^user .* from <HOST>$", std::string("user a\0b from 203.0.113.9", 25)) ==
          "203.0.113.9");
    CHECK(host("^Müller from <HOST>$", "Müller from 203.0.113.9") == "203.0.113.9");
}

TEST_CASE("word lists match whole words, with * for any text of a field") {
    WordLists lists{{"bad", {"*.us", "adams.edu", "a+b"}}};
    auto p = pattern("^EHLO <LIST:bad> <HOST>$", lists);
    MatchScratch scratch;
    Captured captured;
    auto matches = [&](const char* name) {
        return capture(p, std::string("EHLO ") + name + " 203.0.113.9", scratch, captured) ==
               CaptureResult::captured;
    };
    CHECK(matches("mail.us"));
    CHECK(matches("ADAMS.edu"));
    CHECK(matches("a+b"));
    CHECK_FALSE(matches("mail.us.com"));
    CHECK_FALSE(matches("notadams.edu"));
    CHECK_FALSE(matches("aab"));
    CHECK(names_empty_list("x <LIST:bad>", {{"bad", {}}}));
}

TEST_CASE("a pattern that can't be used says why") {
    CHECK(refusal("from (<HOST>") == "pattern \"p\": RE2 refuses it: missing )");
    CHECK(refusal("(?!x)<HOST>") ==
          "pattern \"p\": RE2 refuses it: invalid perl operator: (?!; RE2 has no look-ahead, "
          "look-behind or back-references");
    CHECK(refusal("no host") ==
          "pattern \"p\": has no <HOST>; mark where the address stands with <HOST>");
    CHECK(refusal("<F-USER>x <HOST>") ==
          "pattern \"p\": <F-USER> is never closed; write </F-USER>");
    CHECK(refusal("<LIST:x> <HOST>") ==
          "pattern \"p\": <LIST:x> no such list; declare it under \"lists:\" of the filter");
}

TEST_CASE("a filter sees only lines with its tag, and ignoreregex takes hits back") {
    MatchScratch scratch;
    auto filter = filter_of({"^fail <HOST>$"}, "postfix/smtpd");
    filter->ignore.push_back(std::move(*compile_pattern("i", "192\\.0\\.2\\.", {}, false)));
    CHECK(match(*filter, "postfix/smtpd", "fail 203.0.113.9", scratch).fate == LineFate::hit);
    CHECK(match(*filter, "postfix/smtpd2", "fail 203.0.113.9", scratch).fate ==
          LineFate::wrong_tag);
    CHECK(match(*filter, "", "fail 203.0.113.9", scratch).fate == LineFate::wrong_tag);
    CHECK(match(*filter, "postfix/smtpd", "fail 192.0.2.5", scratch).fate == LineFate::ignored);
    CHECK(match(*filter, "postfix/smtpd", "ok 203.0.113.9", scratch).fate == LineFate::no_match);
}

TEST_CASE("scanning a chunk: escapes, CRLF, our own lines, one hit a filter") {
    auto rules =
        rules_of({filter_of({"^\"A\"\t<HOST>", "^\"A\"\t<HOST> x"}), filter_of({"<HOST> x$"})});
    CHECK(hits_in(rules, "Nov 21 10:00:00 mx \"A\"#011203.0.113.9 x\r\n") ==
          std::vector<std::string>{"0 p0 203.0.113.9", "1 p0 203.0.113.9"});
    CHECK(hits_in(rules, "Nov 21 10:00:00 mx bandd[5]: \"A\"\t203.0.113.9 x\n").empty());
    CHECK(hits_in(rules, "\n\n\r\nnothing\n").empty());
    CHECK(hits_in(rules, "no end of line 203.0.113.9 x").size() == 1);
}

TEST_CASE("a line over the limit is cut, and its neighbours are not lost") {
    auto rules = rules_of({filter_of({"<HOST> x$"})});
    rules.line_limit = 100;
    Scratch scratch;
    auto found = hits_in(
        rules, "203.0.113.1 x\n" + std::string(500, 'a') + " 203.0.113.2 x\n203.0.113.3 x\n",
        &scratch);
    CHECK(found == std::vector<std::string>{"0 p0 203.0.113.1", "0 p0 203.0.113.3"});
    CHECK(scratch.counts.cut == 1);
}

TEST_CASE("if the set of patterns fails, they are tried one by one") {
    auto rules = rules_of({filter_of(
        {"long [^x]{1000}<HOST>$", "short <HOST>$", "a <HOST>$", "b <HOST>$", "c <HOST>$"})});
    prepare(rules, {.prefilter = false});
    std::string text =
        "short 203.0.113.1\nlong " + std::string(1000, 'b') + "203.0.113.2\nshort 203.0.113.3\n";
    const std::vector<std::string> expected{"0 p1 203.0.113.1", "0 p0 203.0.113.2",
                                            "0 p1 203.0.113.3"};
    REQUIRE(rules.prepared.views.front().set);
    CHECK(hits_in(rules, text) == expected);
    SECTION("because it is too large for its memory") {
        prepare(rules, {.set_memory = 1 << 12, .prefilter = false});
        CHECK_FALSE(rules.prepared.views.front().set);
        CHECK(hits_in(rules, text) == expected);
    }
    SECTION("at a match") {
        // RE2 checks in Compile() that the DFA has memory, and then evicts states rather than fail:
        // no input makes Debian's RE2 run out. A set never compiled fails by the same way out.
        rules.prepared.views.front().set =
            std::make_unique<RE2::Set>(pattern_options(), RE2::UNANCHORED);
        Scratch scratch;
        CHECK(hits_in(rules, text, &scratch) == expected);
        CHECK(scratch.counts.set_failures == 3);
    }
}

TEST_CASE("scan decides as the plain matcher does") {
    auto filters =
        std::vector{filter_of({"^a+ <HOST>$", "^b[^ ]* <HOST>", "c <HOST> d"}),
                    filter_of({"<HOST> d$", "^[ab]+ <HOST> c"}), filter_of({"^$|<HOST>"})};
    auto rules = rules_of(filters);
    MatchScratch scratch;
    std::mt19937 random(42);
    const char* words[] = {"a", "aa", "b", "bx", "c", "d", "203.0.113.9", "2001:db8::9", "", "x"};
    for (int round = 0; round < 3000; ++round) {
        std::string line;
        for (unsigned i = 0; i < 1 + random() % 4; ++i)
            line += (i > 0 ? " " : "") + std::string(words[random() % std::size(words)]);
        if (line.empty()) continue;
        std::vector<std::string> expected;
        for (std::size_t i = 0; i < filters.size(); ++i) {
            auto found = match(*filters[i], "", line, scratch);
            if (found.fate == LineFate::hit)
                expected.push_back(std::to_string(i) + " " + found.pattern->id + " " +
                                   to_string(*found.captured.address));
        }
        INFO(line);
        CHECK(hits_in(rules, line + "\n") == expected);
    }
}
