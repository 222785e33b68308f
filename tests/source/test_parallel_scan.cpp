// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/parallel_scan.h"
#include "source/tail.h"

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

std::string text_of(const Hits& hits) {
    std::string text;
    for (const Hit& hit : hits)
        text += to_string(*hit.address) + " " + std::string(hit.line) + "\n";
    return text;
}

// What was begun, piece by piece.
std::string rest_of(ParallelScan& scan) {
    std::string found;
    Hits hits;
    while (scan.next(hits)) found += text_of(hits);
    return found;
}

std::string found_by(ParallelScan& scan, const Ruleset& ruleset, std::string_view log) {
    scan.begin(ruleset, Chunk{0, log, {}}, at(0));
    return rest_of(scan);
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

TEST_CASE("all lines of a chunk are handed on once, in their order, whatever becomes of the rest") {
    std::string log;
    write_mail_router_log({.lines = 9000, .attacks = 0.5}, log);
    Ruleset ruleset = rules();
    for (unsigned threads : {1U, 3U}) {
        ParallelScan scan(threads);
        Hits hits;
        std::string lines;
        scan.begin(ruleset, Chunk{0, log, {}}, at(0));
        while (auto piece = scan.next(hits)) {
            lines += *piece;
            for (const Hit& hit : hits)
                CHECK((hit.line.data() >= piece->data() &&
                       hit.line.data() + hit.line.size() <= piece->data() + piece->size()));
        }
        CHECK(lines == log);
        CHECK(hits.empty());
        // Begun and given up: the next has nothing of it.
        scan.begin(ruleset, Chunk{0, log, {}}, at(0));
        CHECK(scan.next(hits));
        CHECK(found_by(scan, ruleset, "a rip=203.0.113.2, lip=\n") ==
              "203.0.113.2 a rip=203.0.113.2, lip=\n");
        CHECK(found_by(scan, ruleset, "").empty());
    }
}

namespace {

struct LogFile {
    TempDirectory dir;
    std::string path = dir / "log";
    explicit LogFile(const std::string& content) { write_file(path, content); }
    Tail open() const {
        Tail tail = std::move(*Tail::open(path, Encoding::automatic, 1 << 20));
        tail.seek(0);
        return tail;
    }
};

// In what has to be read the usual way.
std::string found_at_begin(Tail& tail, ParallelScan& scan, const Ruleset& ruleset) {
    std::string found;
    while (!tail.ahead(1)) {
        auto chunk = tail.read(4096);
        REQUIRE(chunk);
        found += found_by(scan, ruleset, chunk->bytes);
    }
    return found;
}

// All of the log, as the daemon reads a backlog; `parts` counts what the threads read themselves.
std::string found_in(Tail& tail, ParallelScan& scan, const Ruleset& ruleset, std::size_t most,
                     std::size_t& parts) {
    std::string found;
    while (true) {
        if (auto part = tail.ahead(most)) {
            ++parts;
            scan.begin(ruleset, *part, at(0));
            found += rest_of(scan);
            tail.took(scan.has_read().bytes, scan.has_read().left);
            continue;
        }
        auto chunk = tail.read(most);
        REQUIRE(chunk);
        if (chunk->bytes.empty() && !chunk->more) break;
        found += found_by(scan, ruleset, chunk->bytes);
    }
    return found + found_by(scan, ruleset, tail.flush_partial());
}

}  // namespace

TEST_CASE("threads that read their own share of a log find what one finds that reads it all") {
    std::string log;
    write_mail_router_log({.lines = 20'000, .attacks = 0.3}, log);
    // Lines longer than a share, and than several; empty ones; one without an end.
    for (std::size_t length : {40'000U, 70'000U, 300'000U})
        log.insert(log.find('\n', log.size() / 3) + 1,
                   std::string(length, 'x') + " rip=203.0.113.7, lip=\n\n\n");
    log += "rip=203.0.113.8, lip=";
    Ruleset ruleset = rules();
    ruleset.line_limit = 1 << 20;
    ParallelScan one(1);
    std::string expected = found_by(one, ruleset, log);
    LogFile file(log);
    for (unsigned threads : {2U, 3U}) {
        for (std::size_t most : {100'000U, 131'073U, 524'288U}) {
            Tail tail = file.open();
            ParallelScan several(threads);
            std::size_t parts = 0;
            CHECK(found_in(tail, several, ruleset, most, parts) == expected);
            CHECK(parts > 2);
            CHECK(several.counts().lines == one.counts().lines);
            CHECK(several.counts().hits == one.counts().hits);
            CHECK(tail.position().offset == log.size());
            CHECK(tail.counts().bytes == log.size());
        }
    }
}

TEST_CASE("lines of a part and their hits stay good until the next are asked for") {
    std::string log;
    write_mail_router_log({.lines = 30'000, .attacks = 0.5}, log);
    LogFile file(log);
    Tail tail = file.open();
    Ruleset ruleset = rules();
    ParallelScan one(1);
    ParallelScan several(3);
    std::string found = found_at_begin(tail, several, ruleset);
    std::string lines = log.substr(0, tail.position().offset);
    auto part = tail.ahead(log.size());
    several.begin(ruleset, *part, at(0));
    Hits hits;
    while (auto piece = several.next(hits)) {
        // The others have long filled what room they have.
        if (lines.size() < log.size() / 2)
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        lines += *piece;
        found += text_of(hits);
    }
    CHECK(lines == log);
    CHECK(found == found_by(one, ruleset, log));
}

TEST_CASE("a log truncated while its part is read is found out; what was read counts once") {
    std::string log;
    write_mail_router_log({.lines = 5000, .attacks = 0.5}, log);
    LogFile file(log);
    Tail tail = file.open();
    Ruleset ruleset = rules();
    ParallelScan several(2);
    std::string found = found_at_begin(tail, several, ruleset);
    auto part = tail.ahead(200'000);
    std::size_t cut = static_cast<std::size_t>(part->offset) + 120'000;
    std::filesystem::resize_file(file.path, cut);
    several.begin(ruleset, *part, at(0));
    found += rest_of(several);
    auto read = several.has_read();
    CHECK(read.bytes == 120'000);
    tail.took(read.bytes, read.left);
    ParallelScan one(1);
    std::string whole_lines = log.substr(0, log.rfind('\n', cut - 1) + 1);
    CHECK(found == found_by(one, ruleset, whole_lines));
    CHECK(tail.position().offset == whole_lines.size());
    std::filesystem::resize_file(file.path, 100);
    CHECK_FALSE(tail.ahead(200'000));
    CHECK(tail.read()->truncated);
}

TEST_CASE(
    "a log of which nothing can be read is left to who tells why, and is not tried for ever") {
    std::string log;
    write_mail_router_log({.lines = 2000, .attacks = 0.1}, log);
    LogFile file(log);
    Tail tail = file.open();
    while (!tail.ahead(1000)) REQUIRE(tail.read(1000));
    auto part = tail.ahead(1000);
    Ruleset ruleset = rules();
    ParallelScan several(2);
    FilePart unreadable = *part;
    unreadable.fd = -1;
    several.begin(ruleset, unreadable, at(0));
    CHECK(rest_of(several).empty());
    auto read = several.has_read();
    CHECK(read.bytes == 0);
    CHECK(read.left == part->begun);
    auto position = tail.position().offset;
    tail.took(read.bytes, read.left);
    CHECK(tail.position().offset == position);
    CHECK_FALSE(tail.ahead(1000));
    auto chunk = tail.read(1000);
    REQUIRE(chunk);
    CHECK_FALSE(chunk->bytes.empty());
    CHECK(tail.ahead(1000));
}

TEST_CASE("others help only while that pays, and to find that out costs little") {
    // Seconds for a MiB without help, and with it.
    auto costs = [](double without, double with, std::size_t mebibytes, HelpTrial& trial) {
        double seconds = 0;
        for (std::size_t i = 0; i < mebibytes; ++i) {
            double took = trial.with_help() ? with : without;
            seconds += took;
            trial.took(1 << 20, took);
        }
        return seconds;
    };
    HelpTrial trial;
    SECTION("where it makes all slower") {
        CHECK(costs(1.0, 1.5, 100, trial) < 103);
        CHECK(costs(1.0, 1.5, 10'000, trial) < 10'050);
    }
    SECTION("where it is hardly faster") {
        CHECK(costs(1.0, 0.95, 100, trial) > 99);
        CHECK_FALSE(trial.with_help());
    }
    SECTION("where it is twice as fast") {
        CHECK(costs(1.0, 0.5, 1000, trial) < 515);
        CHECK(trial.with_help());
        // Others begin to use the processors, and end.
        costs(1.0, 1.3, 3000, trial);
        CHECK_FALSE(trial.with_help());
        costs(1.0, 0.5, 3000, trial);
        CHECK(trial.with_help());
    }
}

TEST_CASE("with `matchers: auto` the hits are the same, with help or without") {
    std::string log;
    write_mail_router_log({.lines = 100'000, .attacks = 0.2}, log);
    Ruleset ruleset = rules();
    ParallelScan one(1);
    std::string expected = found_by(one, ruleset, log);
    Config config;
    ParallelScan automatic(config);
    LogFile file(log);
    for (int round = 0; round < 6; ++round) {  // a trial's turns, and after it
        CHECK(found_by(automatic, ruleset, log) == expected);
        Tail tail = file.open();
        std::size_t parts = 0;
        CHECK(found_in(tail, automatic, ruleset, 8 << 20, parts) == expected);
    }
}
