// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/parallel_scan.h"

#include "bench/mail_router_log.h"
#include "support/common.h"

using namespace bandd;

namespace {

Ruleset rules() {
    auto filter = std::make_shared<Filter>();
    filter->name = "test";
    for (const char* regex :
         {"^warning: \\S+\\[<HOST>\\]: SASL ",
          "^Failed password for .* from <HOST> port \\d+ ssh2$", "rip=<HOST>, lip="})
        filter->patterns.push_back(std::move(*compile_pattern("p", regex, {}, true)));
    Ruleset made;
    made.rules.push_back({filter, {0}});
    prepare(made);
    return made;
}

std::string text_of(const HitPieces& hits) {
    std::string text;
    for (const Hits& piece : hits)
        for (const Hit& hit : piece)
            text += to_string(*hit.address) + " " + std::string(hit.line) + "\n";
    return text;
}

std::string found_by(ParallelScan& scan, const Ruleset& ruleset, const std::string& log) {
    HitPieces hits;
    scan.scan(ruleset, Chunk{0, log, {}}, at(0), hits);
    return text_of(hits);
}

}  // namespace

TEST_CASE("a chunk scanned on several threads gives the hits of one, in the order of the lines") {
    std::string log;
    write_mail_router_log({.lines = 20'000, .attacks = 0.2}, log);
    Ruleset ruleset = rules();
    ParallelScan one(1);
    std::string expected = found_by(one, ruleset, log);
    CHECK(std::ranges::count(expected, '\n') > 2000);
    for (unsigned threads : {2U, 3U, 8U}) {
        ParallelScan several(threads);
        for (int round = 0; round < 5; ++round) CHECK(found_by(several, ruleset, log) == expected);
        CHECK(several.counts().lines == 5 * one.counts().lines);
        CHECK(several.counts().hits == 5 * one.counts().hits);
    }
}

TEST_CASE("a line longer than a piece, and one without an end, are scanned once") {
    Ruleset ruleset = rules();
    std::string log = "x" + std::string(200 << 10, 'y') + " rip=203.0.113.1, lip=\n" +
                      std::string(100 << 10, '\n') + "a rip=203.0.113.2, lip=";
    ruleset.line_limit = 1 << 20;
    ParallelScan one(1);
    ParallelScan several(4);
    CHECK(found_by(several, ruleset, log) == found_by(one, ruleset, log));
    CHECK(several.counts().hits == 2);
}

TEST_CASE("while a chunk is scanned, the one before can be decided") {
    std::string first;
    std::string second;
    write_mail_router_log({.lines = 3000, .attacks = 0.5, .seed = 1}, first);
    write_mail_router_log({.lines = 3000, .attacks = 0.5, .seed = 2}, second);
    Ruleset ruleset = rules();
    ParallelScan one(1);
    ParallelScan several(3);
    HitPieces hits;
    several.begin(ruleset, Chunk{0, first, {}}, at(0));
    several.finish(hits);
    several.begin(ruleset, Chunk{0, second, {}}, at(0));
    CHECK(text_of(hits) == found_by(one, ruleset, first));
    several.finish(hits);
    CHECK(text_of(hits) == found_by(one, ruleset, second));
    // A smaller chunk leaves nothing of a larger one behind.
    several.scan(ruleset, Chunk{0, "a rip=203.0.113.2, lip=\n", {}}, at(0), hits);
    CHECK(text_of(hits) == "203.0.113.2 a rip=203.0.113.2, lip=\n");
}
