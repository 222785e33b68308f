// SPDX-License-Identifier: GPL-2.0-or-later
// What holds for every filter that is shipped.
//
// Clients choose user names, HELO strings, URLs and passwords, and servers write them into logs.
// For every sample of every shipped filter, each word that a client could have chosen is replaced
// by text that looks like the log of an attack by somebody else: that one must never be found.
#include <filesystem>
#include <set>

#include "config/compile.h"
#include "config/load.h"
#include "support/common.h"

using namespace bandd;

namespace {

constexpr const char* victim = "198.51.100.77";
constexpr Instant arrival = Instant::from_seconds(4102444800);  // 2100

std::optional<std::string> found_in(const Filter& filter, const std::string& line) {
    MatchScratch scratch;
    Seen seen = see(filter, line, Zone{}, arrival, Escapes::automatic, scratch);
    FilterMatch found = match(filter, seen.tag, seen.text, scratch);
    if (found.fate != LineFate::hit) return {};
    return to_string(*found.captured.address);
}

// Words that stand in free text, but are the server's own: no client writes them.
const std::map<std::string, std::set<std::string>> server_words{
    // The method, and OpenSSL's reasons.
    {"dovecot",
     {"Connection",
      "closed",
      "PLAIN",
      "LOGIN",
      "CRAM-MD5",
      "SSL_accept",
      "failed:",
      "failed",
      "Disconnected",
      "handshaking:",
      "TLSv1.2",
      "TLSv1.3",
      "with",
      "cipher",
      "256/256",
      "ECDHE-RSA-AES256-GCM-SHA384",
      "TLS_AES_256_GCM_SHA384",
      "wrong",
      "version",
      "number",
      "error:0A00010B:SSL",
      "routines::wrong",
      ""}},
    {"exim", {"dovecot_login", "login", "plain", "dovecot_plain", "cram"}},  // authenticators
    {"gitea",
     {"...routers/web/auth/auth.go:123:SignInPost", "modules/ssh/ssh.go:188:publicKeyHandler"}},
    {"grafana", {"2026-11-21T10:00:00+0000", "2026-11-21T10:00:00.123Z"}},
    {"proftpd", {"mx.example.com", "192.0.2.1", "mx", "localhost"}},  // the server's name
    {"sshd", {"RSA", "SHA256:v3dpapGleDaUKf4V1vKyR9Zy"}},             // the key
};

struct Word {
    std::size_t from = 0, size = 0;
};

// Runs between spaces, quotes and brackets, as they stand in log lines; and empty ones. The head is
// not a client's to write.
std::vector<Word> words_of(const std::string& line) {
    std::vector<Word> words;
    std::string buffer;
    std::size_t from = line.size() - open_line(line, Zone{}, arrival, buffer).message.size();
    for (std::size_t i = from; i <= line.size(); ++i)
        if (i == line.size() || std::string_view(" \t\"'<>()[]{},;=").contains(line[i])) {
            words.push_back({from, i - from});
            from = i + 1;
        }
    return words;
}

std::string with(std::string line, Word word, const std::string& text) {
    return line.replace(word.from, word.size, text);
}

// What an attacker would write there. `closing`: with the very characters that end the field, as
// some servers print them as they came.
std::vector<std::string> forgeries(const std::string& line, Word word,
                                   const std::vector<std::string>& messages, bool closing) {
    std::string ip = victim;
    std::vector<std::string> texts{ip,
                                   "x from " + ip,
                                   "x[" + ip + "]",
                                   "x [" + ip + "]: SASL LOGIN authentication failed",
                                   "x (" + ip + ")",
                                   "rip=" + ip,
                                   "x, rip=" + ip + ", lip=192.0.2.1",
                                   "client: " + ip,
                                   "x IP: " + ip,
                                   "remoteaddr=" + ip,
                                   "x#012" + ip};
    for (const std::string& message : messages) {
        texts.push_back(message);
        texts.push_back("x " + message);
        texts.push_back("x#012" + message);
    }
    if (!closing) return texts;
    char end = word.from + word.size < line.size() ? line[word.from + word.size] : ' ';
    std::string rest = line.substr(std::min(line.size(), word.from + word.size));
    std::vector<std::string> closed;
    for (const std::string& text : texts) closed.push_back(std::string("x") + end + " " + text);
    return closed;
}

}  // namespace

TEST_CASE("no text of a client makes a shipped filter find somebody else's address") {
#ifdef BANDD_ADDRESS_SANITIZER
    constexpr std::size_t one_of = 16;  // they take a quarter of an hour with it
#else
    constexpr std::size_t one_of = 1;
#endif
    std::size_t number = 0;
    std::size_t tried = 0;
    std::size_t places = 0;
    for (const auto& entry : std::filesystem::directory_iterator(BANDD_SOURCE "/filters")) {
        LoadedFilter loaded = load_filter(entry.path().string());
        REQUIRE(loaded.errors.empty());
        const FilterConfig& config = loaded.filter;
        std::vector<Error> errors;
        std::vector<Error> warnings;
        auto filter =
            compile_filter(config, {{"aggressive"}, config.sample_lists}, errors, warnings);
        REQUIRE(errors.empty());
        for (const Error& warning : warnings) FAIL_CHECK(to_line(warning));

        std::vector<std::string> messages;
        std::set<std::string> patterns;
        for (const Sample& sample : config.samples) {
            if (sample.match == "none" || sample.match == "ignored" || sample.ip.empty()) continue;
            patterns.insert(sample.match);
            MatchScratch scratch;
            Seen seen = see(*filter, sample.line, Zone{}, arrival, Escapes::automatic, scratch);
            std::string message(seen.text);
            if (auto at = message.find(sample.ip); at != std::string::npos)
                messages.push_back(message.replace(at, sample.ip.size(), victim));
        }
        for (const PatternConfig& pattern : config.failregex) {
            INFO(config.name << ": pattern " << pattern.id << " has no sample");
            CHECK(patterns.contains(pattern.id));
        }
        for (const Sample& sample : config.samples) {
            if (sample.match == "none" || sample.match == "ignored") continue;
            auto host = found_in(*filter, sample.line);
            REQUIRE(host);
            for (Word word : words_of(sample.line)) {
                auto own = server_words.find(config.name);
                if (own != server_words.end() &&
                    own->second.contains(sample.line.substr(word.from, word.size)))
                    continue;
                // A place is a client's if any word fits there.
                if (found_in(*filter, with(sample.line, word, "zqj")) != host) continue;
                ++places;
                for (bool closing : {false, true})
                    for (const std::string& text :
                         forgeries(sample.line, word, messages, closing)) {
                        if (++number % one_of != 0) continue;
                        std::string line = with(sample.line, word, text);
                        ++tried;
                        if (found_in(*filter, line) == std::optional<std::string>(victim))
                            FAIL_CHECK(config.name << " " << sample.match << "\n" << line);
                    }
            }
        }
    }
    CHECK(places > 100);
    CHECK(tried > 10'000);
}

TEST_CASE("a filter that is read without its samples is the same filter") {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(BANDD_SOURCE "/filters"))
        paths.push_back(entry.path().string());
    TempDirectory dir;
    const std::string sample = "samples:\n  - {line: x 192.0.2.1, match: none}\n";
    auto own = [&](const std::string& name, const std::string& text) {
        write_file(dir / name, text);
        paths.push_back(dir / name);
    };
    own("first.yaml", sample + "failregex: ['^x <HOST>$']\n");
    own("last.yaml", "failregex: ['^x <HOST>$']\n" + sample + "# more to come\n\n");
    own("at-the-margin.yaml",
        "failregex: ['^x <HOST>$']\nsamples:\n- {line: x 192.0.2.1, match: none}\n");
    own("in-a-text.yaml",
        sample + "failregex: ['^x <HOST>$']\ndescription: \"two\nsamples: of\"\n");
    for (const std::string& path : paths) {
        CAPTURE(path);
        LoadedFilter whole = load_filter(path, Samples::read);
        LoadedFilter lean = load_filter(path, Samples::skip);
        CHECK(whole.errors.empty());
        CHECK(lean.errors.empty());
        CHECK_FALSE(whole.filter.samples.empty());
        bool is_last = !path.ends_with("/first.yaml") && !path.ends_with("/in-a-text.yaml");
        CHECK(lean.filter.samples.empty() == is_last);
        CHECK(lean.filter.description == whole.filter.description);
        CHECK(lean.filter.tag == whole.filter.tag);
        CHECK(lean.filter.lists == whole.filter.lists);
        REQUIRE(lean.filter.failregex.size() == whole.filter.failregex.size());
        for (std::size_t i = 0; i < lean.filter.failregex.size(); ++i) {
            CHECK(lean.filter.failregex[i].id == whole.filter.failregex[i].id);
            CHECK(lean.filter.failregex[i].regex == whole.filter.failregex[i].regex);
            CHECK(lean.filter.failregex[i].where == whole.filter.failregex[i].where);
        }
    }
}

TEST_CASE("all shipped filters at once: the prefilter hides none of their samples") {
    Ruleset rules;
    std::string log;
    std::size_t samples = 0;
    std::size_t without_literal = 0;
    for (const auto& entry : std::filesystem::directory_iterator(BANDD_SOURCE "/filters")) {
        FilterConfig config = load_filter(entry.path().string()).filter;
        std::vector<Error> errors;
        std::vector<Error> warnings;
        auto filter =
            compile_filter(config, {{"aggressive"}, config.sample_lists}, errors, warnings);
        for (const Pattern& pattern : filter->patterns)
            if (required_literals(pattern).empty()) ++without_literal;
        rules.rules.push_back({filter, {static_cast<JailIndex>(rules.rules.size())}});
        for (const Sample& sample : config.samples) {
            log += sample.line + "\n";
            if (sample.match != "none" && sample.match != "ignored") ++samples;
        }
    }
    auto hits_with = [&](const PrepareOptions& options) {
        prepare(rules, options);
        Scratch scratch;
        Hits hits;
        scan(rules, Chunk{0, log, {}}, arrival, scratch, hits);
        std::vector<std::string> found;
        for (const Hit& hit : hits)
            found.push_back(hit.rule->filter->name + " " + hit.pattern->id + " " +
                            std::string(hit.line));
        return found;
    };
    auto plain = hits_with({.prefilter = false});
    CHECK(plain.size() >= samples);
    CHECK(hits_with({}) == plain);
    CHECK_FALSE(rules.prepared.looks_at_every_line);
    CHECK(without_literal == 0);
}
