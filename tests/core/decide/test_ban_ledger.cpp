// SPDX-License-Identifier: GPL-2.0-or-later
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
