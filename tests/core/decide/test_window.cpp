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
        CHECK(index.memory() <= 8 * 2304);
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

namespace {

Prefix numbered(std::uint32_t number) {
    Address address = ip("10.0.0.0");
    address.bytes[13] = static_cast<std::uint8_t>(number >> 16);
    address.bytes[14] = static_cast<std::uint8_t>(number >> 8);
    address.bytes[15] = static_cast<std::uint8_t>(number);
    return make_prefix(address, 32);
}

}  // namespace

TEST_CASE("windows cost what they hold, whatever maxretry is") {
    std::uint32_t maxretry = GENERATE(2U, 5U, 1000U);
    auto memory = std::make_shared<WindowMemory>();
    WindowTable table(maxretry, 600s, 1'000'000, false, memory);
    constexpr std::uint32_t keys = 200'000;
    auto bytes_a_key = [&] { return memory->used() / keys; };
    for (std::uint32_t i = 0; i < keys; ++i) table.add(numbered(i), at(i * 1e-6), 1);
    CHECK(bytes_a_key() <= 64);
    if (maxretry < 1000) return;
    for (std::uint32_t hits = 2; hits <= 20; ++hits) {
        for (std::uint32_t i = 0; i < keys; ++i) table.add(numbered(i), at(hits), 1);
        CHECK(bytes_a_key() <= 64 + 16 * hits);
    }
    table.expire(at(1000));
    CHECK(memory->used() < 1000);
}

TEST_CASE("windows give back what they do not need any more") {
    auto memory = std::make_shared<WindowMemory>();
    WindowTable one(1000, 1000s, 1'000'000, false, memory);
    WindowTable other(1000, 600s, 1'000'000, true, memory);
    for (std::uint32_t i = 0; i < 1000; ++i)
        for (std::uint32_t n = 0; n < 900; ++n) one.add(numbered(i), at(n), 1);
    CHECK(memory->used() > 1000 * 900 * 8);
    // The 900 are out of the window.
    for (std::uint32_t i = 0; i < 1000; ++i) one.add(numbered(i), at(1899.5), 1);
    for (std::uint32_t i = 0; i < 1000; ++i) one.add(numbered(i), at(1899.5), 1);
    CHECK(memory->used() < 1000 * 200);
    for (std::uint32_t i = 0; i < 1000; ++i)
        for (std::uint32_t n = 0; n < 9; ++n) other.add(numbered(i), at(n), 1, n);
    one.clear();
    other = WindowTable(5, 600s, 10);
    CHECK(memory->used() == 0);
    CHECK(memory->slots() == 0);
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
        std::size_t most = SIZE_MAX;
        table.take_changes([&](const Prefix& key,
                               const WindowTable::View& view) { times[key] = view.times.size(); },
                           most);
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

// The model knows nothing of slots or limits: all hits of a key since it was last full.
TEST_CASE("a hit of weight w counts as w hits at its time, in any order") {
    std::mt19937 random(17);
    struct Weighed {
        Instant at;
        std::uint32_t weight;
    };
    int filled = 0;
    int by_several = 0;
    for (std::uint32_t maxretry : {1U, 2U, 5U, 9U}) {
        WindowTable table(maxretry, 50s, 1'000'000);
        WindowTable one_by_one(maxretry, 50s, 1'000'000);
        std::map<std::string, std::vector<Weighed>> model;
        double clock = 0;
        for (int i = 0; i < 20'000; ++i) {
            if (i % 1000 == 999) {  // a restart, from a checkpoint
                WindowTable again(maxretry, 50s, 1'000'000);
                table.for_each([&](const Prefix& key, const WindowTable::View& view) {
                    again.restore(key, view.times, view.values, true);
                });
                table = std::move(again);
            }
            clock += static_cast<double>(random() % 100) / 10.0;
            Instant when = at(clock - (random() % 5 == 0 ? random() % 40 : 0));
            std::uint32_t weight = random() % 3 == 0 ? 1 + random() % 7 : 1;
            std::string key = "10.0.0." + std::to_string(random() % 30);
            auto& hits = model[key];
            hits.push_back({when, weight});
            Instant newest = when;
            for (const Weighed& hit : hits) newest = std::max(newest, hit.at);
            std::uint32_t sum = 0;
            for (const Weighed& hit : hits)
                if (hit.at >= newest - 50s) sum += std::min(hit.weight, maxretry);
            bool full = weight >= maxretry || (when >= newest - 50s && sum >= maxretry);
            REQUIRE(table.would_fill(prefix(key), when, Instant{INT64_MIN}, 0, weight) == full);
            auto added = table.add(prefix(key), when, 1, 0, weight);
            REQUIRE(added.full == full);
            if (when >= newest - 50s && maxretry > 1) REQUIRE(added.hits == sum);
            if (full) {
                ++filled;
                by_several += hits.size() > 1 && hits.size() < maxretry ? 1 : 0;
                hits.clear();
                one_by_one.erase(prefix(key));
                REQUIRE_FALSE(table.find(prefix(key)));
                continue;
            }
            for (std::uint32_t n = 0; n < weight; ++n)
                REQUIRE_FALSE(one_by_one.add(prefix(key), when, 1).full);
            auto times = table.find(prefix(key))->times;
            auto wanted = one_by_one.find(prefix(key))->times;
            REQUIRE(std::ranges::equal(times, wanted));
        }
    }
    CHECK(filled > 1000);
    CHECK(by_several > 100);
}

TEST_CASE("a weight of maxretry or more takes no place of a table that is full") {
    WindowTable table(5, 600s, 1);
    table.add(prefix("192.0.2.1"), at(0), 1);
    auto added = table.add(prefix("192.0.2.2"), at(1), 2, 0, 500);
    CHECK(added.full);
    CHECK(added.hits == 5);
    CHECK(table.evicted() == 0);
    CHECK(table.find(prefix("192.0.2.1")));
}

namespace {

// What a table is to do, in the plainest way: all hits of a key in a list.
class NaiveTable {
  public:
    struct Hit {
        Instant at;
        std::uint64_t value = 0;
    };
    struct Key {
        std::vector<Hit> hits;  // by time
        std::uint64_t touched = 0;
        std::uint64_t note = 0;
    };
    std::uint32_t maxretry;
    Duration findtime;
    std::size_t limit;
    bool distinct;
    std::map<Prefix, Key> keys;
    std::uint64_t touches = 0, evicted = 0;

    std::uint32_t group_of(const Key& key) const {
        if (key.hits.size() <= 1 || maxretry <= 2) return 0;
        return static_cast<std::uint32_t>((key.hits.size() - 1) * 7 / (maxretry - 2));
    }
    auto first_to_go() {
        return std::ranges::min_element(keys, {}, [&](const auto& entry) {
            return std::pair(group_of(entry.second), entry.second.touched);
        });
    }
    void drop(Key& key, auto is_dropped) { std::erase_if(key.hits, is_dropped); }
    // Hits and whether it is full.
    std::pair<std::size_t, bool> add(const Prefix& prefix, Instant at, std::uint64_t note,
                                     std::uint64_t value, std::uint32_t weight) {
        if (maxretry <= 1) return {1, true};
        weight = std::min(weight, maxretry);
        if (!keys.contains(prefix)) {
            if (weight == maxretry) return {weight, true};
            if (keys.size() >= limit) {
                keys.erase(first_to_go());
                ++evicted;
            }
        }
        Key& key = keys[prefix];
        key.note = note;
        Instant newest = at;
        for (const Hit& hit : key.hits) newest = std::max(newest, hit.at);
        drop(key, [&](const Hit& hit) { return hit.at < newest - findtime; });
        if (distinct) {
            for (const Hit& hit : key.hits)
                if (hit.value == value) at = std::max(at, hit.at);
            drop(key, [&](const Hit& hit) { return hit.value == value; });
        }
        bool counts = at >= newest - findtime;
        std::size_t hits = key.hits.size() + weight;
        if (weight == maxretry || (counts && hits >= maxretry)) {
            keys.erase(prefix);
            return {hits, true};
        }
        for (std::uint32_t i = 0; counts && i < weight; ++i) {
            auto place = std::ranges::upper_bound(key.hits, at, {}, &Hit::at);
            key.hits.insert(place, {at, value});
        }
        key.touched = ++touches;
        return {key.hits.size(), false};
    }
    void forget_before(const Prefix& prefix, Instant from) {
        if (!keys.contains(prefix)) return;
        Key& key = keys[prefix];
        std::size_t before = key.hits.size();
        drop(key, [&](const Hit& hit) { return hit.at < from; });
        if (before == key.hits.size()) return;
        key.touched = ++touches;
        if (key.hits.empty()) keys.erase(prefix);
    }
    // Of each group, in the order of their last hits, until one is not old.
    std::size_t expire(Instant now) {
        std::size_t gone = 0;
        for (std::uint32_t group = 0; group < 8; ++group) {
            std::vector<std::pair<std::uint64_t, Prefix>> order;
            for (const auto& [prefix, key] : keys)
                if (group_of(key) == group) order.emplace_back(key.touched, prefix);
            std::ranges::sort(order);
            for (const auto& [touched, prefix] : order) {
                const Key& key = keys[prefix];
                if (!key.hits.empty() && key.hits.back().at >= now - findtime) break;
                keys.erase(prefix);
                ++gone;
            }
        }
        return gone;
    }
};

// Times that are equal, a little apart, far apart, late, and far too late.
class HostileTimes {
  public:
    Instant next(std::mt19937& random) {
        switch (random() % 8) {
            case 0:
                return at_ = at_ + Duration(random() % 3);
            case 1:
                return at_ = at_ + 1s * static_cast<int>(random() % 9);
            case 2:
                return at_ - Duration(random() % 5);
            case 3:
                return at_ - 50s + Duration(static_cast<int>(random() % 3) - 1);
            case 4:
                return at_ - 1s * static_cast<int>(random() % 120);
            case 5:
                return random() % 20 == 0 ? at_ = at_ + 49s : at_;
            default:
                return at_;
        }
    }

  private:
    Instant at_ = at(10'000);
};

void require_same(const WindowTable& table, NaiveTable& naive) {
    REQUIRE(table.size() == naive.keys.size());
    REQUIRE(table.evicted() == naive.evicted);
    table.for_each([&](const Prefix& key, const WindowTable::View& view) {
        REQUIRE(naive.keys.contains(key));
        const NaiveTable::Key& wanted = naive.keys[key];
        REQUIRE(view.note == wanted.note);
        REQUIRE(std::ranges::equal(view.times, wanted.hits, {}, {}, &NaiveTable::Hit::at));
        if (naive.distinct)
            REQUIRE(std::ranges::equal(view.values, wanted.hits, {}, {}, &NaiveTable::Hit::value));
    });
}

}  // namespace

// Several tables in one memory take each other's slots; a checkpoint takes the changes meanwhile.
TEST_CASE("tables that share a memory decide as a naive one does, whatever comes") {
    std::uint32_t maxretry = GENERATE(1U, 2U, 3U, 4U, 5U, 7U, 10U, 16U, 60U, 1000U);
    bool distinct = GENERATE(false, true);
    CAPTURE(maxretry, distinct);
    std::mt19937 random(maxretry * 2 + (distinct ? 1 : 0));
    auto memory = std::make_shared<WindowMemory>();
    constexpr std::size_t tables = 3, limit = 25;
    struct Pair {
        WindowTable table;
        NaiveTable naive;
        HostileTimes times;
        std::map<Prefix, std::size_t> checkpoint;
    };
    std::vector<Pair> pairs;
    for (std::size_t i = 0; i < tables; ++i)
        pairs.push_back({WindowTable(maxretry, 50s, limit, distinct, memory),
                         NaiveTable{maxretry, 50s, limit, distinct, {}},
                         {},
                         {}});
    for (std::uint64_t step = 1; step <= 12'000; ++step) {
        auto& [table, naive, times, checkpoint] = pairs[random() % tables];
        // Most hits are of few keys, so that these fill.
        Prefix key = numbered(random() % 3 == 0 ? random() % 60 : random() % 2);
        Instant when = times.next(random);
        std::uint64_t value = random() % (maxretry + 2);
        std::uint32_t weight = distinct || random() % 4 != 0 ? 1 : 1 + random() % (maxretry + 1);
        switch (random() % 60) {
            case 0:
                REQUIRE(table.erase(key) == (naive.keys.erase(key) == 1));
                break;
            case 1:
                table.forget_before(key, when);
                naive.forget_before(key, when);
                break;
            case 2:
                REQUIRE(table.expire(when) == naive.expire(when));
                break;
            case 3:
                for (std::size_t most = 7; table.waiting_changes() > 0; most = 7)
                    table.take_changes(
                        [&](const Prefix& one, const WindowTable::View& view) {
                            checkpoint[one] = view.times.size();
                            if (view.times.empty()) checkpoint.erase(one);
                        },
                        most);
                // A key may be there with no time in its window, if all that came was too late.
                std::erase_if(checkpoint, [](const auto& entry) { return entry.second == 0; });
                for (const auto& [one, wanted] : naive.keys)
                    if (!wanted.hits.empty()) REQUIRE(checkpoint[one] == wanted.hits.size());
                REQUIRE(checkpoint.size() <= naive.keys.size());
                break;
            default:
                bool would = table.would_fill(key, when, Instant{INT64_MIN}, value, weight);
                auto [hits, full] = naive.add(key, when, step, value, weight);
                auto added = table.add(key, when, step, value, weight);
                REQUIRE(would == full);
                REQUIRE(added.full == full);
                REQUIRE(added.hits == hits);
        }
        if (step % 50 == 0) require_same(table, naive);
    }
    pairs.clear();
    CHECK(memory->used() == 0);
}
