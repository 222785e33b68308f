// SPDX-License-Identifier: GPL-2.0-or-later
#include <map>
#include <random>

#include "core/decide/window.h"
#include "support/common.h"

using namespace bandd;
using namespace std::chrono_literals;

TEST_CASE("a slot index finds what is in it and nothing else, however hashes collide") {
    std::mt19937 random(11);
    // All different, few different, and alike in the bits that are looked at first.
    for (std::uint32_t kind : {0U, 1U, 2U}) {
        auto hash_of = [&](std::uint32_t key) -> std::size_t {
            std::uint32_t mixed = key * 0x9e3779b9U;
            return kind == 0 ? mixed : kind == 1 ? key % 5 : mixed & 0xffff0000U;
        };
        SlotIndex index;
        std::map<std::uint32_t, std::uint32_t> slot_of;  // by key
        std::map<std::uint32_t, std::uint32_t> key_in;   // by slot
        std::uint32_t next_slot = 0;
        for (int step = 0; step < 20'000; ++step) {
            std::uint32_t key = random() % (kind == 1 ? 60 : 900);
            auto known = slot_of.find(key);
            std::uint32_t found = index.find(
                hash_of(key), [&](std::uint32_t slot) { return key_in.at(slot) == key; });
            REQUIRE(found == (known == slot_of.end() ? SlotIndex::none : known->second));
            if (known == slot_of.end()) {
                index.insert(hash_of(key), next_slot);
                slot_of[key] = next_slot;
                key_in[next_slot++] = key;
            } else if (random() % 2 == 0) {
                index.erase(hash_of(key), known->second);
                key_in.erase(known->second);
                slot_of.erase(known);
            }
        }
        CHECK(index.memory() <= 8 * 2048);
    }
}

TEST_CASE("full at the maxretry-th hit, with the first exactly findtime before it") {
    WindowTable table(3, 600s, 100);
    CHECK_FALSE(table.add(prefix("203.0.113.9"), at(0), 1).full);
    CHECK_FALSE(table.add(prefix("203.0.113.9"), at(300), 2).full);
    CHECK(table.add(prefix("203.0.113.9"), at(600), 3).full);
    CHECK(table.size() == 0);
}

TEST_CASE("one microsecond more than findtime, and it is not full") {
    WindowTable table(3, 600s, 100);
    table.add(prefix("203.0.113.9"), at(0), 1);
    table.add(prefix("203.0.113.9"), at(300), 2);
    auto added = table.add(prefix("203.0.113.9"), at(600.000001), 3);
    CHECK_FALSE(added.full);
    CHECK(added.hits == 2);
    CHECK(added.previous_note == 2);
    CHECK(table.add(prefix("203.0.113.9"), at(900), 4).full);
}

TEST_CASE("hits out of order count where they belong") {
    WindowTable table(3, 10s, 100);
    table.add(prefix("203.0.113.9"), at(20), 1);
    CHECK(table.add(prefix("203.0.113.9"), at(9), 2).hits == 1);  // too far behind the newest
    table.add(prefix("203.0.113.9"), at(15), 3);
    CHECK(table.add(prefix("203.0.113.9"), at(12), 4).full);
}

TEST_CASE("maxretry 1 needs no memory") {
    WindowTable table(1, 600s, 100);
    CHECK(table.add(prefix("203.0.113.9"), at(0), 1).full);
    CHECK(table.size() == 0);
}

TEST_CASE("at its limit the table forgets who was hit longest ago, and counts it") {
    WindowTable table(3, 600s, 3);
    table.add(prefix("192.0.2.1"), at(0), 1);
    table.add(prefix("192.0.2.2"), at(1), 2);
    table.add(prefix("192.0.2.3"), at(2), 3);
    table.add(prefix("192.0.2.1"), at(3), 4);
    table.add(prefix("192.0.2.4"), at(4), 5);
    CHECK(table.size() == 3);
    CHECK(table.evicted() == 1);
    CHECK_FALSE(table.find(prefix("192.0.2.2")));
    CHECK(table.find(prefix("192.0.2.1"))->times.size() == 2);
}

TEST_CASE("keys whose last hit is older than findtime are forgotten") {
    WindowTable table(3, 10s, 100);
    table.add(prefix("192.0.2.1"), at(0), 1);
    table.add(prefix("192.0.2.2"), at(5), 2);
    CHECK(table.expire(at(10)) == 0);
    CHECK(table.expire(at(10.1)) == 1);
    CHECK(table.expire(at(100)) == 1);
    CHECK(table.size() == 0);
}

TEST_CASE("the table agrees with a plain model over many random hits") {
    std::mt19937 random(11);
    for (std::uint32_t maxretry : {2U, 3U, 5U}) {
        WindowTable table(maxretry, 50s, 1'000'000);
        std::map<std::string, std::vector<double>> model;
        double clock = 0;
        for (int i = 0; i < 20000; ++i) {
            clock += static_cast<double>(random() % 100) / 10.0;
            std::string key =
                "10.0." + std::to_string(random() % 4) + "." + std::to_string(random() % 30);
            auto& times = model[key];
            std::erase_if(times, [&](double t) { return t < clock - 50.0 - 1e-9; });
            times.push_back(clock);
            bool full = times.size() >= maxretry;
            if (full) times.clear();
            REQUIRE(table.add(prefix(key), at(clock), 1).full == full);
            if (random() % 50 == 0) {
                table.erase(prefix(key));
                times.clear();
            }
        }
    }
}

TEST_CASE("a million keys at maxretry 5 take at most 100 bytes each") {
    WindowTable table(5, 600s, 2'000'000);
    Address address = ip("10.0.0.0");
    for (std::uint32_t i = 0; i < 1'000'000; ++i) {
        address.bytes[13] = static_cast<std::uint8_t>(i >> 16);
        address.bytes[14] = static_cast<std::uint8_t>(i >> 8);
        address.bytes[15] = static_cast<std::uint8_t>(i);
        table.add(make_prefix(address, 32), at(i * 1e-6), i + 1);
    }
    CHECK(table.size() == 1'000'000);
    CHECK(table.memory() / table.size() <= 100);
}

TEST_CASE("a flood of addresses with one hit each does not push out who is about to be banned") {
    WindowTable table(5, 600s, 1000);
    Prefix attacker = prefix("203.0.113.9/32");
    for (int i = 0; i < 4; ++i) table.add(attacker, at(i), 1);
    for (int i = 0; i < 100'000; ++i) {
        Address noise = ip("10.0.0.0");
        noise.bytes[13] = static_cast<std::uint8_t>(i >> 16);
        noise.bytes[14] = static_cast<std::uint8_t>(i >> 8);
        noise.bytes[15] = static_cast<std::uint8_t>(i);
        table.add(make_prefix(noise, 32), at(10 + i * 0.001), 1);
    }
    CHECK(table.size() == 1000);
    CHECK(table.evicted() == 100'000 + 1 - 1000);
    CHECK(table.add(attacker, at(200), 1).full);
}

TEST_CASE("a million addresses that are counted take at most 100 bytes each") {
    WindowTable table(5, 600s, 1'000'000);
    for (int i = 0; i < 1'000'000; ++i) {
        Address address = ip("10.0.0.0");
        address.bytes[13] = static_cast<std::uint8_t>(i >> 16);
        address.bytes[14] = static_cast<std::uint8_t>(i >> 8);
        address.bytes[15] = static_cast<std::uint8_t>(i);
        table.add(make_prefix(address, 32), at(i * 1e-4), 1);
    }
    CHECK(table.size() == 1'000'000);
    INFO("bytes a key: " << table.memory() / 1'000'000);
    CHECK(table.memory() <= 100'000'000);
}

TEST_CASE("distinct values: a value that was there already only becomes newer") {
    WindowTable table(3, 600s, 100, true);
    CHECK(table.add(prefix("203.0.113.9"), at(0), 1, 7).hits == 1);
    CHECK(table.add(prefix("203.0.113.9"), at(100), 2, 7).hits == 1);
    CHECK(table.add(prefix("203.0.113.9"), at(200), 3, 8).hits == 2);
    CHECK(table.add(prefix("203.0.113.9"), at(300), 4, 8).hits == 2);
    // 7 was seen last at 100: at 701 it is out of the window, and 9 is the second value.
    auto added = table.add(prefix("203.0.113.9"), at(701), 5, 9);
    CHECK_FALSE(added.full);
    CHECK(added.hits == 2);
    CHECK(table.add(prefix("203.0.113.9"), at(702), 6, 7).full);
    CHECK(table.size() == 0);
}

TEST_CASE("distinct values agree with counting them one by one, and survive a checkpoint") {
    std::mt19937 random(5);
    constexpr std::uint32_t maxretry = 4;
    WindowTable table(maxretry, 50s, 1000, true);
    struct Seen {
        double at;
        std::uint64_t value;
    };
    std::map<int, std::vector<Seen>> naive;
    double time = 0;
    for (int i = 0; i < 20000; ++i) {
        time += random() % 4;
        int who = static_cast<int>(random() % 5);
        std::uint64_t value = random() % 9;
        Prefix key = prefix("203.0.113." + std::to_string(who));
        auto& seen = naive[who];
        std::erase_if(seen,
                      [&](const Seen& one) { return one.at < time - 50 || one.value == value; });
        seen.push_back({time, value});
        auto added = table.add(key, at(time), 1, value);
        REQUIRE(added.hits == seen.size());
        REQUIRE(added.full == (seen.size() >= maxretry));
        if (added.full) seen.clear();
        if (i % 1000 != 999) continue;
        WindowTable again(maxretry, 50s, 1000, true);
        table.for_each([&](const Prefix& one, const WindowTable::View& view) {
            again.restore(one, view.times, view.values, true);
        });
        table = std::move(again);
    }
}

TEST_CASE("other rules go on from the kept times, and a checkpoint hears of what is forgotten") {
    WindowTable table(4, 10min, 10);
    auto changed = [&] {
        std::map<Prefix, std::size_t> times;
        table.take_changes([&](const Prefix& key, const WindowTable::View& view) {
            times[key] = view.times.size();
        });
        return times;
    };
    using Times = std::map<Prefix, std::size_t>;
    Prefix a = prefix("203.0.113.1");
    Prefix b = prefix("203.0.113.2");
    for (int i = 0; i < 3; ++i) table.add(a, at(i), 7);
    table.add(b, at(3), 8);
    CHECK(changed() == Times{{a, 3}, {b, 1}});
    SECTION("smaller") {
        table.resize(3, 10min, 1, false);
        CHECK(table.size() == 1);
        CHECK(table.evicted() == 1);
        CHECK(table.find(a)->note == 7);
        CHECK(changed() == Times{{a, 2}, {b, 0}});
    }
    SECTION("emptied") {
        table.clear();
        CHECK(table.size() == 0);
        table.add(b, at(4), 9);
        CHECK(changed() == Times{{a, 0}, {b, 1}});
        CHECK(changed() == Times{});
    }
}

TEST_CASE("would_fill says before what add says then") {
    std::mt19937 random(5);
    for (bool distinct : {false, true}) {
        WindowTable table(4, 10s, 100, distinct);
        int full = 0;
        for (int i = 0; i < 20'000; ++i) {
            Prefix key = prefix("203.0.113." + std::to_string(random() % 20));
            Instant when = at(i * 0.1 + static_cast<double>(random() % 12));
            Instant from = random() % 4 == 0 ? when - 5s : Instant{INT64_MIN};
            std::uint64_t value = random() % 6;
            bool expected = table.would_fill(key, when, from, value);
            table.forget_before(key, from);
            bool is_full = table.add(key, when, 1, value).full;
            REQUIRE(is_full == expected);
            full += is_full ? 1 : 0;
        }
        CHECK(full > 100);
    }
}
