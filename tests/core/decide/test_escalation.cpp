// SPDX-License-Identifier: GPL-2.0-or-later
// Attackers who change their IPv6 /64 from try to try.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "core/decide/engine.h"
#include "support/common.h"

using namespace bandd;
using namespace std::chrono_literals;

namespace {

const Pattern& some_pattern() {
    static const Pattern pattern = std::move(*compile_pattern("p", "<HOST>", {}, true));
    return pattern;
}

JailRules jail_with(std::uint32_t maxretry = 5) {
    JailRules rules;
    rules.name = "test";
    rules.maxretry = maxretry;
    rules.findtime = 10min;
    rules.bantime.base = 1h;
    return rules;
}

// An address in the /64 number `subnet` of 2001:db8:`site`::/48.
std::string host(unsigned subnet, unsigned site = 1) {
    return fmt::format("2001:db8:{:x}:{:x}::{:x}", site, subnet, subnet + 1);
}

using Said = std::vector<std::string>;

struct Machine {
    Engine engine;
    explicit Machine(JailRules rules, PrefixSet own = {}) {
        engine.set_own_addresses(std::move(own));
        set(std::move(rules));
    }
    void set(JailRules rules) {
        Outcome outcome;
        engine.set_rules({std::move(rules)}, at(0), outcome);
    }
    Said hit(const std::string& address, double time) {
        return hit(ip(address), at(time), at(time));
    }
    Said hit(const Address& address, Instant time, Instant now) {
        Rule rule{std::make_shared<Filter>(), {0}};
        std::string line = "line of " + to_string(address);
        Hit one;
        one.rule = &rule;
        one.pattern = &some_pattern();
        one.time = time;
        one.line = line;
        one.address = address;
        Outcome outcome;
        engine.on_time(now, outcome);
        engine.on_hit(one, now, outcome);
        return bans_of(outcome);
    }
    static Said bans_of(const Outcome& outcome) {
        Said said;
        for (const Event& event : outcome.events)
            if (const auto* banned = std::get_if<Banned>(&event))
                said.push_back(to_string(banned->ban.key.prefix));
        return said;
    }
    std::set<std::string> banned() const {
        std::set<std::string> all;
        for (const Ban& ban : engine.bans()) all.insert(to_string(ban.key.prefix));
        return all;
    }
    const Ban& ban(const std::string& who) const {
        const Ban* found = engine.bans().find({0, prefix(who)});
        REQUIRE(found != nullptr);
        return *found;
    }
};

}  // namespace

TEST_CASE("4,000 tries from 4,000 /64 of one /48 get it banned, in whatever order") {
    std::vector<unsigned> order(4000);
    for (unsigned i = 0; i < order.size(); ++i) order[i] = i;
    SECTION("one after the other") {}
    SECTION("each in another /56 than the one before") {
        for (unsigned i = 0; i < order.size(); ++i) order[i] = (i % 256) << 8 | i / 256;
    }
    SECTION("at random") { std::ranges::shuffle(order, std::mt19937(3)); }
    Machine machine(jail_with());
    std::size_t tries_let_in = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
        bool let_in = !machine.banned().contains("2001:db8:1::/48");
        tries_let_in += let_in ? 1 : 0;
        machine.hit(host(order[i]), static_cast<double>(i) / 10);
    }
    CHECK(machine.banned().contains("2001:db8:1::/48"));
    CHECK(tries_let_in < 2100);
}

TEST_CASE("the 8th offending /64 of a /56 bans the /56, the 4th such /56 the /48") {
    Machine machine(jail_with());
    for (unsigned block = 0; block < 4; ++block) {
        for (unsigned i = 0; i < 7; ++i)
            CHECK(machine.hit(host(block << 8 | i), block * 10 + i) == Said{});
        Said expected{fmt::format("2001:db8:1:{:x}::/56", block << 8)};
        if (block == 0) expected = {"2001:db8:1::/56"};
        if (block == 3) expected.emplace_back("2001:db8:1::/48");
        CHECK(machine.hit(host(block << 8 | 7), block * 10 + 7) == expected);
    }
    // All else in it counts to these bans.
    CHECK(machine.hit(host(0x09), 50) == Said{});
    CHECK(machine.hit(host(0x900), 50) == Said{});
    CHECK(machine.ban("2001:db8:1::/56").hits == 9);
    CHECK(machine.ban("2001:db8:1::/48").hits == 5);
    CHECK(machine.engine.windows(0).find(prefix("2001:db8:1:900::/64")) == std::nullopt);
    CHECK(machine.engine.counts(0).already_banned == 2);
    // When these are over, counting begins anew.
    CHECK(machine.hit(host(0x0a), 4000) == Said{});
    CHECK(machine.banned().empty());
}

TEST_CASE("one host's many hits are one offender, and eight hosts' old ones are none") {
    Machine machine(jail_with());
    for (int i = 0; i < 20; ++i) machine.hit(host(i % 2), i);
    CHECK(machine.banned() == std::set<std::string>{"2001:db8:1::/64", "2001:db8:1:1::/64"});
    // Each within findtime of the one before, but never eight within one.
    Machine slow(jail_with());
    for (unsigned i = 0; i < 60; ++i) CHECK(slow.hit(host(i), i * 86) == Said{});
    Machine fast(jail_with());
    for (unsigned i = 0; i < 7; ++i) CHECK(fast.hit(host(i), i * 85) == Said{});
    CHECK(fast.hit(host(7), 595) == Said{"2001:db8:1::/56"});
}

TEST_CASE("a ban of a wider prefix tells which offenders it is for, with a line of each") {
    JailRules rules = jail_with(2);
    rules.maxmatches = 5;
    Machine machine(rules);
    machine.hit(host(0), 0);
    CHECK(machine.hit(host(0), 0) == Said{"2001:db8:1::/64"});
    for (unsigned i = 1; i < 8; ++i) machine.hit(host(i), i);
    Ban ban = machine.ban("2001:db8:1::/56");
    CHECK(ban.story->reason == "p: 8 of its /64 offended within 10m");
    CHECK(ban.story->fields.find("offenders") ==
          "2001:db8:1::/64, 2001:db8:1:1::/64, 2001:db8:1:2::/64, 2001:db8:1:3::/64, "
          "2001:db8:1:4::/64, 2001:db8:1:5::/64, 2001:db8:1:6::/64, 2001:db8:1:7::/64");
    REQUIRE(ban.story->matches.size() == 5);
    CHECK(ban.story->matches.front().line == "line of " + host(3));
    CHECK(ban.story->matches.back().line == "line of " + host(7));
    CHECK(ban.hits == 8);
    CHECK(ban.until == at(7) + 1h);
    CHECK(ban.offence == 1);
}

TEST_CASE("a wider prefix with an ignored or own address in it is not banned, what is in it is") {
    JailRules rules = jail_with(1);
    std::vector<Prefix> ignored{prefix("2001:db8:1:380::5")};
    rules.ignoreip = PrefixSet(ignored);
    std::vector<Prefix> own{prefix("2001:db8:2:1::1")};
    Machine machine(rules, PrefixSet(own));
    for (unsigned site : {1U, 2U})
        for (unsigned i = 0; i < 2560; ++i)
            machine.hit(host((i % 10) << 8 | i / 10, site), i / 50.0);
    auto banned = machine.banned();
    CHECK_FALSE(banned.contains("2001:db8:1::/48"));
    CHECK_FALSE(banned.contains("2001:db8:2::/48"));
    CHECK_FALSE(banned.contains("2001:db8:1:300::/56"));
    CHECK_FALSE(banned.contains("2001:db8:2::/56"));
    CHECK(banned.contains("2001:db8:1:400::/56"));
    CHECK(banned.contains("2001:db8:2:300::/56"));
    // One by one where the block cannot be.
    CHECK(banned.contains("2001:db8:1:381::/64"));
    CHECK(banned.contains(host(0x380)));
    CHECK_FALSE(banned.contains("2001:db8:1:380::/64"));
}

TEST_CASE("addresses that are exempt by name keep what holds them from being banned") {
    JailRules rules = jail_with();
    rules.asks = true;
    Machine machine(rules);
    Rule rule{std::make_shared<Filter>(), {0}};
    std::string exempt = GENERATE("2001:db8:1:ff::1", "2001:db8:2::1");
    Said banned;
    for (unsigned i = 0; i < 8; ++i) {
        Hit hit;
        hit.rule = &rule;
        hit.pattern = &some_pattern();
        hit.time = at(i);
        hit.address = ip(host(i));
        Outcome outcome;
        machine.engine.on_hit(hit, at(i), outcome);
        REQUIRE(outcome.questions.size() == (i == 7 ? 1 : 0));
        if (i < 7) continue;
        Answer answer{outcome.questions[0], {ip(exempt)}, false, {}};
        machine.engine.on_answer(answer, at(i), outcome);
        banned = Machine::bans_of(outcome);
    }
    CHECK(banned == (exempt == "2001:db8:2::1" ? Said{"2001:db8:1::/56"} : Said{}));
}

TEST_CASE("jails that count something else, or are told not to, ban no wider prefix") {
    JailRules rules = jail_with(3);
    SECTION("off") { rules.ipv6_escalation.emplace(); }
    SECTION("single addresses are counted") { rules.v6_length = 128; }
    SECTION("single addresses, even if it is wanted") {
        rules.v6_length = 128;
        rules.ipv6_escalation = {{56, 2}};
    }
    SECTION("whole /56 are counted") { rules.v6_length = 56; }
    SECTION("different values are counted") { rules.distinct = DistinctCount{}; }
    SECTION("a program tells who is exempt") { rules.asks_program = true; }
    SECTION("more hits are allowed than a /56 has /64") { rules.maxretry = 257; }
    Machine machine(rules);
    for (unsigned i = 0; i < 600; ++i) machine.hit(host(i), i / 10.0);
    for (unsigned i = 0; i < 600; ++i) machine.hit(fmt::format("203.0.113.{}", i % 256), i / 10.0);
    for (const std::string& who : machine.banned())
        CHECK((prefix(who).is_v4() || prefix(who).length >= rules.v6_length));
}

TEST_CASE("by default never are fewer hits enough than one address may have") {
    Machine machine(jail_with(11));
    for (unsigned i = 0; i < 10; ++i) CHECK(machine.hit(host(i), i) == Said{});
    CHECK(machine.hit(host(10), 10) == Said{"2001:db8:1::/56"});
    // Unless it is said so.
    JailRules rules = jail_with(11);
    rules.ipv6_escalation = {{56, 2}};
    Machine eager(rules);
    CHECK(eager.hit(host(0), 0) == Said{});
    CHECK(eager.hit(host(1), 1) == Said{"2001:db8:1::/56"});
}

TEST_CASE("who is pardoned is not banned again for what his neighbours did before") {
    Machine machine(jail_with());
    for (unsigned i = 0; i < 7; ++i) machine.hit(host(i), i);
    Outcome outcome;
    machine.engine.unban({}, prefix(host(3)), at(7), outcome);
    CHECK(machine.hit(host(8), 8) == Said{});
    for (unsigned i = 9; i < 15; ++i) machine.hit(host(i), i);
    CHECK(machine.hit(host(15), 15) == Said{"2001:db8:1::/56"});
    CHECK(machine.engine.unban({}, prefix(host(3)), at(16), outcome) == 1);
    CHECK(machine.banned().empty());
}

TEST_CASE("a reload keeps what was counted of the same prefixes, and forgets the others") {
    Machine machine(jail_with());
    for (unsigned i = 0; i < 7; ++i) machine.hit(host(i), i);
    auto keys_told = [&] {
        std::set<std::string> keys;
        for (const WindowChange& window : machine.engine.take_changes().windows)
            if (window.key.prefix.length < 64)
                keys.insert(to_string(window.key.prefix) + (window.times.empty() ? " gone" : ""));
        return keys;
    };
    CHECK(keys_told() == std::set<std::string>{"2001:db8:1::/56"});
    JailRules other = jail_with();
    SECTION("fewer are enough") {
        other.ipv6_escalation = {{56, 5}, {48, 4}};
        machine.set(other);
        CHECK(machine.hit(host(9), 9) == Said{"2001:db8:1::/56"});
    }
    SECTION("another width") {
        other.ipv6_escalation = {{60, 5}};
        machine.set(other);
        CHECK(keys_told() == std::set<std::string>{"2001:db8:1::/56 gone"});
        CHECK(machine.hit(host(9), 9) == Said{});
    }
}

TEST_CASE("a flood of /56 with one offender each pushes out none that is near its ban") {
    JailRules rules = jail_with();
    rules.track_limit = 100;
    Machine machine(rules);
    for (unsigned i = 0; i < 7; ++i) machine.hit(host(i), i);
    for (unsigned i = 0; i < 5000; ++i)
        machine.hit(host((i % 256) << 8, 2 + i / 256), 10 + i / 100.0);
    CHECK(machine.engine.escalation(0).size() <= 200);
    CHECK(machine.engine.escalation(0).evicted() > 4000);
    CHECK(machine.hit(host(8), 100) == Said{"2001:db8:1::/56"});
}

namespace {

// Decides by going through all hits there ever were.
class Naive {
  public:
    Naive(const JailRules& rules, std::vector<Prefix> own) : rules_(rules), own_(std::move(own)) {}

    Said hit(const Address& address, Instant time, Instant now) {
        said_.clear();
        end_bans(now);
        if (own_set().contains(address) || rules_.ignoreip.contains(address)) return {};
        if (time < now - rules_.findtime) return {};
        Prefix key = make_prefix(address, 64);
        bool single = exempt(key);
        if (single) key = make_prefix(address, 128);
        std::vector<Prefix> all{key};
        if (!single)
            for (const EscalationStep& step : *rules_.ipv6_escalation)
                all.push_back(make_prefix(address, step.length));
        for (const Prefix& prefix : all)
            if (counts_to_ban(prefix, time, now)) return {};
        seen_[key].push_back({time, key});
        if (reached(key, time, rules_.maxretry, false)) ban(key, time);
        if (single) return said_;
        Prefix offender = key;
        for (std::size_t i = 0; i < rules_.ipv6_escalation->size(); ++i) {
            const Prefix& wider = all[i + 1];
            seen_[wider].push_back({time, offender});
            std::uint32_t needed = (*rules_.ipv6_escalation)[i].offenders;
            if (!reached(wider, time, needed, true)) break;
            if (!exempt(wider)) ban(wider, time);
            offender = wider;
        }
        return said_;
    }

  private:
    struct Seen {
        Instant time;
        Prefix who;
    };
    struct Past {
        Prefix prefix;
        Instant from, until;
    };
    PrefixSet own_set() const { return PrefixSet(own_); }
    bool exempt(const Prefix& prefix) const {
        return rules_.ignoreip.overlaps(prefix) || own_set().overlaps(prefix);
    }
    void end_bans(Instant now) {
        std::erase_if(bans_, [&](const Past& ban) {
            if (ban.until > now) return false;
            ended_.push_back(ban);
            return true;
        });
        std::erase_if(ended_, [&](const Past& ban) { return ban.until < now - lateness; });
    }
    bool counts_to_ban(const Prefix& prefix, Instant time, Instant) const {
        for (const Past& ban : bans_)
            if (ban.prefix == prefix) return true;
        // Of several that are over the last one counts.
        const Past* last = nullptr;
        for (const Past& ban : ended_)
            if (ban.prefix == prefix) last = &ban;
        return last != nullptr && time >= last->from && time < last->until;
    }
    // Whether so many hits (or different offenders) lie within findtime before the newest.
    bool reached(const Prefix& prefix, Instant time, std::uint32_t needed, bool different) {
        std::vector<Seen>& seen = seen_[prefix];
        Instant newest = time;
        for (const Seen& one : seen) newest = std::max(newest, one.time);
        Instant begin = newest - rules_.findtime;
        std::set<Prefix> who;
        std::uint32_t hits = 0;
        bool counts = false;
        for (const Seen& one : seen) {
            if (one.time < begin) continue;
            ++hits;
            who.insert(one.who);
            counts = counts || one.time == time || (different && one.who == seen.back().who);
        }
        if (!counts || (different ? who.size() : hits) < needed) return false;
        seen.clear();
        return true;
    }
    void ban(const Prefix& prefix, Instant time) {
        bans_.push_back({prefix, time, time + rules_.bantime.base});
        said_.push_back(to_string(prefix));
    }

    JailRules rules_;
    std::vector<Prefix> own_;
    std::map<Prefix, std::vector<Seen>> seen_;
    std::vector<Past> bans_, ended_;
    Said said_;
};

// What a checkpoint keeps, in memory.
struct Kept {
    std::map<Prefix, WindowChange> windows;
    std::map<Prefix, Ban> bans;
    std::vector<Unbanned> ended;
    std::map<std::pair<JailIndex, Prefix>, Offences> offences;

    void take(Engine& engine) {
        Changes changes = engine.take_changes();
        for (WindowChange& window : changes.windows) {
            Prefix prefix = window.key.prefix;
            windows.erase(prefix);
            if (!window.times.empty()) windows.emplace(prefix, std::move(window));
        }
        for (Unbanned& one : changes.ended_bans) {
            bans.erase(one.ban.key.prefix);
            ended.push_back(std::move(one));
        }
        for (Ban& ban : changes.bans) bans.insert_or_assign(ban.key.prefix, std::move(ban));
        for (auto& [key, count] : changes.offences)
            offences.insert_or_assign({key.jail, key.prefix}, count);
    }
    void give(Engine& engine) const {
        for (const auto& [prefix, ban] : bans) engine.restore_ban(ban);
        // As the state's table is read: in the order of the last hit.
        std::vector<const WindowChange*> order;
        for (const auto& [prefix, window] : windows) order.push_back(&window);
        std::ranges::sort(order, {}, [](const WindowChange* one) { return one->times.back(); });
        for (const WindowChange* window : order) engine.restore_window(*window);
        for (const auto& [key, count] : offences)
            engine.restore_offences({key.first, key.second}, count);
        for (const Unbanned& one : ended) engine.restore_ended(one);
    }
};

}  // namespace

TEST_CASE("escalation agrees with a naive count over all hits, also over restarts") {
    std::mt19937 random(20);
    const std::vector<std::vector<EscalationStep>> all_steps{
        {{56, 8}, {48, 4}}, {{56, 3}, {48, 2}}, {{60, 2}, {56, 2}, {44, 3}}, {{48, 5}}};
    std::size_t wide = 0;
    for (int round = 0; round < 60; ++round) {
        JailRules rules = jail_with(1 + random() % 5);
        rules.bantime.base = std::chrono::seconds(200 + random() % 3000);
        rules.ipv6_escalation = all_steps[static_cast<std::size_t>(round) % all_steps.size()];
        std::vector<Prefix> ignored{prefix("2001:db8:1:105::1"), prefix("2001:db8:4::/48")};
        rules.ignoreip = PrefixSet(ignored);
        std::vector<Prefix> own{prefix("2001:db8:2:203::1")};
        Naive naive(rules, own);
        auto machine = std::make_unique<Machine>(rules, PrefixSet(own));
        Kept kept;
        double clock = 0;
        unsigned sites = 1 + random() % 4;
        unsigned blocks = 1 + random() % 6;
        unsigned subnets = 1 + random() % 14;
        unsigned pause = 1 + random() % 60;
        bool late = round % 3 != 0;
        for (int step = 0; step < 700; ++step) {
            clock += random() % pause;
            double time = late && random() % 4 == 0 ? clock - random() % 300 : clock;
            unsigned subnet = (random() % blocks) << 8 | random() % subnets;
            Address address = ip(host(subnet, 1 + random() % sites));
            Said expected = naive.hit(address, at(time), at(clock));
            INFO("round " << round << " step " << step << " " << to_string(address));
            REQUIRE(machine->hit(address, at(time), at(clock)) == expected);
            for (const std::string& who : expected) wide += prefix(who).length < 64;
            if (random() % 50 != 0) continue;
            kept.take(machine->engine);
            if (random() % 2 == 0) continue;
            machine = std::make_unique<Machine>(rules, PrefixSet(own));
            kept.give(machine->engine);
        }
    }
    CHECK(wide > 500);
}
