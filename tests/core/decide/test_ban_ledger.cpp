// SPDX-License-Identifier: GPL-2.0-or-later
#include <array>
#include <deque>
#include <map>
#include <random>

#include "core/decide/ban_ledger.h"
#include "core/decide/bantime.h"
#include "support/common.h"

using namespace bandd;
using namespace std::chrono_literals;

namespace {

Ban ban_of(const std::string& who, double from, double until, JailIndex jail = 0) {
    Ban ban;
    ban.key = {jail, prefix(who)};
    ban.from = at(from);
    ban.until = at(until);
    return ban;
}

}  // namespace

TEST_CASE("bans end one after the other, each at its time, and late hits count to them") {
    BanLedger ledger;
    ledger.begin(ban_of("203.0.113.1", 0, 100));
    ledger.begin(ban_of("203.0.113.2", 0, 50));
    CHECK(ledger.next_deadline() == at(50));
    CHECK_FALSE(ledger.end_next(at(49)));
    auto first = ledger.end_next(at(200));
    REQUIRE(first);
    CHECK(first->ban.key.prefix == prefix("203.0.113.2"));
    CHECK(first->at == at(50));
    CHECK(ledger.end_next(at(200))->at == at(100));
    CHECK_FALSE(ledger.end_next(at(200)));
    CHECK(ledger.bans().empty());

    BanKey key{0, prefix("203.0.113.1")};
    CHECK(ledger.count_late_hit(key, at(99)));
    CHECK_FALSE(ledger.count_late_hit(key, at(100)));
    CHECK_FALSE(ledger.count_late_hit(key, at(-1)));
    CHECK_FALSE(ledger.count_late_hit({1, key.prefix}, at(99)));
    ledger.forget_ended(at(160));
    CHECK(ledger.count_late_hit(key, at(99)));
    ledger.forget_ended(at(160.1));
    CHECK_FALSE(ledger.count_late_hit(key, at(99)));
}

TEST_CASE("a ban that moved or was ended by hand wakes nobody") {
    BanLedger ledger;
    ledger.begin(ban_of("203.0.113.1", 0, 100));
    ledger.begin(ban_of("203.0.113.2", 0, 50));
    ledger.extend(ledger.bans().slot_of({0, prefix("203.0.113.2")}), at(300));
    CHECK_FALSE(ledger.end_next(at(60)));
    ledger.end({0, prefix("203.0.113.1")}, Unbanned::Why::by_hand, at(70));
    CHECK(ledger.next_deadline() == at(300));
    // Pardoned: what was written before counts anew.
    CHECK_FALSE(ledger.count_late_hit({0, prefix("203.0.113.1")}, at(60)));
}

TEST_CASE("a full ledger takes no more bans, and counts them") {
    BanLedger ledger({.bans = 1});
    CHECK(ledger.begin(ban_of("203.0.113.1", 0, 100)) != nullptr);
    CHECK(ledger.begin(ban_of("203.0.113.2", 0, 100)) == nullptr);
    CHECK(ledger.refused() == 1);
}

TEST_CASE("offences are counted by jail and over all, until they are too old") {
    BanLedger ledger({.offence_memory = 1h});
    Prefix who = prefix("203.0.113.1");
    CHECK(ledger.count_offence(0, who, at(0), false) == 1);
    CHECK(ledger.count_offence(1, who, at(10), false) == 1);
    CHECK(ledger.count_offence(1, who, at(20), true) == 3);
    CHECK(ledger.offences({1, who})->count == 2);
    CHECK(ledger.count_offence(0, who, at(3600), false) == 2);
    CHECK(ledger.count_offence(0, who, at(7200.1), false) == 1);
    CHECK_FALSE(ledger.offences({2, who}));
}

TEST_CASE("a checkpoint gets each change once, and a restore gives the same ledger") {
    BanLedger ledger;
    ledger.begin(ban_of("203.0.113.1", 0, 100));
    ledger.begin(ban_of("203.0.113.2", 0, 50));
    ledger.count_hit(ledger.bans().slot_of({0, prefix("203.0.113.1")}));
    ledger.count_offence(0, prefix("203.0.113.1"), at(0), false);
    ledger.end_next(at(60));
    Changes changes;
    std::size_t most = SIZE_MAX;
    ledger.take_changes(changes, most);
    REQUIRE(changes.bans.size() == 1);
    CHECK(changes.bans[0].hits == 1);
    REQUIRE(changes.ended_bans.size() == 1);
    CHECK(changes.offences.size() == 2);
    Changes none;
    ledger.take_changes(none, most);
    CHECK(none.empty());

    BanLedger again;
    again.restore(changes.bans[0]);
    again.restore_ended(changes.ended_bans[0]);
    for (const auto& [key, offences] : changes.offences) again.restore_offences(key, offences);
    CHECK(again.next_deadline() == at(100));
    CHECK(again.count_late_hit({0, prefix("203.0.113.2")}, at(40)));
    CHECK(again.offences({any_jail, prefix("203.0.113.1")})->count == 1);
}

TEST_CASE("a ban's length follows from its policy alone") {
    BantimePolicy policy;
    Prefix who = prefix("203.0.113.1");
    CHECK(bantime_of(policy, who, at(0), 3) == 1h);
    policy.increment = true;
    policy.maximum = 3h;
    CHECK(bantime_of(policy, who, at(0), 1) == 1h);
    CHECK(bantime_of(policy, who, at(0), 2) == 2h);
    CHECK(bantime_of(policy, who, at(0), 3) == 3h);
    CHECK(bantime_of(policy, who, at(0), 1000) == 3h);
    policy.jitter = 10min;
    Duration once = bantime_of(policy, who, at(0), 1);
    CHECK(once == bantime_of(policy, who, at(0), 1));
    CHECK(once >= 1h);
    CHECK(once <= 70min);
    policy.base = forever;
    CHECK(bantime_of(policy, who, at(0), 2) == forever);
}

TEST_CASE("a table of offences that is full forgets who came first, and the state hears of it") {
    OffenceTable table(3);
    std::map<std::string, std::uint32_t> stored;
    std::mt19937 random(3);
    std::map<std::string, std::uint32_t> counted;
    std::deque<std::string> order;
    for (int i = 0; i < 3000; ++i) {
        std::string who = "203.0.113." + std::to_string(random() % 6);
        BanKey key{0, prefix(who)};
        if (!counted.contains(who)) {
            order.push_back(who);
            if (order.size() > 3) {
                counted.erase(order.front());
                order.pop_front();
            }
        }
        ++counted[who];
        ++table.change(key).count;
        CHECK(table.size() == counted.size());
        CHECK(table.find(key)->count == counted[who]);
        if (random() % 3 != 0) continue;
        std::size_t most = random() % 3 == 0 ? 1 : SIZE_MAX;
        table.take_changes(
            [&](const BanKey& one, const Offences& offences) {
                if (offences.count == 0)
                    stored.erase(to_string(one.prefix));
                else
                    stored[to_string(one.prefix)] = offences.count;
            },
            most);
        if (table.waiting_changes() == 0) CHECK(stored == counted);
    }
}

TEST_CASE("offences of several jails, and over all, are what two tables would count") {
    OffenceTable table(1000);
    std::map<std::pair<JailIndex, std::string>, Offences> counted, stored;
    std::mt19937 random(5);
    auto name = [](const BanKey& key) { return std::pair{key.jail, to_string(key.prefix)}; };
    for (int i = 0; i < 5000; ++i) {
        BanKey key{static_cast<JailIndex>(random() % 4),
                   prefix("203.0.113." + std::to_string(random() % 20))};
        if (key.jail == 3) key.jail = any_jail;
        if (random() % 10 == 0) {
            Offences restored{static_cast<std::uint32_t>(random() % 9 + 1), at(i)};
            table.restore(key, restored);
            counted[name(key)] = restored;
        }
        auto changed = table.change(key);
        Offences& one = counted[name(key)];
        CHECK(changed.count == one.count);
        one.count = ++changed.count;
        one.last = changed.last = at(i);
        std::size_t most = random() % 7;
        table.take_changes(
            [&](const BanKey& taken, const Offences& now) { stored[name(taken)] = now; }, most);
    }
    std::size_t all = SIZE_MAX;
    table.take_changes([&](const BanKey& taken, const Offences& now) { stored[name(taken)] = now; },
                       all);
    CHECK(stored.size() == counted.size());
    for (const auto& [key, offences] : counted) {
        BanKey wanted{key.first, prefix(key.second)};
        REQUIRE(table.find(wanted));
        CHECK(table.find(wanted)->count == offences.count);
        CHECK(table.find(wanted)->last == offences.last);
        CHECK(stored[key].count == offences.count);
    }
    CHECK_FALSE(table.find({0, prefix("198.51.100.1")}));
}

TEST_CASE("bans are counted by jail and state") {
    BanLedger ledger;
    std::mt19937 random(7);
    for (int i = 0; i < 3000; ++i) {
        std::string who = "203.0.113." + std::to_string(random() % 30);
        BanKey key{static_cast<JailIndex>(random() % 2), prefix(who)};
        if (ledger.bans().find(key) == nullptr)
            ledger.begin(ban_of(who, i, i + 1000, key.jail));
        else if (random() % 2 == 0)
            ledger.end(key, Unbanned::Why::by_hand, at(i));
        else
            ledger.set_state(key, static_cast<BanState>(random() % 3));
        std::array<std::array<std::size_t, 3>, 2> counts{};
        for (const Ban& ban : ledger.bans())
            ++counts[ban.key.jail][static_cast<std::size_t>(ban.state)];
        for (JailIndex jail : {0, 1})
            for (std::size_t state : {0U, 1U, 2U})
                CHECK(ledger.bans().count(jail, static_cast<BanState>(state)) ==
                      counts[jail][state]);
    }
}

TEST_CASE("what led to a ban is let go once it is stored, unless the ban has changed since") {
    BanLedger ledger;
    auto story = std::make_shared<Story>();
    story->reason = "bad-password";
    story->matches = {{at(0), "bad-password", "failed for x from 203.0.113.1"}};
    for (int i = 1; i <= 4; ++i) {
        Ban ban = ban_of("203.0.113." + std::to_string(i), 0, 100, i == 4 ? 1 : 0);
        ban.story = story;
        ledger.begin(ban);
    }
    auto lines = [&](int i) {
        BanKey key{static_cast<JailIndex>(i == 4 ? 1 : 0),
                   prefix("203.0.113." + std::to_string(i))};
        CHECK(ledger.bans().find(key)->story->reason == "bad-password");
        return ledger.bans().find(key)->story->matches.size();
    };
    auto of_jail_0 = [](const Ban& ban) { return ban.key.jail == 0; };
    CHECK_FALSE(ledger.forget_details(SIZE_MAX, of_jail_0));
    CHECK(lines(1) == 1);
    Changes changes;
    std::size_t most = SIZE_MAX;
    ledger.take_changes(changes, most);
    ledger.count_hit(ledger.bans().slot_of({0, prefix("203.0.113.2")}));
    CHECK(ledger.forget_details(1, of_jail_0));
    CHECK_FALSE(ledger.forget_details(SIZE_MAX, of_jail_0));
    CHECK(lines(1) == 0);
    CHECK(lines(2) == 1);
    CHECK(lines(3) == 0);
    CHECK(lines(4) == 1);
    // The checkpoint has what was taken.
    for (const Ban& ban : changes.bans) CHECK(ban.story->matches.size() == 1);
    CHECK(ledger.bans().find({0, prefix("203.0.113.1")})->story ==
          ledger.bans().find({0, prefix("203.0.113.3")})->story);
}
