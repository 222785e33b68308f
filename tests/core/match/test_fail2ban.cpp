// SPDX-License-Identifier: GPL-2.0-or-later
// Filters in fail2ban's dialect: its tags, Python's syntax, engines, lines of one connection.
#include "core/decide/conversation.h"
#include "core/match/fail2ban_pattern.h"
#include "support/common.h"

using namespace bandd;

namespace {

Pattern pattern(const std::string& regex, Fail2banOptions options = {}) {
    auto made = compile_fail2ban("p", regex, options);
    INFO(regex);
    if (!made) FAIL(to_line(made.error()));
    return std::move(*made);
}
std::string engine(const std::string& regex) { return pattern(regex).lazy ? "re2" : "pcre2"; }
// "address or name; field=value …", or "no match".
std::string found(const std::string& regex, const std::string& line, Fail2banOptions options = {}) {
    MatchScratch scratch;
    Captured captured;
    CaptureResult result = capture(pattern(regex, options), line, scratch, captured);
    if (result == CaptureResult::gave_up) return "gave up";
    if (result != CaptureResult::captured) return "no match";
    std::string text = captured.address ? to_string(*captured.address) : captured.name;
    std::map<std::string, std::string> sorted(captured.fields.begin(), captured.fields.end());
    for (const auto& [name, value] : sorted) text += "; " + name + "=" + value;
    return text;
}

Filter filter(const std::vector<std::string>& regexes, std::size_t lines = 1) {
    Filter made;
    made.name = made.identity = "test";
    made.dialect = Dialect::fail2ban;
    made.lines = lines;
    made.converses = true;
    made.dates = std::make_shared<const DatePatterns>(*DatePatterns::compile({}));
    for (const std::string& regex : regexes) {
        made.patterns.push_back(pattern(regex, {true, lines > 1}));
        made.patterns.back().id = std::to_string(made.patterns.size());
    }
    return made;
}

// Of a filter that outlives it.
Rule rule_of(const Filter& filter) { return {{std::shared_ptr<void>(), &filter}, {}}; }

// Lines through a filter, one second apart; each gives the host it finds, or "-".
std::vector<std::string> hosts(const Filter& filter, const std::vector<std::string>& lines) {
    const Rule rule = rule_of(filter);
    Conversations conversations;
    MatchScratch scratch;
    std::vector<std::string> out;
    int second = 0;
    for (const std::string& line : lines) {
        Instant now = at(second++);
        Seen seen = see(filter, line, Zone{}, now, Escapes::keep, scratch);
        std::vector<Hit> hits;
        if (filter.lines > 1) {
            conversations.join({&rule, now, true, line, std::string(seen.text)}, hits);
        } else {
            FilterMatch match = bandd::match(filter, {}, seen.text, scratch);
            if (match.fate == LineFate::hit) {
                Hit hit{&rule, match.pattern, now, line, match.captured.address};
                hit.name = match.captured.name;
                hit.fields = match.captured.fields;
                hits.push_back(hit);
            }
        }
        std::erase_if(hits, [&](Hit& one) { return !conversations.merge(one); });
        out.push_back(hits.empty()      ? "-"
                      : hits[0].address ? to_string(*hits[0].address)
                                        : hits[0].name);
    }
    return out;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("fail2ban dialect: <HOST> is an address or, unless usedns is no, a name") {
    CHECK(found("^from <HOST>$", "from 203.0.113.9") == "203.0.113.9");
    CHECK(found("^from <HOST>$", "from ::ffff:203.0.113.9") == "203.0.113.9");
    CHECK(found("^from <HOST>$", "from [2001:db8::9]") == "2001:db8::9");
    CHECK(found("^from <HOST>$", "from mail.example.com") == "mail.example.com");
    CHECK(found("^from <HOST>$", "from mail.example.com", {.names = false}) == "no match");
    CHECK(found("^from <ADDR>$", "from mail.example.com") == "no match");
    CHECK(found("^net <SUBNET>$", "net 203.0.113.0/24") == "203.0.113.0; cidr=24");
    CHECK(found("^id <F-ID/> port <F-PORT/>$", "id 203.0.113.9 port 22") ==
          "203.0.113.9; fid=203.0.113.9; fport=22");
}

TEST_CASE("fail2ban dialect: fields, alternatives of one, and joined ones") {
    CHECK(found("^<F-USER>\\S+</F-USER> <HOST>$", "joe 203.0.113.9") == "203.0.113.9; user=joe");
    CHECK(
        found("^(?:a <F-ALT_USER_1>\\S+</F-ALT_USER_1>|b <F-ALT_USER_2>\\S+</F-ALT_USER_2>) <HOST>",
              "b joe 203.0.113.9") == "203.0.113.9; user=joe");
    CHECK(found("^<F-ID>\\w+</F-ID>/<F-TUPLE_ID>\\w+</F-TUPLE_ID> <HOST>", "a/b 203.0.113.9") ==
          "203.0.113.9; fid=a, b");
    CHECK(found("^<no-tag> (?P<word>\\w+) <HOST>", "<no-tag> x 203.0.113.9") ==
          "203.0.113.9; word=x");
}

TEST_CASE("fail2ban dialect: RE2 where it means the same, PCRE2 for the rest") {
    CHECK(engine("^failed from <HOST>$") == "re2");
    CHECK(engine(R"(^\[\d{,3}\] \"x\" (?#comment)<HOST>\Z)") == "re2");
    CHECK(engine("^(?:(?! from ).)* from <HOST>$") == "pcre2");
    CHECK(engine(R"(^(\w+) \1 <HOST>)") == "pcre2");
    CHECK(engine("^(?P<a>x)?(?(a)y|z) <HOST>") == "pcre2");
    CHECK(engine("^x{1,2000} <HOST>") == "pcre2");
    // What RE2 would take for something else, in silence.
    CHECK(found(R"(^\[\d{,3}\] <HOST>)", "[12] 203.0.113.9") == "203.0.113.9");
    CHECK(found(R"(^[[:a] <HOST>)", ": 203.0.113.9") == "203.0.113.9");
    CHECK(found("^((?i)FAILED) <HOST>", "failed 203.0.113.9") == "203.0.113.9");
    CHECK(found("^((?i)FAILED) X <HOST>", "failed x 203.0.113.9") == "no match");
    CHECK(found(R"(^(?P<q>['"])x(?P=q) <HOST>)", "'x' 203.0.113.9") == "203.0.113.9; q='");
    auto bad = compile_fail2ban("p", "^(<HOST>", {});
    CHECK_FALSE(bad);
    CHECK(to_line(bad.error()).starts_with("pattern \"p\": PCRE2 refuses it at byte"));
}

TEST_CASE("fail2ban dialect: a pattern that would run for ever gives up instead") {
    std::string line(40, 'a');
    CHECK(found("^(?=(?:a+)+$)(?:a+)+b <HOST>", line + "! 203.0.113.9") != "203.0.113.9");
    CHECK(found("^(?!x)(a|a)*(a|a)*(a|a)*[bc]<HOST>", std::string(300, 'a') + "d1.2.3.4") ==
          "gave up");
    // The one of GHSA-33wh-ccjc-p397, which takes minutes in Python: here it is RE2's, and linear.
    std::string domino = "^smtp: (?:\\S+\\s+)*(?:\\S+\\s+)*<HOST> x";
    CHECK(engine(domino) == "re2");
    std::string many;
    for (int i = 0; i < 10'000; ++i) many += "A ";
    CHECK(found(domino, "smtp: " + many + "192.0.2.5") == "no match");
}

TEST_CASE("fail2ban dialect: prefregex hands on what <F-CONTENT> holds, and its own fields") {
    Filter one = filter({"^denied <HOST>$"});
    one.prefix = pattern("^\\S+ app\\[<F-PID>\\d+</F-PID>\\]: <F-CONTENT>.+</F-CONTENT>$");
    MatchScratch scratch;
    FilterMatch match = bandd::match(one, {}, "mx app[12]: denied 203.0.113.9", scratch);
    REQUIRE(match.fate == LineFate::hit);
    CHECK(to_string(*match.captured.address) == "203.0.113.9");
    CHECK(match.captured.fields.find("pid") == "12");
    CHECK(bandd::match(one, {}, "mx other[12]: denied 203.0.113.9", scratch).fate ==
          LineFate::no_match);
    CHECK(bandd::match(one, {}, "denied 203.0.113.9", scratch).fate == LineFate::no_match);
}

TEST_CASE("fail2ban dialect: the address can come from another line of the connection") {
    Filter one = filter({"^<F-MLFID>\\d+</F-MLFID>: <F-NOFAIL>connect</F-NOFAIL> from <HOST>$",
                         "^<F-MLFID>\\d+</F-MLFID>: too many failures$",
                         "^<F-MLFID>\\d+</F-MLFID>: <F-MLFFORGET>bye</F-MLFFORGET>$"});
    CHECK(hosts(one, {"1: connect from 203.0.113.1", "2: connect from 203.0.113.2",
                      "1: too many failures", "2: bye", "2: too many failures"}) ==
          Lines{"-", "-", "203.0.113.1", "203.0.113.2", "-"});
    // The failure came first, and waited for its address.
    CHECK(hosts(one, {"3: too many failures", "3: connect from 203.0.113.3"}) ==
          Lines{"-", "203.0.113.3"});
}

TEST_CASE("fail2ban dialect: success forgives, but not who tried several users") {
    Filter one = filter(
        {"^<F-MLFID>\\d+</F-MLFID>: <F-NOFAIL>publickey</F-NOFAIL> for <F-USER>\\S+</F-USER> from "
         "<HOST>$",
         "^<F-MLFID>\\d+</F-MLFID>: <F-MLFFORGET><F-MLFGAINED>accepted</F-MLFGAINED></F-MLFFORGET> "
         "for <F-USER>\\S+</F-USER> from <HOST>$"});
    CHECK(hosts(one, {"1: publickey for joe from 203.0.113.1",
                      "1: accepted for joe from 203.0.113.1"}) == Lines{"-", "-"});
    CHECK(hosts(one, {"1: publickey for joe from 203.0.113.1",
                      "1: publickey for eve from 203.0.113.1"}) == Lines{"-", "203.0.113.1"});
}

TEST_CASE("fail2ban dialect: maxlines looks at several lines as one, and lets go of what matched") {
    Filter one = filter({"^user .*$<SKIPLINES>^from <HOST>$"}, 3);
    CHECK(hosts(one, {"user joe", "noise", "from 203.0.113.1", "from 203.0.113.2"}) ==
          Lines{"-", "-", "203.0.113.1", "-"});
    CHECK(hosts(one, {"user joe", "noise", "noise", "from 203.0.113.1"}) ==
          Lines{"-", "-", "-", "-"});
}

TEST_CASE("fail2ban dialect: conversations can be written down; what is broken is left out") {
    Filter one = filter({"^<F-MLFID>\\d+</F-MLFID>: <F-NOFAIL>connect</F-NOFAIL> from <HOST>$",
                         "^<F-MLFID>\\d+</F-MLFID>: failure <F-USER>.*</F-USER>$"});
    const Rule rule = rule_of(one);
    Conversations before;
    MatchScratch scratch;
    auto say = [&](Conversations& where, const std::string& line) {
        FilterMatch match = bandd::match(one, {}, line, scratch);
        REQUIRE(match.fate == LineFate::hit);
        Hit hit{&rule, match.pattern, at(0), line, match.captured.address};
        hit.fields = match.captured.fields;
        return where.merge(hit) ? to_string(*hit.address) : std::string("-");
    };
    say(before, "1: connect from 203.0.113.1");
    say(before, "2: failure 3:x:");
    std::string dump = before.dump();
    Conversations after;
    after.restore(dump);
    CHECK(after.dump() == dump);
    CHECK(say(after, "1: failure joe") == "203.0.113.1");
    CHECK(say(after, "2: connect from 203.0.113.2") == "203.0.113.2");
    for (std::size_t cut = 0; cut < dump.size(); ++cut) {
        Conversations part;
        part.restore(dump.substr(0, cut));
        part.restore(dump.substr(cut));
    }
    Conversations hostile;
    hostile.restore("4:test1:011:99999999991:1");
    CHECK(hostile.dump().empty());
}

TEST_CASE("fail2ban dialect: connections that fell silent make room") {
    Filter one = filter({"^<F-MLFID>\\d+</F-MLFID>: <F-NOFAIL>connect</F-NOFAIL> from <HOST>$",
                         "^<F-MLFID>\\d+</F-MLFID>: failure$"});
    Lines lines{"1: connect from 203.0.113.1"};
    for (int i = 0; i < 301; ++i) lines.emplace_back("noise");
    lines.emplace_back("2: connect from 203.0.113.2");
    lines.emplace_back("1: failure");
    lines.emplace_back("2: failure");
    auto got = hosts(one, lines);
    CHECK(got[got.size() - 2] == "-");
    CHECK(got.back() == "203.0.113.2");
}
