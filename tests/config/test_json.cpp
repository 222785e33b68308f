// SPDX-License-Identifier: GPL-2.0-or-later
// Filters of JSON logs, from the filter's file to hits. That strings, numbers and brackets are read
// as others read them is compared with Python in tests/json/oracle.
#include <random>

#include "config/compile.h"
#include "config/filter_file.h"
#include "core/match/proxies.h"
#include "core/match/scanner.h"
#include "core/text/datetime.h"
#include "support/common.h"

using namespace bandd;

namespace {

struct Made {
    FilterConfig config;
    std::vector<Error> errors, warnings;
    Ruleset rules;
};

Made made_of(const std::string& yaml, const FilterUse& use = {}) {
    Made made;
    LoadedFilter loaded = load_filter("/x/filters/test.yaml", parse_document(yaml, "test.yaml"));
    made.config = loaded.filter;
    made.errors = loaded.errors;
    if (!made.errors.empty()) return made;
    made.rules.rules.push_back({compile_filter(made.config, use, made.errors, made.warnings), {0}});
    if (made.errors.empty()) prepare(made.rules);
    return made;
}
std::string fault_of(const std::string& yaml) {
    Made made = made_of(yaml);
    return made.errors.empty() ? "none" : to_line(made.errors.front());
}

// The test's arrival: 2026-11-21 10:00:00 UTC.
constexpr Instant arrival = Instant::from_seconds(1'795'255'200);

// "address|user|seconds" of each hit.
std::vector<std::string> hits_in(const Ruleset& rules, const std::string& text,
                                 ScanCounts* counts = nullptr) {
    Scratch scratch;
    Hits hits;
    scan(rules, Chunk{0, text, {}}, arrival, scratch, hits);
    if (counts != nullptr) *counts = scratch.counts;
    std::vector<std::string> found;
    for (const Hit& hit : hits)
        found.push_back((hit.address ? to_string(*hit.address) : hit.name) + "|" +
                        std::string(hit.fields.find("user").value_or("")) + "|" +
                        (hit.dated ? std::to_string(hit.time.us / 1000) : "undated"));
    return found;
}
std::string hit_in(const Ruleset& rules, const std::string& line) {
    auto hits = hits_in(rules, line + "\n");
    return hits.empty() ? "none" : hits.front();
}

const std::string login =
    "description: x\njson: {ip: peer.ip, user: user, time: ts, message: msg}\nfailregex:\n"
    "  - {id: bad, regex: '^login failed', where: {status: [401, 403]}}\n";

std::string login_line(const std::string& with) {
    return R"({"ts":1795255200.5,"msg":"login failed","status":401,"peer":{"ip":"203.0.113.9"})" +
           with + "}";
}

}  // namespace

TEST_CASE("a JSON line gives address, user and time by path") {
    Made made = made_of(login);
    REQUIRE(made.errors.empty());
    const Ruleset& rules = made.rules;
    CHECK(hit_in(rules, login_line(R"(,"user":"bob")")) == "203.0.113.9|bob|1795255200500");
    CHECK(hit_in(rules,
                 R"({"user":7,"peer":{"x":{"ip":"192.0.2.1"},"ip":"::1"},"status":"403",)"
                 R"("msg":"login failed","ts":"2026-11-21T09:00:00Z"})") == "::1|7|1795251600000");
    SECTION("other fields, other hits") {
        CHECK(hit_in(rules, R"({"msg":"login failed","status":200,"peer":{"ip":"203.0.113.9"}})") ==
              "none");
        CHECK(hit_in(rules, R"({"msg":"login failed","peer":{"ip":"203.0.113.9"}})") == "none");
        CHECK(hit_in(rules, R"({"msg":"x login failed","status":401,"peer":{"ip":"::1"}})") ==
              "none");
        CHECK(hit_in(rules, R"({"msg":"login failed","status":401.0,"peer":{"ip":"::1"}})") ==
              "none");
        CHECK(hit_in(rules, R"({"msg":"login failed","status":401,"Peer":{"ip":"::1"}})") ==
              "none");
        CHECK(hit_in(rules, R"({"msg":"login failed","status":401,"peer":{"ip":"host"}})") ==
              "none");
    }
    SECTION("behind the heads of syslog, of Kubernetes and of Docker") {
        std::string line = login_line("");
        const std::string host = "203.0.113.9||1795255200500";
        CHECK(hit_in(rules, "Nov 21 10:00:00 www app[7]: " + line) == host);
        CHECK(hit_in(rules, "2026-11-21T10:00:00.123456789Z stdout F " + line) == host);
        CHECK(hit_in(rules, "2026-11-21T10:00:00.1+00:00 stderr F " + line) == host);
        std::string escaped;
        for (char c : line) escaped += c == '"' ? "\\\"" : std::string(1, c);
        CHECK(hit_in(rules, R"({"log":")" + escaped +
                                R"(\n","stream":"stdout","time":"2026-11-21T10:00:00.1Z"})") ==
              host);
    }
    SECTION("the head's time counts if the object has none") {
        std::string line = R"({"msg":"login failed","status":401,"peer":{"ip":"::1"}})";
        CHECK(hit_in(rules, "2026-11-21T09:00:00Z stdout F " + line) == "::1||1795251600000");
        CHECK(hit_in(rules, "Nov 21 09:00:00 www app: " + line) == "::1||1795251600000");
        CHECK(hit_in(rules, line) == "::1||undated");
        // What looks like a date within the object is a client's, perhaps.
        CHECK(hit_in(rules, R"({"agent":"[21/Nov/2026:09:00:00 +0000]",)" + line.substr(1)) ==
              "::1||undated");
    }
}

TEST_CASE("a line that is cut, or no JSON, is no hit and is counted") {
    Made made = made_of(login);
    std::string line = login_line("");
    ScanCounts counts;
    for (std::size_t length = 1; length < line.size(); ++length)
        CHECK(hits_in(made.rules, line.substr(0, length) + "\n", &counts).empty());
    CHECK(counts.broken_json == 1);
    CHECK(hits_in(made.rules, line + line + "\n", &counts).empty());
    CHECK(counts.broken_json == 1);
    CHECK(hits_in(made.rules, "login failed 401 peer ip 203.0.113.9\n", &counts).empty());
    CHECK(counts.broken_json == 0);
    // Longer than line_limit: what is read of it is cut.
    std::string huge = login_line(",\"x\":\"" + std::string(100'000, 'x') + "\"");
    CHECK(hits_in(made.rules, huge + "\n", &counts).empty());
    CHECK(counts.broken_json == 1);
    made.rules.line_limit = 200'000;
    CHECK(hits_in(made.rules, huge + "\n").size() == 1);
    // Deep nesting costs no stack.
    std::string deep = login_line(",\"x\":" + std::string(50'000, '[') + std::string(50'000, ']'));
    CHECK(hits_in(made.rules, deep + "\n").size() == 1);
}

TEST_CASE("what a client writes makes no other field, and hides no line") {
    Made made = made_of(login);
    const std::string host = "203.0.113.9|";
    for (const char* evil :
         {R"(\",\"peer\":{\"ip\":\"198.51.100.7\"},\"x\":\")", R"(\"}}\n{\"peer\":{})", "\xff\xfe",
          "\\ud83d", "\\u0000", "\x01", "\\\\", R"(\u0022,\u0022peer\u0022:)"}) {
        std::string line =
            login_line(std::string(R"(,"agent":")") + evil + R"(","user":"a)" + evil + "\"");
        INFO(line);
        CHECK(hit_in(made.rules, line).starts_with(host));
    }
    // Apache's escapes, which JSON does not know.
    CHECK(
        hit_in(made.rules, login_line(R"(,"user":"a\xe9\x01\vb\x41")")).find("|a\xe9\x01\vbx41|") !=
        std::string::npos);
    // Nobody can say which one counts.
    ScanCounts counts;
    CHECK(hits_in(made.rules, login_line(R"(,"peer":{"ip":"198.51.100.7"})") + "\n", &counts)
              .empty());
    CHECK(counts.broken_json == 1);
    CHECK(hit_in(made.rules, login_line(R"(,"peer":{"ip":"203.0.113.9"})")).starts_with(host));
}

TEST_CASE("conditions: equal, one of a list, a regex; fields by a name or a path") {
    Made made = made_of(
        "description: x\njson: {ip: ip, fields: {status: request.status, agents: agents}}\n"
        "failregex:\n"
        "  - {id: a, where: {status: 401, request.uri: '^/login/<F-USER>[a-z]+</F-USER>$'}}\n"
        "  - {id: b, where: {\"a.b\": no, '\"a.b\"': [yes, '^n.*t$'], agents: '^'}}\n"
        "  - {id: c, where: {list.1.k: '1.5e3'}}\n");
    REQUIRE(made.errors.empty());
    auto hit = [&](const std::string& line) { return hit_in(made.rules, line); };
    CHECK(hit(R"({"ip":"::1","request":{"status":401,"uri":"/login/bob"}})") == "::1|bob|undated");
    CHECK(hit(R"({"ip":"::1","request":{"status":401,"uri":"\/\u006cogin\/bob"}})") ==
          "::1|bob|undated");
    CHECK(hit(R"({"ip":"::1","request":{"status":401,"uri":"/login/BOB"}})") == "none");
    CHECK(hit(R"({"ip":"::1","request":{"status":4011,"uri":"/login/bob"}})") == "none");
    CHECK(hit(R"({"ip":"::1","a":{"b":"no"},"a.b":"yes","agents":[]})") == "::1||undated");
    CHECK(hit(R"({"ip":"::1","a":{"b":"no"},"a.b":"not","agents":["x","y"]})") == "::1||undated");
    CHECK(hit(R"({"ip":"::1","a":{"b":"no"},"a.b":"not","agents":null})") == "none");
    CHECK(hit(R"({"ip":"::1","a":{"b":"no"},"a.b":"now","agents":[]})") == "none");
    CHECK(hit(R"({"ip":["::1"],"list":[{"k":0},{"k":1.5e3}]})") == "::1||undated");
    CHECK(hit(R"({"ip":["::1","::2"],"list":[{"k":0},{"k":1.5e3}]})") == "none");
}

TEST_CASE("the address is at <HOST> where the object has it only within a text") {
    Made made = made_of(
        "description: x\njson: {message: msg}\nfailregex: ['^denied <HOST>$']\nignoreregex:\n"
        "  - where: {kind: test}\n");
    REQUIRE(made.errors.empty());
    CHECK(hit_in(made.rules, R"({"msg":"denied 203.0.113.9"})") == "203.0.113.9||undated");
    CHECK(hit_in(made.rules, R"({"msg":"denied 203.0.113.9","kind":"test"})") == "none");
    CHECK(hit_in(made.rules, R"({"kind":"denied 203.0.113.9"})") == "none");
}

TEST_CASE("of several paths the first one that a line has") {
    Made made = made_of(
        "description: x\njson: {ip: [client, peer.ip], user: [login, name]}\nfailregex:\n"
        "  - where: {bad: true}\n");
    REQUIRE(made.errors.empty());
    CHECK(hit_in(made.rules, R"({"bad":true,"peer":{"ip":"::1"},"name":"bob"})") ==
          "::1|bob|undated");
    CHECK(hit_in(made.rules,
                 R"({"bad":true,"peer":{"ip":"::1"},"client":"::2","login":"","name":"b"})") ==
          "::2|b|undated");
    CHECK(hit_in(made.rules, R"({"bad":true,"peer":{"ip":"::1"},"client":"x"})") == "none");
    CHECK(hit_in(made.rules, R"({"bad":true})") == "none");
}

TEST_CASE("an address with its port") {
    auto peer = [](const char* text) {
        auto address = parse_peer(text);
        return address ? to_string(*address) : "none";
    };
    CHECK(peer("192.0.2.1:80") == "192.0.2.1");
    CHECK(peer("[2001:db8::1]:80") == "2001:db8::1");
    CHECK(peer("2001:db8::1") == "2001:db8::1");
    CHECK(peer(" ::ffff:192.0.2.1 ") == "192.0.2.1");
    CHECK(peer("::ffff:192.0.2.1:80") == "none");
    CHECK(peer("192.0.2.1:") == "none");
    CHECK(peer("192.0.2.1:x") == "none");
    CHECK(peer("[192.0.2.1") == "none");
    CHECK(peer("") == "none");
}

TEST_CASE("times: seconds, milli-, micro- and nanoseconds, dates") {
    Zone zone;
    auto time = [&](std::string_view text) {
        auto found = read_time(text, zone, arrival);
        return found ? found->us : -1;
    };
    CHECK(time("1795255200") == 1'795'255'200'000'000);
    CHECK(time("1795255200.25") == 1'795'255'200'250'000);
    CHECK(time("1795255200.1234567") == 1'795'255'200'123'456);
    CHECK(time("1795255200123") == 1'795'255'200'123'000);
    CHECK(time("1795255200123.5") == 1'795'255'200'123'500);
    CHECK(time("1795255200123456") == 1'795'255'200'123'456);
    CHECK(time("1795255200123456789") == 1'795'255'200'123'456);
    CHECK(time("2026-11-21T10:00:00.25Z") == 1'795'255'200'250'000);
    CHECK(time("2026-11-21T11:00:00+01:00") == 1'795'255'200'000'000);
    CHECK(time("21/Nov/2026:10:00:00 +0000") == 1'795'255'200'000'000);
    CHECK(time("[21/Nov/2026:10:00:00 +0000]") == 1'795'255'200'000'000);
    CHECK(time("Nov 21 10:00:00") == 1'795'255'200'000'000);
    for (const char* none : {"", "1", "99999999", "-1795255200", "1795255200x", "1.7952552e9",
                             "17952552001234567890", "2026-11-21T10:00:00Zx", "true"})
        CHECK(time(none) == -1);
}

TEST_CASE("trusted_proxies: the rightmost address that is no proxy of ours, if the peer is one") {
    std::vector<Prefix> ours{*parse_prefix("10.0.0.0/8"), *parse_prefix("2001:db8::/32")};
    PrefixSet proxies(ours);
    auto sender = [&](const char* peer, const char* forwarded) {
        auto address = behind_proxies(proxies, *parse_address(peer), forwarded);
        return address ? to_string(*address) : "none";
    };
    CHECK(sender("192.0.2.1", "198.51.100.7") == "192.0.2.1");  // a client's word
    CHECK(sender("10.0.0.1", "198.51.100.7") == "198.51.100.7");
    CHECK(sender("10.0.0.1", "203.0.113.66, 198.51.100.7, 10.0.0.2") == "198.51.100.7");
    CHECK(sender("10.0.0.1", "203.0.113.66,198.51.100.7:4711") == "198.51.100.7");
    CHECK(sender("2001:db8::1", "x, [2001:db9::7]:80 , 10.1.1.1") == "2001:db9::7");
    CHECK(sender("10.0.0.1", "203.0.113.66, unknown") == "none");
    CHECK(sender("10.0.0.1", "203.0.113.66, ") == "none");
    CHECK(sender("10.0.0.1", "10.0.0.3, 10.0.0.2") == "none");
    CHECK(sender("10.0.0.1", "") == "none");

    std::string yaml =
        "description: x\njson: {ip: ip, forwarded: headers.X-Forwarded-For}\nfailregex:\n"
        "  - where: {status: 401}\n";
    FilterUse use;
    use.trusted_proxies = ours;
    Made made = made_of(yaml, use);
    REQUIRE(made.errors.empty());
    CHECK(hit_in(made.rules,
                 R"({"ip":"10.0.0.1","status":401,"headers":{"X-Forwarded-For":)"
                 R"(["203.0.113.66","198.51.100.7, 10.0.0.2"]}})") == "198.51.100.7||undated");
    CHECK(hit_in(made.rules, R"({"ip":"10.0.0.1","status":401,"headers":{}})") == "none");
    CHECK(hit_in(made.rules, R"({"ip":"192.0.2.1","status":401,"headers":{"X-Forwarded-For":)"
                             R"(["198.51.100.7"]}})") == "192.0.2.1||undated");

    Made text = made_of(
        "description: x\nfailregex: ['^<HOST> 401 \"<F-FORWARDED>[^\"]*</F-FORWARDED>\"$']\n", use);
    CHECK(hit_in(text.rules, R"(10.0.0.1 401 "203.0.113.66, 198.51.100.7")") ==
          "198.51.100.7||undated");
    CHECK(hit_in(text.rules, R"(192.0.2.1 401 "198.51.100.7")") == "192.0.2.1||undated");

    Made fail2ban =
        made_of("description: x\ndialect: fail2ban\nfailregex: ['^denied <ADDR>$']\n", use);
    CHECK(hit_in(fail2ban.rules, "denied 10.0.0.1") == "none");
    CHECK(hit_in(fail2ban.rules, "denied 192.0.2.1") == "192.0.2.1||undated");
}

TEST_CASE("a jail's paths take the place of the filter's") {
    std::string yaml =
        "description: x\njson: {ip: ip, user: user, fields: {status: status}}\nfailregex:\n"
        "  - where: {status: 401}\n";
    FilterUse use;
    use.json.ip = {"request.client_ip"};
    use.json.fields["status"] = "response.code";
    Made made = made_of(yaml, use);
    REQUIRE(made.errors.empty());
    CHECK(hit_in(made.rules,
                 R"({"ip":"::9","request":{"client_ip":"::1"},"response":{"code":401}})") ==
          "::1||undated");
    CHECK(hit_in(made.rules, R"({"ip":"::9","status":401})") == "none");
}

TEST_CASE("faults of json and where") {
    const std::string begin = "description: x\njson: {ip: ip}\nfailregex:\n  - ";
    CHECK(fault_of(begin + "where: {a: 1}") == "none");
    CHECK(fault_of(begin + "{id: a}").find("has no regex") != std::string::npos);
    CHECK(fault_of(begin + "{id: a, regex: '^x'}").find("there is no message") !=
          std::string::npos);
    CHECK(fault_of(begin + "{where: {a: '^('}}").find("RE2 refuses") != std::string::npos);
    CHECK(fault_of(begin + "{where: {a: '^<HOST>'}}").find("must not have <HOST>") !=
          std::string::npos);
    CHECK(fault_of(begin + "{where: {a..b: 1}}").find("empty key") != std::string::npos);
    CHECK(fault_of("description: x\nfailregex:\n  - {regex: '^<HOST>', where: {a: 1}}")
              .find("without \"json\"") != std::string::npos);
    CHECK(fault_of("description: x\njson: {message: m}\nfailregex:\n  - {where: {a: 1}}")
              .find("has no <HOST>") != std::string::npos);
    CHECK(fault_of("description: x\njson: {address: m}\nfailregex: ['^<HOST>']")
              .find("\"address\"") != std::string::npos);
    CHECK(fault_of("description: x\njson: {ip: m}\ndialect: fail2ban\nfailregex: ['^<HOST>']")
              .find("json") != std::string::npos);
}

namespace {

// A JSON line of made up values, each character written in one of the ways that writers have.
class LineMaker {
  public:
    explicit LineMaker(unsigned seed) : random_(seed) {}
    std::size_t any(std::size_t below) { return random_() % below; }

    std::string written(const std::string& text) {
        std::string out = "\"";
        std::size_t often = any(3) == 0 ? 4 : 1000;  // one in so many is escaped for no reason
        for (char c : text)
            if (c == '"' || c == '\\')
                out += std::string("\\") + c;
            else if (c == '/' && any(2) == 0)
                out += "\\/";
            else if (any(often) == 0 || (any(2) == 0 && (c == '<' || c == '&')))
                out += code(c);
            else
                out += c;
        return out + "\"";
    }
    std::string word() {
        static const std::vector<std::string> words{"login failed", "/login", "a/b<c", "denied",
                                                    "401",          "403",    "x",     "\"bob\"",
                                                    "&&amp",        "200"};
        return words[any(words.size())];
    }
    std::string line() {
        std::string out = "{" + written("ip") + ":" + written("192.0.2." + std::to_string(any(3)));
        for (const char* key : {"msg", "uri", "status", "kind"}) {
            if (any(5) == 0) continue;
            std::string value = word() + (any(3) == 0 ? word() : "");
            bool number = value.find_first_not_of("0123456789") == std::string::npos && any(2) == 0;
            out += "," + written(key) + ":" + (number ? value : written(value));
        }
        if (any(10) == 0) return out;  // cut
        out += "}";
        if (any(4) > 0) return out;
        std::string docker = R"({"log":)" + written(out);
        return docker + R"(,"stream":"stdout","time":"2026-11-21T10:00:00.1Z"})";
    }

  private:
    std::string code(char c) {
        char hex[8];
        std::snprintf(hex, sizeof hex, any(2) == 0 ? "\\u%04x" : "\\u%04X",
                      static_cast<unsigned>(static_cast<unsigned char>(c)));
        return hex;
    }
    std::mt19937 random_;
};

}  // namespace

TEST_CASE("the prefilter hides no JSON line, however its characters are escaped") {
    Made made = made_of(
        "description: x\njson: {ip: ip, message: msg}\nfailregex:\n"
        "  - {id: 1, regex: '^login failed'}\n"
        "  - {id: 2, where: {status: [401, 403], uri: '^/login'}}\n"
        "  - {id: 3, where: {uri: '^a/b<c'}, regex: 'denied|401'}\n"
        "  - {id: 4, where: {kind: '\"bob\"'}}\n"
        "  - {id: 5, where: {kind: ['&&amp', x]}}\n"
        "  - {id: 6, where: {status: '^4'}, regex: 'x$'}\n");
    REQUIRE(made.errors.empty());
    Made text = made_of("description: x\nfailregex: ['\"192.0.2.1\".*denied.*<HOST>']\n");
    made.rules.rules.push_back(text.rules.rules[0]);
    LineMaker maker(5);
    std::size_t hits = 0;
    for (int i = 0; i < 300; ++i) {
        std::string chunk;
        for (int j = 0; j < 100; ++j) chunk += maker.line() + "\n";
        auto with = [&](const PrepareOptions& options) {
            prepare(made.rules, options);
            return hits_in(made.rules, chunk);
        };
        auto all = with({.prefilter = false});
        REQUIRE(with({}) == all);
        hits += all.size();
    }
    CHECK(hits > 1000);
}
