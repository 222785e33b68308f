// SPDX-License-Identifier: GPL-2.0-or-later
// A jail whose hits several machines share: whatever the order and however often they arrive, the
// bans are those of one machine that read all logs merged. The oracle here is a plain reading of
// the rules, and knows nothing of bandd's engine.
#include <algorithm>
#include <map>
#include <memory>
#include <random>

#include "core/fleet/shared_jail.h"
#include "core/fleet/stamp.h"
#include "support/catch.h"
#include "support/common.h"

namespace bandd {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

Instant at(int second) { return Instant::from_seconds(1'700'000'000 + second); }
int second_of(Instant time) { return static_cast<int>(time.seconds() - 1'700'000'000); }

SharedHit hit(int second, std::uint64_t id, const std::string& address, NodeIndex node = 0,
              std::uint32_t weight = 1) {
    SharedHit one;
    one.time = at(second);
    one.id = {0, id};
    one.address = *parse_address(address);
    one.node = node;
    one.weight = weight;
    return one;
}

JailRules rules(std::uint32_t maxretry, int findtime, int bantime) {
    JailRules one;
    one.name = "sshd";
    one.maxretry = maxretry;
    one.findtime = seconds(findtime);
    one.bantime.base = seconds(bantime);
    return one;
}

std::vector<SharedBan> sorted(std::vector<SharedBan> bans) {
    std::ranges::sort(bans, {},
                      [](const SharedBan& ban) { return std::tie(ban.prefix, ban.from); });
    return bans;
}

std::string text(const SharedBan& ban) {
    std::string nodes;
    for (NodeIndex node : ban.nodes) nodes += " " + std::to_string(node);
    return to_string(ban.prefix) + " " + std::to_string(second_of(ban.from)) + ".." +
           (ban.until == never ? "never" : std::to_string(second_of(ban.until))) + " offence " +
           std::to_string(ban.offence) + ", " + std::to_string(ban.hits) + " hits by" + nodes;
}
std::vector<std::string> texts(const std::vector<SharedBan>& bans) {
    std::vector<std::string> all;
    for (const SharedBan& ban : sorted(bans)) all.push_back(text(ban));
    return all;
}

// Bans as those who heard only the changes know them: by prefix and beginning.
struct Heard {
    std::map<std::pair<Prefix, Instant>, SharedBan> bans;
    void hear(const std::vector<SharedJail::Change>& changes) {
        for (const auto& [ban, gone] : changes) {
            if (gone)
                bans.erase({ban.prefix, ban.from});
            else
                bans[{ban.prefix, ban.from}] = ban;
        }
    }
};

}  // namespace

TEST_CASE("hits of three machines are counted as those of one, in the order of time") {
    SharedJail jail(rules(3, 600, 3600));
    CHECK(jail.add(hit(1, 1, "192.0.2.1", 0), at(10)) == SharedJail::Taken::counted);
    CHECK(jail.add(hit(9, 2, "192.0.2.1", 1), at(10)) == SharedJail::Taken::counted);
    CHECK(jail.take_changes().empty());
    CHECK(jail.add(hit(5, 3, "192.0.2.1", 2), at(11)) == SharedJail::Taken::counted);
    CHECK(texts(jail.bans()) ==
          std::vector<std::string>{"192.0.2.1 9..3609 offence 1, 3 hits by 0 1 2"});
    CHECK(jail.take_changes().size() == 1);

    SECTION("a hit that arrives twice counts once") {
        CHECK(jail.add(hit(5, 3, "192.0.2.1", 2), at(12)) == SharedJail::Taken::known);
        CHECK(jail.hits() == 3);
        CHECK(jail.take_changes().empty());
    }
    SECTION("one that arrives late moves the ban: it begins, and ends, earlier") {
        CHECK(jail.add(hit(7, 4, "192.0.2.1", 0), at(12)) == SharedJail::Taken::counted);
        auto changes = jail.take_changes();
        REQUIRE(changes.size() == 2);
        CHECK(changes[0].gone);
        CHECK(changes[0].ban.from == at(9));
        CHECK_FALSE(changes[1].gone);
        CHECK(text(changes[1].ban) == "192.0.2.1 7..3607 offence 1, 4 hits by 0 2");
    }
    SECTION("one that comes during the ban changes only the count") {
        jail.add(hit(20, 4, "192.0.2.1", 0), at(20));
        CHECK(jail.take_changes().empty());
        CHECK(jail.bans().front().hits == 4);
    }
    SECTION("a pardon ends it, and what was before does not count") {
        jail.pardon({at(30), *parse_prefix("192.0.2.1")}, at(30));
        auto changes = jail.take_changes();
        REQUIRE(changes.size() == 1);
        CHECK(changes[0].ban.until == at(30));
        jail.add(hit(29, 4, "192.0.2.1", 0), at(31));
        jail.add(hit(31, 5, "192.0.2.1", 0), at(31));
        jail.add(hit(32, 6, "192.0.2.1", 0), at(32));
        CHECK(jail.take_changes().empty());
        jail.add(hit(33, 7, "192.0.2.1", 1), at(33));
        CHECK(texts(jail.bans()).back() == "192.0.2.1 33..3633 offence 2, 3 hits by 0 1");
    }
    SECTION("a hit that is withdrawn takes the ban along") {
        CHECK(jail.remove(*parse_address("192.0.2.1"), {0, 2}, at(40)));
        CHECK(jail.bans().empty());
        CHECK(jail.take_changes().front().gone);
    }
}

TEST_CASE("what is too old, or from the future, is refused") {
    SharedJail jail(rules(1, 600, 3600), minutes(10));
    CHECK(jail.add(hit(0, 1, "192.0.2.1"), at(600)) == SharedJail::Taken::counted);
    CHECK(jail.add(hit(0, 2, "192.0.2.1"), at(601)) == SharedJail::Taken::too_late);
    CHECK(jail.add(hit(661, 3, "192.0.2.1"), at(601)) == SharedJail::Taken::counted);
    CHECK(jail.add(hit(662, 4, "192.0.2.1"), at(601)) == SharedJail::Taken::ahead);
}

TEST_CASE("a shared jail keeps to its bounds, and evicts no group that is banned") {
    SharedJail jail(rules(3, 600, 3600), hours(1),
                    {.hits = 100, .hits_of_group = 50, .pardons = 1});
    std::uint64_t id = 0;
    for (int i = 0; i < 3; ++i) jail.add(hit(i, ++id, "192.0.2.1"), at(10));
    for (int i = 0; i < 1000; ++i)
        jail.add(hit(10, ++id, "198.51.100." + std::to_string(i % 250)), at(10));
    CHECK(jail.hits() <= 100);
    CHECK(jail.evicted() > 0);
    CHECK(std::ranges::any_of(jail.bans(), [](const SharedBan& ban) {
        return ban.prefix == *parse_prefix("192.0.2.1");
    }));
}

TEST_CASE("whatever is settled meanwhile, hits are forgotten once they count no more") {
    SharedJail jail(rules(3, 60, 120), minutes(1));
    for (int i = 0; i < 50; ++i)
        jail.add(hit(i, static_cast<std::uint64_t>(i), "192.0.2." + std::to_string(i % 20)), at(i));
    CHECK(jail.hits() == 50);
    jail.on_time(at(50 + 60 + 61));
    CHECK(jail.hits() == 0);
    // Offences are remembered for a month.
    CHECK(jail.groups() == 10);
    jail.on_time(Instant{at(50).us} + hours(24 * 32));
    CHECK(jail.groups() == 0);
}

namespace {

// One machine that reads everything: a plain reading of the rules.
struct Oracle {
    JailRules rules;
    struct Known {
        std::vector<std::pair<SharedHit, std::uint32_t>> window;
        std::vector<SharedBan> bans;
        std::uint32_t offences = 0;
    };
    std::map<Prefix, Known> known;

    void pardon(const Pardon& pardon) {
        for (auto& [prefix, one] : known) {
            if (!contains(pardon.prefix, prefix.network)) continue;
            one.window.clear();
            if (!one.bans.empty() && one.bans.back().until > pardon.at)
                one.bans.back().until = pardon.at;
        }
    }
    void read(const SharedHit& hit) {
        Known& one = known[make_prefix(hit.address, hit.address.is_v4() ? 32 : 64)];
        if (!one.bans.empty() && hit.time < one.bans.back().until) {
            SharedBan& ban = one.bans.back();
            ++ban.hits;
            if (rules.bantime.extend && ban.until != never)
                ban.until = std::max(ban.until, hit.time + length(ban.offence));
            return;
        }
        std::erase_if(one.window,
                      [&](const auto& old) { return old.first.time < hit.time - rules.findtime; });
        one.window.emplace_back(hit, hit.weight);
        std::uint32_t failures = 0;
        for (const auto& [old, weight] : one.window) failures += weight;
        if (failures < rules.maxretry) return;
        SharedBan ban;
        ban.prefix = make_prefix(hit.address, hit.address.is_v4() ? 32 : 64);
        ban.from = hit.time;
        ban.offence = ++one.offences;
        ban.until = hit.time + length(ban.offence);
        ban.hits = failures;
        for (const auto& [old, weight] : one.window) ban.nodes.push_back(old.node);
        std::ranges::sort(ban.nodes);
        ban.nodes.erase(std::unique(ban.nodes.begin(), ban.nodes.end()), ban.nodes.end());
        one.window.clear();
        one.bans.push_back(ban);
    }
    Duration length(std::uint32_t offence) const {
        Duration length = rules.bantime.base;
        if (length == forever) return length;
        for (std::uint32_t i = 1; rules.bantime.increment && i < offence; ++i)
            length = std::min(length * 2, rules.bantime.maximum);
        return length;
    }
    std::vector<SharedBan> bans() const {
        std::vector<SharedBan> all;
        for (const auto& [prefix, one] : known)
            all.insert(all.end(), one.bans.begin(), one.bans.end());
        return all;
    }
};

}  // namespace

TEST_CASE("in any order, doubled and late, what a fleet decides is what one machine would have") {
    constexpr int histories = 400;
    std::size_t bans = 0, moved = 0, settled = 0;
    for (int seed = 0; seed < histories; ++seed) {
        std::mt19937 random(static_cast<unsigned>(seed));
        auto up_to = [&](int most) {
            return static_cast<int>(random() % static_cast<unsigned>(most));
        };
        JailRules some =
            rules(1 + static_cast<std::uint32_t>(up_to(4)), 5 + up_to(60), 5 + up_to(100));
        some.bantime.increment = up_to(2) == 0;
        some.bantime.maximum = seconds(300);
        some.bantime.extend = up_to(3) == 0;
        if (up_to(8) == 0) some.bantime.base = forever;
        some.ipv6_escalation.emplace();  // off: the oracle does not know it
        int lateness = 20 + up_to(60);

        // What is written, and when it arrives: within `lateness`.
        struct Arrival {
            int at;
            std::optional<SharedHit> hit;
            std::optional<Pardon> pardon;
        };
        std::vector<Arrival> arrivals;
        std::vector<SharedHit> written;
        std::vector<Pardon> pardons;
        int count = 5 + up_to(200), length = 10 + up_to(600);
        for (int i = 0; i < count; ++i) {
            std::string address = up_to(4) == 0 ? "2001:db8:0:" + std::to_string(up_to(3)) +
                                                      "::" + std::to_string(up_to(9))
                                                : "192.0.2." + std::to_string(up_to(4));
            SharedHit one = hit(up_to(length), random(), address, static_cast<NodeIndex>(up_to(3)),
                                1 + static_cast<std::uint32_t>(up_to(5) == 0));
            one.weight = std::min(one.weight, some.maxretry);
            written.push_back(one);
            int copies = 1 + static_cast<int>(up_to(4) == 0);
            for (int copy = 0; copy < copies; ++copy)
                arrivals.push_back({second_of(one.time) + up_to(lateness + 1), one, {}});
        }
        for (int i = up_to(4); i > 0; --i) {
            Pardon pardon{at(up_to(length)),
                          *parse_prefix(up_to(2) == 0 ? "192.0.2.0/24" : "192.0.2.1")};
            pardons.push_back(pardon);
            arrivals.push_back({second_of(pardon.at) + up_to(lateness + 1), {}, pardon});
        }
        std::ranges::shuffle(arrivals, random);
        std::ranges::stable_sort(arrivals, {}, &Arrival::at);

        auto jail_held = std::make_unique<SharedJail>(some, seconds(lateness));
        std::map<Prefix, std::string> state;  // groups, as a state on disk has them
        auto begin_anew = [&] {
            for (SharedJail::Row& row : jail_held->take_rows(SIZE_MAX)) {
                if (row.bytes)
                    state[row.group] = std::move(*row.bytes);
                else
                    state.erase(row.group);
            }
            std::string pardoned = jail_held->pardons();
            jail_held = std::make_unique<SharedJail>(some, seconds(lateness));
            jail_held->restore_pardons(pardoned);
            for (const auto& [group, bytes] : state) REQUIRE(jail_held->restore(group, bytes));
            CHECK(jail_held->take_changes().empty());
        };
        Heard heard;
        for (const Arrival& arrival : arrivals) {
            if (up_to(20) == 0) begin_anew();
            SharedJail& jail = *jail_held;
            Instant now = at(arrival.at);
            if (arrival.hit) {
                auto taken = jail.add(*arrival.hit, now);
                CHECK((taken == SharedJail::Taken::counted || taken == SharedJail::Taken::known));
            } else {
                jail.pardon(*arrival.pardon, now);
            }
            auto changes = jail.take_changes();
            for (const auto& change : changes) moved += change.gone ? 1 : 0;
            heard.hear(changes);
            if (up_to(3) == 0) jail.on_time(now);
        }
        SharedJail& jail = *jail_held;
        settled += written.size() - jail.hits();

        Oracle oracle{some, {}};
        std::sort(written.begin(), written.end());
        std::ranges::sort(pardons);
        auto pardon = pardons.begin();
        for (const SharedHit& one : written) {
            for (; pardon != pardons.end() && pardon->at <= one.time; ++pardon)
                oracle.pardon(*pardon);
            oracle.read(one);
        }
        for (; pardon != pardons.end(); ++pardon) oracle.pardon(*pardon);
        bans += oracle.bans().size();

        // Heard has them all, with the count at the last change; the jail what is in force.
        std::vector<SharedBan> heard_bans;
        for (const auto& [key, ban] : heard.bans) heard_bans.push_back(ban);
        auto without_counts = [](std::vector<SharedBan> all) {
            for (SharedBan& ban : all) ban.hits = 0;
            return texts(all);
        };
        INFO("seed " << seed);
        REQUIRE(without_counts(heard_bans) == without_counts(oracle.bans()));
        std::vector<std::string> expected = texts(oracle.bans());
        for (const std::string& ban : texts(jail.bans())) {
            INFO(ban << " of " << Catch::Detail::stringify(expected));
            REQUIRE(std::ranges::find(expected, ban) != expected.end());
        }
    }
    // It is a test of something.
    CHECK(bans > 1000);
    CHECK(moved > 100);
    CHECK(settled > 1000);
}

}  // namespace bandd
