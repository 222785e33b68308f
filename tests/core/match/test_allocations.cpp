// SPDX-License-Identifier: GPL-2.0-or-later
// Counts what is allocated while lines are scanned: a program of its own, as it replaces operator
// new.
#include <atomic>
#include <cstdlib>
#include <new>

#include "bench/mail_router_log.h"
#include "config/compile.h"
#include "config/load.h"
#include "core/decide/engine.h"
#include "support/common.h"

namespace {
std::atomic<std::uint64_t> allocations = 0;
}

void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    ++allocations;
    return std::malloc(size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

using namespace bandd;

namespace {

Ruleset mail_router_rules() {
    Ruleset rules;
    for (const char* name : {"hmailserver", "postfix", "dovecot", "sshd"}) {
        std::vector<Error> errors;
        std::vector<Error> warnings;
        FilterConfig config =
            load_filter(BANDD_SOURCE "/filters/" + std::string(name) + ".yaml").filter;
        rules.rules.push_back({compile_filter(config, {}, errors, warnings), {0}});
    }
    prepare(rules);
    return rules;
}

// Allocations of a scan whose memory is warm.
std::uint64_t allocated_by(const Ruleset& rules, const std::string& log, std::size_t& hits_found) {
    Scratch scratch;
    Hits hits;
    auto scan_once = [&] {
        hits.clear();
        std::uint64_t before = allocations;
        scan(rules, Chunk{0, log, {}}, Instant::from_seconds(1'795'100'000), scratch, hits);
        return allocations - before;
    };
    scan_once();
    scan_once();
    std::uint64_t counted = scan_once();
    hits_found = hits.size();
    return counted;
}

}  // namespace

TEST_CASE("lines that are no attack are scanned without an allocation") {
    std::string log;
    write_mail_router_log({.lines = 5000, .attacks = 0}, log);
    std::size_t hits = 0;
    CHECK(allocated_by(mail_router_rules(), log, hits) == 0);
    CHECK(hits == 0);
}

#ifdef BANDD_WITH_CAPTURES  // RE2 allocates when it captures
TEST_CASE("neither are lines that are looked at, nor hits") {
    std::size_t hits = 0;
    std::string log;
    for (int i = 0; i < 500; ++i)
        log += "Nov 21 10:00:00 mx sshd[1]: Failed password for joe from nowhere port 22 ssh2\n";
    CHECK(allocated_by(mail_router_rules(), log, hits) == 0);
    CHECK(hits == 0);

    log.clear();
    write_mail_router_log({.lines = 2000, .attacks = 1}, log);
    CHECK(allocated_by(mail_router_rules(), log, hits) == 0);
    CHECK(hits == 2000);
}

TEST_CASE("further hits of who is banned are decided without an allocation") {
    std::string log;
    write_mail_router_log({.lines = 2000, .attacks = 1, .attackers = 10}, log);
    Ruleset rules = mail_router_rules();
    Engine engine;
    JailRules jail;
    jail.name = "all";
    Outcome outcome;
    const Instant now = Instant::from_seconds(1'795'100'000);
    engine.set_rules({jail}, now, outcome);
    Scratch scratch;
    Hits hits;
    auto run = [&] {
        outcome.events.clear();
        hits.clear();
        std::uint64_t before = allocations;
        scan(rules, Chunk{0, log, {}}, now, scratch, hits);
        for (Hit& hit : hits) hit.time = now;
        engine.on_hits(hits, now, outcome);
        return allocations - before;
    };
    run();
    CHECK(engine.bans().size() == 10);
    run();
    run();
    CHECK(run() == 0);
}
#endif
