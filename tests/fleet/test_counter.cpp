// SPDX-License-Identifier: GPL-2.0-or-later
// What counting nodes hear: hits of all nodes, with the rules that they are counted by.
#include <fmt/format.h>

#include <random>

#include "fleet/counter.h"
#include "fleet/hit_text.h"
#include "fleet/word_text.h"
#include "support/catch.h"
#include "support/common.h"

namespace bandd {
namespace {

using std::chrono::seconds;

constexpr Instant start = Instant::from_seconds(1'700'000'000);
Instant at(int second) { return start + seconds(second); }

JailRules rules(std::uint32_t maxretry) {
    JailRules one;
    one.name = "sshd";
    one.maxretry = maxretry;
    return one;
}

FleetMessage hits(const std::string& node, const JailRules& rules, std::uint64_t number,
                  const std::vector<std::pair<int, std::string>>& written, int stored) {
    HitBatch batch{0xabc, to_text(rules), {}};
    for (const auto& [second, address] : written) {
        SharedHit hit;
        hit.time = at(second);
        hit.id = {batch.life, ++number};
        hit.address = *parse_address(address);
        batch.hits.push_back(hit);
    }
    return {1, hit_subject(node), "HITS", 1, at(stored), to_text(batch)};
}

}  // namespace

TEST_CASE("a batch of hits is read as it was written") {
    HitBatch batch{0xfedcba9876543210, to_text(rules(5)), {}};
    for (int i = 0; i < 400; ++i) {
        SharedHit hit;
        hit.time = at(i);
        hit.id = {batch.life, static_cast<std::uint64_t>(i)};
        hit.address = *parse_address(i % 2 == 0 ? "198.51.100.7" : "2001:db8::1");
        hit.weight = 1 + static_cast<std::uint32_t>(i % 3);
        hit.value = i % 5 == 0 ? UINT64_MAX - static_cast<std::uint64_t>(i) : 0;
        batch.hits.push_back(hit);
    }
    auto read = parse_hit_batch(to_text(batch));
    REQUIRE(read);
    CHECK(read->rules == batch.rules);
    REQUIRE(read->hits.size() == 400);
    for (std::size_t i = 0; i < 400; ++i) {
        CHECK(read->hits[i].order() == batch.hits[i].order());
        CHECK(read->hits[i].address == batch.hits[i].address);
        CHECK(read->hits[i].weight == batch.hits[i].weight);
        CHECK(read->hits[i].value == batch.hits[i].value);
    }
    // It fits into a message, with all that may be long.
    for (SharedHit& hit : batch.hits) {
        hit.address = *parse_address("2001:db8:1234:5678:9abc:def0:1234:5678");
        hit.value = UINT64_MAX;
        hit.weight = 10'000;
        hit.id.low = INT64_MAX;
    }
    CHECK(to_text(batch).size() < largest_fleet_payload);
}

TEST_CASE("rules travel whole") {
    JailRules one = rules(7);
    one.findtime = seconds(123);
    one.v4_length = 24;
    one.v6_length = 56;
    one.distinct = DistinctCount{DistinctCount::Of::field, "user"};
    one.ipv6_escalation.emplace({EscalationStep{48, 4}});
    one.bantime = {seconds(60), true, 1.5, seconds(1000), seconds(5), false, true};
    auto read = parse_shared_rules(to_text(one));
    REQUIRE(read);
    CHECK(read->name == "sshd");
    CHECK(read->maxretry == 7);
    CHECK(read->findtime == seconds(123));
    CHECK(read->v4_length == 24);
    CHECK(read->v6_length == 56);
    CHECK(read->distinct == one.distinct);
    CHECK(read->ipv6_escalation == one.ipv6_escalation);
    CHECK(read->bantime == one.bantime);
    JailRules for_ever = rules(1);
    for_ever.bantime.base = forever;
    CHECK(parse_shared_rules(to_text(for_ever))->bantime.base == forever);
    CHECK_FALSE(parse_shared_rules(to_text(for_ever))->ipv6_escalation);
}

TEST_CASE("rules and hits that nobody may count by are refused") {
    std::string good = to_text(rules(5));
    REQUIRE(parse_shared_rules(good));
    auto with = [&](const std::string& from, const std::string& to) {
        std::string other = good;
        auto place = other.find(from);
        REQUIRE(place != std::string::npos);
        return other.replace(place, from.size(), to);
    };
    CHECK_FALSE(parse_shared_rules(with("\"maxretry\":5", "\"maxretry\":0")));
    CHECK_FALSE(parse_shared_rules(with("\"maxretry\":5", "\"maxretry\":1000000")));
    CHECK_FALSE(parse_shared_rules(with("\"maxretry\":5", "\"maxretry\":5.5")));
    CHECK_FALSE(parse_shared_rules(with("\"prefix4\":32", "\"prefix4\":0")));
    CHECK_FALSE(parse_shared_rules(with("\"findtime\":600000000", "\"findtime\":-1")));
    CHECK_FALSE(parse_shared_rules(with("\"jail\":\"sshd\"", "\"jail\":\"\"")));
    FleetCounter counter;
    for (const char* payload :
         {"", "{}", R"({"v":1})", R"({"v":1,"life":"x","rules":{},"hits":[]})",
          R"({"v":1,"life":"1","rules":{},"hits":[[1,"x",1,1]]})",
          R"({"v":1,"life":"1","rules":{},"hits":[[1,"192.0.2.1",0,1]]})"})
        counter.hear({1, "hit.mx1", "HITS", 1, at(0), payload});
    counter.hear(
        {1, "hit", "HITS", 1, at(0), hits("mx1", rules(1), 0, {{0, "192.0.2.1"}}, 0).payload});
    CHECK(counter.counts().malformed == 7);
    CHECK(counter.take_changes().empty());
}

TEST_CASE(
    "hits of several nodes lead to one ban, and a later ban is not withdrawn by an older one") {
    FleetCounter counter;
    JailRules three = rules(3);
    three.bantime.base = seconds(60);
    counter.hear(hits("mx1", three, 0, {{0, "192.0.2.1"}, {5, "192.0.2.1"}}, 6));
    CHECK(counter.take_changes().empty());
    counter.hear(hits("mx2", three, 10, {{3, "192.0.2.1"}}, 7));
    auto changes = counter.take_changes();
    REQUIRE(changes.size() == 1);
    CHECK(changes[0].makers == std::vector<std::string>{"mx1", "mx2"});
    CHECK(changes[0].ban.from == at(5));
    counter.hear(
        hits("mx1", three, 20, {{100, "192.0.2.1"}, {101, "192.0.2.1"}, {102, "192.0.2.1"}}, 103));
    changes = counter.take_changes();
    REQUIRE(changes.size() == 1);
    CHECK(changes[0].ban.from == at(102));
    // It moves the first ban, which is over.
    counter.hear(hits("gate", three, 30, {{4, "192.0.2.1"}}, 110));
    for (const auto& change : counter.take_changes()) {
        CHECK(change.ban.from == at(102));
        CHECK_FALSE(change.gone);
    }
}

TEST_CASE("hits of one address that come newest first are read once, not once for each") {
    FleetCounter counter;
    JailRules three = rules(3);
    std::uint64_t number = 0;
    for (int message = 0; message < 100; ++message) {
        std::vector<std::pair<int, std::string>> written;
        for (int i = 0; i < 64; ++i)
            written.emplace_back(
                3000 - static_cast<int>(number + static_cast<std::uint64_t>(i)) / 3, "192.0.2.1");
        counter.hear(hits("mx1", three, number, written, 3000));
        number += 64;
    }
    CHECK(counter.counts().counted == 6400);
    CHECK(counter.waits());
    auto changes = counter.take_changes(FleetCounter::most_read);
    REQUIRE(changes.size() == 1);
    CHECK_FALSE(counter.waits());
    // More than a group may hold are refused.
    for (int message = 0; message < 100; ++message) {
        std::vector<std::pair<int, std::string>> written;
        for (int i = 0; i < 64; ++i) written.emplace_back(500 + i, "192.0.2.1");
        counter.hear(hits("mx1", three, number, written, 3000));
        number += 64;
    }
    CHECK(counter.counts().no_room > 0);
    CHECK(counter.counts().counted <= 10'000);
}

TEST_CASE("a counting node that is killed at any moment counts on as if it had not been") {
    for (unsigned seed = 1; seed <= 60; ++seed) {
        std::mt19937 random(seed);
        auto pick = [&](std::uint32_t most) { return static_cast<std::uint32_t>(random() % most); };
        FleetCounter calm(seconds(30));
        auto killed = std::make_unique<FleetCounter>(seconds(30));
        std::map<std::pair<std::string, std::string>, std::string> state;
        std::vector<FleetMessage> unsettled;
        std::map<std::string, std::string> calm_bans, killed_bans;
        auto note = [](FleetCounter& counter, std::map<std::string, std::string>& bans) {
            for (const auto& one : counter.take_changes())
                bans[one.jail + to_string(one.ban.prefix)] =
                    one.gone ? "gone"
                             : fmt::format("{} {} {} {}", one.ban.from.us, one.ban.until.us,
                                           one.ban.offence, fmt::join(one.makers, ","));
        };
        std::uint64_t number = 0;
        for (int second = 0; second < 300; ++second) {
            JailRules some = rules(3);
            some.bantime.base = seconds(40);
            some.findtime = seconds(50);
            if (pick(4) == 0) some.name = "postfix";
            std::vector<std::pair<int, std::string>> written;
            for (std::uint32_t i = 0; i < 1 + pick(3); ++i)
                written.emplace_back(second - static_cast<int>(pick(20)),
                                     fmt::format("192.0.2.{}", pick(5)));
            const char* nodes[] = {"mx1", "mx2", "gate"};
            auto message = hits(nodes[pick(3)], some, number, written, second);
            number += 10;
            calm.hear(message);
            killed->hear(message);
            unsettled.push_back(message);
            if (pick(6) == 0) {
                std::string jail = pick(2) == 0 ? "sshd" : "postfix";
                Pardon pardon{at(second), *parse_prefix("192.0.2.1")};
                calm.pardon(jail, pardon);
                killed->pardon(jail, pardon);
            }
            note(calm, calm_bans);
            note(*killed, killed_bans);
            if (pick(8) == 0) {
                std::vector<FleetRow> rows;
                while (killed->waiting_rows() > 0) killed->take_rows(rows, 3);
                killed->take_rows(rows, 3);
                for (FleetRow& row : rows) {
                    if (row.value)
                        state[{row.kind, row.key}] = *row.value;
                    else
                        state.erase({row.kind, row.key});
                }
                unsettled.clear();
                if (pick(2) == 0) {
                    killed = std::make_unique<FleetCounter>(seconds(30));
                    for (const auto& [key, value] : state)
                        CHECK(killed->restore({key.first, key.second, value}));
                    killed->restored();
                }
            } else if (pick(20) == 0 && !unsettled.empty()) {
                // The acknowledgement was lost: all comes again, some of it twice.
                for (const FleetMessage& again : unsettled) killed->hear(again);
                note(*killed, killed_bans);
            }
            if (pick(5) == 0) {
                calm.on_time(at(second));
                killed->on_time(at(second));
            }
        }
        INFO("seed " << seed);
        REQUIRE(calm_bans == killed_bans);
        CHECK(calm_bans.size() > 3);
    }
}

TEST_CASE(
    "what stands for a value is the same on all machines, and tells nothing without the key") {
    // The algorithm's own test vector.
    std::string text;
    for (char c = 0; c < 15; ++c) text += c;
    CHECK(sip_hash({0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL}, text) == 0xa129ca6149be45e5ULL);
    SipKey key = hiding_key("000102030405060708090a0b0c0d0e0f");
    CHECK(hidden_value(key, "sshd", "root") == hidden_value(key, "sshd", "root"));
    CHECK(hidden_value(key, "sshd", "root") != hidden_value(key, "postfix", "root"));
    CHECK(hidden_value(key, "sshd", "root") !=
          hidden_value(hiding_key("100102030405060708090a0b0c0d0e0f"), "sshd", "root"));
}

}  // namespace bandd
