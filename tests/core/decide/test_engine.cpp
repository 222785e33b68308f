// SPDX-License-Identifier: GPL-2.0-or-later
#include <map>
#include <random>
#include <set>

#include "core/decide/engine.h"
#include "core/decide/reconcile.h"
#include "support/common.h"

using namespace bandd;
using namespace std::chrono_literals;

namespace {

const Pattern& some_pattern() {
    static const Pattern pattern = std::move(*compile_pattern("p", "<HOST>", {}, true));
    return pattern;
}

struct Machine {
    Engine engine;
    std::vector<std::string> said;

    explicit Machine(std::vector<JailRules> rules, EngineLimits limits = {}) : engine(limits) {
        Outcome outcome;
        engine.set_rules(std::move(rules), at(0), outcome);
    }
    void hear(const Outcome& outcome) {
        for (const Event& event : outcome.events) {
            if (const auto* ban = std::get_if<Banned>(&event))
                said.push_back("ban " + to_string(ban->ban.key.prefix) + " " +
                               engine.rules(ban->ban.key.jail).name + " for " +
                               format_duration(ban->ban.until - ban->ban.from));
            if (const auto* unban = std::get_if<Unbanned>(&event))
                said.push_back("unban " + to_string(unban->ban.key.prefix));
            if (const auto* extended = std::get_if<Extended>(&event))
                said.push_back("extended " + to_string(extended->ban.key.prefix));
            if (const auto* ignored = std::get_if<Ignored>(&event))
                said.push_back("ignored " + std::to_string(static_cast<int>(ignored->why)));
        }
    }
    std::vector<std::string> hit(const std::string& address, double time, double now,
                                 JailIndex jail = 0) {
        Rule rule{std::make_shared<Filter>(), {jail}};
        std::string line = "line of " + address;
        Hit one{&rule, &some_pattern(), at(time), line, ip(address)};
        Outcome outcome;
        engine.on_time(at(now), outcome);
        engine.on_hit(one, at(now), outcome);
        said.clear();
        hear(outcome);
        return said;
    }
    std::vector<std::string> wait(double now) {
        Outcome outcome;
        engine.on_time(at(now), outcome);
        said.clear();
        hear(outcome);
        return said;
    }
};

JailRules jail(std::uint32_t maxretry = 1, Duration bantime = 1h) {
    JailRules rules;
    rules.name = "test";
    rules.maxretry = maxretry;
    rules.findtime = 10min;
    rules.bantime.base = bantime;
    return rules;
}
using Said = std::vector<std::string>;

}  // namespace

TEST_CASE("a line from the future counts as now, one older than findtime for nothing") {
    Machine machine({jail(2)});
    CHECK(machine.hit("203.0.113.9", 5000, 0) == Said{});
    CHECK(machine.hit("203.0.113.9", 1, 1) == Said{"ban 203.0.113.9 test for 1h"});
    CHECK((*machine.engine.bans().begin()).from == at(1));
    CHECK(machine.hit("203.0.113.8", 0, 600) == Said{});
    CHECK(machine.hit("203.0.113.8", 0, 600.1) == Said{"ignored 2"});
}

TEST_CASE("who is banned is not banned twice, and is free when the time is over") {
    Machine machine({jail()});
    CHECK(machine.hit("203.0.113.9", 0, 0) == Said{"ban 203.0.113.9 test for 1h"});
    CHECK(machine.hit("203.0.113.9", 10, 10) == Said{"ignored 3"});
    CHECK(machine.engine.next_deadline() == at(3600));
    CHECK(machine.wait(3599.9) == Said{});
    CHECK(machine.wait(3600) == Said{"unban 203.0.113.9"});
    CHECK(machine.hit("203.0.113.9", 3601, 3601) == Said{"ban 203.0.113.9 test for 1h"});
}

TEST_CASE("with bantime.extend a further hit restarts the time") {
    JailRules rules = jail();
    rules.bantime.extend = true;
    Machine machine({rules});
    machine.hit("203.0.113.9", 0, 0);
    CHECK(machine.hit("203.0.113.9", 1800, 1800) == Said{"extended 203.0.113.9"});
    CHECK(machine.wait(3600) == Said{});
    CHECK(machine.wait(5400) == Said{"unban 203.0.113.9"});
}

TEST_CASE("with bantime.extend a hit that is read after the ban's end restarts its time, too") {
    JailRules rules = jail();
    rules.bantime.extend = true;
    rules.bantime.base = 1min;
    Machine machine({rules});
    machine.hit("203.0.113.9", 0, 0);
    CHECK(machine.wait(60) == Said{"unban 203.0.113.9"});
    // It goes on, as it was; it is not a second offence.
    CHECK(machine.hit("203.0.113.9", 50, 65) == Said{"ban 203.0.113.9 test for 1m 50s"});
    CHECK((*machine.engine.bans().begin()).offence == 1);
    CHECK((*machine.engine.bans().begin()).hits == 2);
    CHECK(machine.engine.counts(0).bans == 1);
    CHECK(machine.wait(110) == Said{"unban 203.0.113.9"});
    // So late that it is over anyway: a hit in between belonged to it all the same.
    CHECK(machine.hit("203.0.113.9", 105, 166) == Said{});
    CHECK(machine.hit("203.0.113.9", 160, 167) == Said{"ban 203.0.113.9 test for 3m 40s"});
}

// The oracle: the same lines, read as soon as they are written.
TEST_CASE("with bantime.extend bans end at the same time, however late lines are read") {
    std::mt19937 random(7);
    auto any = [&](unsigned below) { return static_cast<double>(random() % below); };
    for (int history = 0; history < 300; ++history) {
        JailRules rules = jail(2, std::chrono::seconds(20 + random() % 60));
        rules.bantime.extend = true;
        rules.bantime.increment = history % 2 == 0;
        Machine prompt({rules}), late({rules});
        double written = 0, read = 0;
        for (int line = 0; line < 60; ++line) {
            written += any(30);
            read = std::max(read, written + any(history % 3 == 0 ? 1 : 40));
            prompt.hit("203.0.113.9", written, written);
            late.hit("203.0.113.9", written, read);
        }
        prompt.wait(read);
        late.wait(read);
        auto state = [](Machine& machine) {
            std::string text;
            for (const Ban& ban : machine.engine.bans())
                text += std::to_string(ban.from.us) + " " + std::to_string(ban.until.us) + " " +
                        std::to_string(ban.offence) + " " + std::to_string(ban.hits);
            auto counts = machine.engine.counts(0);
            return text + " bans " + std::to_string(counts.bans) + " hits " +
                   std::to_string(counts.hits);
        };
        INFO("history " << history);
        CHECK(state(late) == state(prompt));
    }
}

TEST_CASE("those who come back are banned for longer, up to the maximum") {
    JailRules rules = jail(1, 10min);
    rules.bantime.increment = true;
    rules.bantime.maximum = 30min;
    Machine machine({rules});
    CHECK(machine.hit("203.0.113.9", 0, 0) == Said{"ban 203.0.113.9 test for 10m"});
    CHECK(machine.hit("203.0.113.9", 1000, 1000).back() == "ban 203.0.113.9 test for 20m");
    CHECK(machine.hit("203.0.113.9", 4000, 4000).back() == "ban 203.0.113.9 test for 30m");
    CHECK(machine.hit("203.0.113.8", 4000, 4000).back() == "ban 203.0.113.8 test for 10m");
}

TEST_CASE("jitter adds at most what is configured, and the same in every replay") {
    JailRules rules = jail(1, 10min);
    rules.bantime.increment = true;
    rules.bantime.jitter = 100s;
    for (int host = 1; host < 50; ++host) {
        Machine a({rules});
        Machine b({rules});
        std::string address = "203.0.113." + std::to_string(host);
        auto said = a.hit(address, 0, 0);
        CHECK(said == b.hit(address, 0, 0));
        Duration length = (*a.engine.bans().begin()).until - at(0);
        CHECK(length >= 600s);
        CHECK(length <= 700s);
    }
}

TEST_CASE("IPv6 hosts of one /64 are one attacker, IPv4 hosts are not") {
    Machine machine({jail(2)});
    CHECK(machine.hit("2001:db8:1:2::1", 0, 0) == Said{});
    CHECK(machine.hit("2001:db8:1:2:ffff::9", 1, 1) == Said{"ban 2001:db8:1:2::/64 test for 1h"});
    CHECK(machine.hit("203.0.113.1", 2, 2) == Said{});
    CHECK(machine.hit("203.0.113.2", 3, 3) == Said{});
}

TEST_CASE("an IPv4 host that came through a translator is one attacker, not all of IPv4") {
    JailRules rules = jail(2);
    std::vector<Prefix> list{prefix("192.0.2.0/24")};
    rules.ignoreip = PrefixSet(list);
    Machine machine({rules});
    CHECK(machine.hit("64:ff9b::203.0.113.1", 0, 0) == Said{});
    CHECK(machine.hit("64:ff9b::203.0.113.2", 1, 1) == Said{});
    CHECK(machine.hit("64:ff9b::203.0.113.1", 2, 2) == Said{"ban 64:ff9b::cb00:7101 test for 1h"});
    // Where the IPv4 address stands is not known.
    CHECK(machine.hit("64:ff9b:1:fffe::203.0.113.1", 3, 3) == Said{});
    CHECK(machine.hit("64:ff9b:1:fffe::203.0.113.2", 4, 4) == Said{});
    // However many of them attack.
    for (int i = 10; i < 200; ++i)
        CHECK(machine.hit("64:ff9b::198.51.100." + std::to_string(i), i, i) == Said{});
    CHECK(machine.hit("64:ff9b::192.0.2.7", 300, 300) == Said{"ignored 0"});
    // Nor is a block of them, or around them, banned in which an ignored one is.
    auto exempt = [&](const char* block) { return machine.engine.holds_exempt(0, prefix(block)); };
    CHECK(exempt("64:ff9b::192.0.2.7"));
    CHECK(exempt("64:ff9b::192.0.2.0/120"));
    CHECK(exempt("64:ff9b::192.0.0.0/112"));
    CHECK(exempt("64:ff9b::/96"));
    CHECK(exempt("64:ff9b::/64"));
    CHECK(exempt("64::/16"));
    CHECK_FALSE(exempt("64:ff9b::192.0.3.0/120"));
    CHECK_FALSE(exempt("2001:db8::/32"));
}

TEST_CASE("ignored and own addresses are never counted, nor banned with their block") {
    JailRules rules = jail();
    std::vector<Prefix> list{prefix("192.0.2.0/24"), prefix("2001:db8::25")};
    rules.ignoreip = PrefixSet(list);
    Machine machine({rules});
    std::vector<Prefix> own{prefix("198.51.100.1")};
    machine.engine.set_own_addresses(PrefixSet(own));
    CHECK(machine.hit("192.0.2.77", 0, 0) == Said{"ignored 0"});
    CHECK(machine.hit("198.51.100.1", 0, 0) == Said{"ignored 1"});
    CHECK(machine.hit("2001:db8::bad", 0, 0) == Said{"ban 2001:db8::bad test for 1h"});
}

TEST_CASE("what is ignored since is lifted with the blocks that hold it, jail by jail") {
    JailRules other = jail();
    other.name = "other";
    other.v4_length = 24;
    other.bantime.extend = true;
    auto ignoring = [](JailRules rules, std::vector<Prefix> list) {
        rules.ignoreip = PrefixSet(list);
        return rules;
    };
    Machine machine({jail(), other});
    for (const char* one : {"203.0.113.9", "203.0.113.10", "198.51.100.1", "2001:db8:0:1::1"})
        for (JailIndex in : {JailIndex{0}, JailIndex{1}}) machine.hit(one, 0, 0, in);
    Outcome made;
    REQUIRE(machine.engine.ban_by_hand({0, prefix("203.0.0.0/16"), {}, "", false}, at(0), made));
    REQUIRE(machine.engine.ban_by_hand({0, prefix("203.0.112.0/23"), {}, "", true}, at(0), made));
    auto lift = [&] {
        Outcome outcome;
        std::size_t count = machine.engine.lift_exempt(at(5), outcome);
        machine.said.clear();
        machine.hear(outcome);
        CHECK(count == machine.said.size());
        for (const Event& event : outcome.events)
            CHECK(std::get<Unbanned>(event).why == Unbanned::Why::ignored);
        std::ranges::sort(machine.said);
        return machine.said;
    };
    CHECK(lift() == Said{});
    Outcome changed;
    SECTION("the jail's own list") {
        machine.engine.set_rules({ignoring(jail(), {prefix("203.0.113.9")}), other}, at(5),
                                 changed);
        CHECK(lift() == Said{"unban 203.0.0.0/16", "unban 203.0.113.9"});
        CHECK(lift() == Said{});
        CHECK(machine.engine.bans_over(prefix("203.0.113.9")).size() == 2);  // other's, and forced
    }
    SECTION("the list of another one, in which a block holds the address") {
        machine.engine.set_rules(
            {jail(), ignoring(other, {prefix("203.0.113.9"), prefix("2001:db8:0:1::5")})}, at(5),
            changed);
        CHECK(lift() == Said{"unban 2001:db8:0:1::/64", "unban 203.0.113.0/24"});
        // It is no expired ban, to which late lines count.
        CHECK(machine.hit("203.0.113.10", 4, 6, 1) == Said{"ban 203.0.113.10 other for 1h"});
    }
    SECTION("our own addresses, unless ignoreself is off") {
        JailRules all = other;
        all.ignoreself = false;
        machine.engine.set_rules({jail(), all}, at(5), changed);
        machine.engine.set_own_addresses(PrefixSet(std::vector<Prefix>{prefix("198.51.100.1")}));
        CHECK(lift() == Said{"unban 198.51.100.1"});
    }
    SECTION("a ban by hand that is taken over by --force") {
        REQUIRE(
            machine.engine.ban_by_hand({0, prefix("203.0.113.9"), {}, "", true}, at(1), changed));
        machine.engine.set_rules({ignoring(jail(), {prefix("203.0.113.9")}), other}, at(5),
                                 changed);
        CHECK(lift() == Said{"unban 203.0.0.0/16"});
    }
}

TEST_CASE("an escalated prefix that holds what is ignored since is lifted, its offenders are not") {
    JailRules rules = jail();
    rules.ipv6_escalation = {{{56, 2}}};
    Machine machine({rules});
    machine.hit("2001:db8:0:1::1", 0, 0);
    CHECK(machine.hit("2001:db8:0:2::1", 0, 0) ==
          Said{"ban 2001:db8:0:2::/64 test for 1h", "ban 2001:db8::/56 test for 1h"});
    rules.ignoreip = PrefixSet(std::vector<Prefix>{prefix("2001:db8:0:9::1")});
    Outcome outcome;
    machine.engine.set_rules({rules}, at(1), outcome);
    CHECK(machine.engine.lift_exempt(at(1), outcome) == 1);
    machine.said.clear();
    machine.hear(outcome);
    CHECK(machine.said == Said{"unban 2001:db8::/56"});
    // Nor does it come back by further offenders.
    CHECK(machine.hit("2001:db8:0:3::1", 2, 2) == Said{"ban 2001:db8:0:3::/64 test for 1h"});
    CHECK(machine.hit("2001:db8:0:4::1", 3, 3) == Said{"ban 2001:db8:0:4::/64 test for 1h"});
}

TEST_CASE("no late line brings back a prefix that holds what is ignored since") {
    JailRules rules = jail(2, 1min);
    rules.bantime.extend = true;
    rules.ipv6_escalation = {{{56, 2}}};
    Machine machine({rules});
    machine.hit("2001:db8:0:1::1", 0, 0);
    CHECK(machine.hit("2001:db8:0:2::1", 0, 0) == Said{"ban 2001:db8::/56 test for 1m"});
    CHECK(machine.wait(60) == Said{"unban 2001:db8::/56"});
    rules.ignoreip = PrefixSet(std::vector<Prefix>{prefix("2001:db8:0:9::1")});
    Outcome outcome;
    machine.engine.set_rules({rules}, at(61), outcome);
    CHECK(machine.hit("2001:db8:0:3::1", 50, 65) == Said{});
    CHECK(machine.engine.bans().empty());
}

TEST_CASE("a recidive jail counts the bans of other jails") {
    JailRules recidive = jail(2, 168h);
    recidive.name = "recidive";
    recidive.findtime = 24h;
    recidive.fed_by_bans = true;
    Machine machine({jail(1, 1min), recidive});
    CHECK(machine.hit("203.0.113.9", 0, 0) == Said{"ban 203.0.113.9 test for 1m"});
    CHECK(machine.hit("203.0.113.9", 100, 100) == Said{"unban 203.0.113.9",
                                                       "ban 203.0.113.9 test for 1m",
                                                       "ban 203.0.113.9 recidive for 1w"});
}

TEST_CASE("simulate decides, and says so") {
    JailRules rules = jail();
    rules.simulate = true;
    Machine machine({rules});
    machine.hit("203.0.113.9", 0, 0);
    CHECK((*machine.engine.bans().begin()).state == BanState::simulated);
}

TEST_CASE("bans by hand: ignored and own addresses only when forced; unban by address or block") {
    JailRules rules = jail();
    std::vector<Prefix> list{prefix("192.0.2.0/24")};
    rules.ignoreip = PrefixSet(list);
    Machine machine({rules});
    Outcome outcome;
    auto refused =
        machine.engine.ban_by_hand({0, prefix("192.0.2.1"), {}, "", false}, at(0), outcome);
    CHECK(to_line(refused.error()) ==
          "ban 192.0.2.1: ignoreip of jail \"test\" holds it; use --force to ban it all the same");
    CHECK(machine.engine.ban_by_hand({0, prefix("192.0.2.1"), {}, "", true}, at(0), outcome));
    CHECK(machine.engine.ban_by_hand({0, prefix("10.0.0.0/8"), 2h, "why", false}, at(0), outcome));
    CHECK(machine.engine.unban({}, prefix("10.1.2.3"), at(1), outcome) == 1);
    CHECK(machine.engine.unban({}, prefix("10.1.2.3"), at(1), outcome) == 0);
    CHECK(machine.engine.unban({}, prefix("192.0.0.0/16"), at(1), outcome) == 1);
}

TEST_CASE("an unban lifts no block that is wider than what a jail bans as one, unless told to") {
    Machine machine({jail()});
    Outcome outcome;
    for (const char* one : {"10.1.2.0/24", "10.1.2.3", "2001:db8::/64", "2001:db8::/48"})
        REQUIRE(machine.engine.ban_by_hand({0, prefix(one), {}, "", false}, at(0), outcome));
    auto stay = Engine::Wider::stay;
    CHECK(machine.engine.unban({}, prefix("10.1.2.4"), at(1), outcome, stay) == 0);
    CHECK(machine.engine.unban({}, prefix("10.1.2.3"), at(1), outcome, stay) == 1);
    CHECK(machine.engine.unban({}, prefix("2001:db8::9"), at(1), outcome, stay) == 1);
    CHECK(machine.engine.unban({}, prefix("2001:db8::/32"), at(1), outcome, stay) == 1);
    CHECK(machine.engine.unban({}, prefix("10.1.2.4"), at(1), outcome) == 1);
    CHECK(machine.engine.bans().empty());
}

TEST_CASE("an unban ends the bans that hold it and those within it, and no other") {
    const std::vector<std::string> banned{
        "10.1.2.3",      "10.1.2.4",      "10.1.2.0/24",       "10.0.0.0/8", "0.0.0.0/0",
        "2001:db8::/32", "2001:db8::/64", "2001:db8::1",       "::/0",       "2001:db8:1::/48",
        "11.0.0.0/8",    "10.1.3.0/24",   "2001:db8:0:1::/64", "10.1.2.3/31"};
    JailRules other = jail();
    other.name = "other";
    for (const std::string& asked : banned) {
        CAPTURE(asked);
        Machine machine({jail(), other});
        Outcome outcome;
        for (const std::string& one : banned)
            for (JailIndex in : {JailIndex{0}, JailIndex{1}})
                REQUIRE(
                    machine.engine.ban_by_hand({in, prefix(one), {}, "", false}, at(0), outcome));
        std::set<std::string> left;
        for (const std::string& one : banned)
            if (!contains(prefix(one), prefix(asked).network) &&
                !contains(prefix(asked), prefix(one).network))
                left.insert(one);
        std::size_t touched = banned.size() - left.size();
        CHECK(machine.engine.unban(JailIndex{1}, prefix(asked), at(1), outcome) == touched);
        CHECK(machine.engine.unban({}, prefix(asked), at(1), outcome) == touched);
        std::set<std::string> standing;
        for (const Ban& ban : machine.engine.bans()) standing.insert(to_string(ban.key.prefix));
        CHECK(standing == [&] {
            std::set<std::string> written;
            for (const std::string& one : left) written.insert(to_string(prefix(one)));
            return written;
        }());
        CHECK(machine.engine.unban({}, prefix("0.0.0.0/0"), at(2), outcome) +
                  machine.engine.unban({}, prefix("::/0"), at(2), outcome) ==
              2 * left.size());
        CHECK(machine.engine.bans().empty());
    }
}

TEST_CASE("at the limit of bans further ones are refused and counted") {
    Machine machine({jail()}, {.bans = 1});
    machine.hit("203.0.113.1", 0, 0);
    machine.hit("203.0.113.2", 0, 0);
    CHECK(machine.engine.bans().size() == 1);
    CHECK(machine.engine.refused_bans() == 1);
}

TEST_CASE("a ban keeps the lines that led to it") {
    Machine machine({jail(3)});
    for (int i = 0; i < 3; ++i) machine.hit("203.0.113.9", i, i);
    const Story& story = *(*machine.engine.bans().begin()).story;
    CHECK(story.reason == "p");
    REQUIRE(story.matches.size() == 3);
    CHECK(story.matches[0].time == at(0));
    CHECK(story.matches[2].line == "line of 203.0.113.9");
}

TEST_CASE("a ban tells what is still kept of its lines: at the limit the oldest of all make room") {
    Machine machine({jail(4)}, {.kept_lines = 4});
    auto lines_of = [&](const std::string& address) {
        std::vector<std::string> lines;
        for (const Match& match : machine.engine.kept_lines(0, prefix(address)))
            lines.push_back(std::to_string(match.time.us - at(0).us) + " " + match.line);
        return lines;
    };
    machine.hit("203.0.113.1", 0, 0);
    machine.hit("203.0.113.1", 1, 1);
    machine.hit("203.0.113.2", 2, 2);
    CHECK(lines_of("203.0.113.1") == Said{"0 line of 203.0.113.1", "1000000 line of 203.0.113.1"});
    machine.hit("203.0.113.1", 3, 3);
    machine.hit("203.0.113.2", 4, 4);
    CHECK(lines_of("203.0.113.1") ==
          Said{"1000000 line of 203.0.113.1", "3000000 line of 203.0.113.1"});
    for (int i = 5; i < 9; ++i) machine.hit("203.0.113.3", i, i);
    CHECK(lines_of("203.0.113.1").empty());
    const Story& story = *(*machine.engine.bans().begin()).story;
    REQUIRE(story.matches.size() == 4);
    CHECK(story.matches[0].time == at(5));
    machine.hit("203.0.113.1", 9, 9);
    CHECK(machine.engine.bans().size() == 2);
}

TEST_CASE("new rules keep bans and windows of jails that stay, and end those of jails that go") {
    JailRules other = jail(1);
    other.name = "other";
    Machine machine({other, jail(3)});
    machine.hit("203.0.113.1", 0, 0, 0);
    machine.hit("203.0.113.9", 0, 0, 1);
    machine.hit("203.0.113.9", 1, 1, 1);
    Outcome outcome;
    machine.engine.unban_all(JailIndex{0}, Unbanned::Why::by_hand, at(2), outcome);
    machine.engine.set_rules({jail(3)}, at(2), outcome);
    machine.hear(outcome);
    CHECK(machine.said == Said{"unban 203.0.113.1"});
    CHECK(machine.hit("203.0.113.9", 3, 3, 1) == Said{"ban 203.0.113.9 test for 1h"});
    machine.engine.set_rules({jail(3, 2h)}, at(4), outcome);
    CHECK(machine.engine.bans().size() == 1);
    CHECK(machine.engine.next_deadline() == at(3603));
}

TEST_CASE("new rules do not forget the bans that have just ended") {
    Machine machine({jail(1, 10min)});
    CHECK(machine.hit("203.0.113.9", 0, 0) == Said{"ban 203.0.113.9 test for 10m"});
    CHECK(machine.wait(600) == Said{"unban 203.0.113.9"});
    Outcome outcome;
    machine.engine.set_rules({jail(1, 20min)}, at(601), outcome);
    // Written during the ban, read after the reload: no second offence.
    CHECK(machine.hit("203.0.113.9", 599, 602) == Said{"ignored 3"});
    CHECK(machine.hit("203.0.113.9", 603, 603) == Said{"ban 203.0.113.9 test for 20m"});
}

TEST_CASE("a jail keeps its number, and all that is known of it, whatever comes, goes or moves") {
    auto named = [](const std::string& name) {
        JailRules rules = jail(2, 10min);
        rules.name = name;
        rules.bantime.increment = true;
        return rules;
    };
    Machine machine({named("a"), named("b")});
    Outcome outcome;
    auto reload = [&](std::vector<JailRules> rules, double now) {
        machine.engine.set_rules(std::move(rules), at(now), outcome);
        machine.said.clear();
        machine.hear(outcome);
        outcome.events.clear();
        return machine.said;
    };
    const std::string host = "203.0.113.9";
    const std::string other = "203.0.113.8";
    machine.hit(host, 0, 0, 1);
    CHECK(machine.hit(host, 1, 1, 1) == Said{"ban 203.0.113.9 b for 10m"});
    machine.hit(other, 2, 2, 1);
    machine.hit(other, 2, 2, 0);

    SECTION("the first one goes, another comes, the order changes") {
        CHECK(reload({named("c"), named("b")}, 3) == Said{});
        CHECK(machine.engine.jails() == std::vector<JailIndex>{2, 1});
        CHECK(machine.engine.jail_names() == std::vector<std::string>{"a", "b", "c"});
        CHECK(machine.engine.find_jail("b") == 1);
        CHECK(machine.engine.find_jail("c") == 2);
        CHECK_FALSE(machine.engine.find_jail("a"));
        CHECK(machine.engine.counts(1).hits == 3);
        CHECK(machine.hit(host, 4, 4, 1) == Said{"ignored 3"});
        CHECK(machine.hit(other, 5, 5, 1) == Said{"ban 203.0.113.8 b for 10m"});
        CHECK(machine.wait(601) == Said{"unban 203.0.113.9"});
        machine.hit(host, 700, 700, 1);
        CHECK(machine.hit(host, 701, 701, 1) == Said{"ban 203.0.113.9 b for 20m"});
    }
    SECTION("a jail that goes and comes back: its bans ended, its hits count on") {
        CHECK(reload({named("a")}, 3) == Said{"unban 203.0.113.9"});
        CHECK(machine.engine.windows(1).size() == 1);
        CHECK(machine.engine.rules(1).name == "b");
        CHECK(reload({named("b"), named("a")}, 4) == Said{});
        CHECK(machine.engine.jails() == std::vector<JailIndex>{1, 0});
        CHECK(machine.engine.counts(1).bans == 1);
        CHECK(machine.hit(other, 5, 5, 1) == Said{"ban 203.0.113.8 b for 10m"});
        machine.hit(host, 6, 6, 1);
        CHECK(machine.hit(host, 7, 7, 1) == Said{"ban 203.0.113.9 b for 20m"});
        CHECK(machine.hit(other, 8, 8, 0) == Said{"ban 203.0.113.8 a for 10m"});
    }
    SECTION("nothing is lost to a checkpoint that is taken after it") {
        machine.engine.take_changes();
        machine.hit(other, 3, 3, 0);
        reload({named("c"), named("a")}, 4);
        Changes changes = machine.engine.take_changes();
        REQUIRE(changes.bans.size() == 1);
        CHECK(changes.bans[0].key == BanKey{0, prefix(other)});
        REQUIRE(changes.ended_bans.size() == 1);
        CHECK(changes.ended_bans[0].ban.key == BanKey{1, prefix(host)});
        REQUIRE(changes.windows.size() == 1);  // it was full
        CHECK(changes.windows[0].times.empty());
    }
    SECTION("numbers are used up by 65,535 names: then a reload is refused") {
        std::vector<JailRules> many(JailNumbers::most - 2);
        for (std::size_t i = 0; i < many.size(); ++i) many[i].name = std::to_string(i);
        CHECK(machine.engine.check_room(many));
        machine.engine.set_rules(many, at(9), outcome);
        CHECK(machine.engine.check_room({named("a"), named("b")}));
        auto refused = machine.engine.check_room({named("a"), named("c")});
        REQUIRE_FALSE(refused);
        CHECK(to_line(refused.error()) ==
              "the configuration cannot be loaded: more than 65535 jails have come and gone since "
              "bandd was started; restart bandd");
    }
}

TEST_CASE("weights: a ban says how many lines made how many failures, also after a checkpoint") {
    JailRules rules = jail(5);
    rules.weights = {{"bad", 5}, {"odd", 2}};
    Engine engine;
    Outcome outcome;
    engine.set_rules({rules}, at(0), outcome);
    Rule rule{std::make_shared<Filter>(), {0}};
    auto reason = [&](Engine& of, const char* id, const std::string& address, double time) {
        Pattern pattern = std::move(*compile_pattern(id, "<HOST>", {}, true));
        Hit hit{&rule, &pattern, at(time), "a line", ip(address)};
        Outcome said;
        of.on_hit(hit, at(time), said);
        for (const Event& event : said.events)
            if (const auto* banned = std::get_if<Banned>(&event))
                return banned->ban.story->reason + ", " +
                       std::to_string(banned->ban.story->matches.size());
        return std::string();
    };
    CHECK(reason(engine, "bad", "203.0.113.1", 0) == "bad: 5 failures by 1 line, 1");
    for (int i = 0; i < 4; ++i) CHECK(reason(engine, "other", "203.0.113.2", i).empty());
    CHECK(reason(engine, "other", "203.0.113.2", 4) == "other: 5 failures by 5 lines, 5");
    CHECK(reason(engine, "odd", "203.0.113.3", 5).empty());
    CHECK(reason(engine, "odd", "203.0.113.3", 6).empty());
    CHECK(engine.kept_lines(0, prefix("203.0.113.3")).size() == 2);
    CHECK(engine.windows(0).find(prefix("203.0.113.3"))->times.size() == 4);
    CHECK(reason(engine, "bad", "203.0.113.3", 7) == "bad: 9 failures by 3 lines, 3");

    for (int i = 0; i < 2; ++i) CHECK(reason(engine, "odd", "203.0.113.4", 8 + i).empty());
    Engine again;
    again.set_rules({rules}, at(0), outcome);
    for (const WindowChange& window : engine.take_changes().windows) again.restore_window(window);
    CHECK(reason(again, "other", "203.0.113.4", 10) == "other: 5 failures, 1");
}

TEST_CASE("what a checkpoint took gives the same machine again") {
    Machine machine({jail(3)});
    for (int i = 0; i < 3; ++i) machine.hit("203.0.113.9", i, i);
    machine.hit("203.0.113.8", 3, 3);
    machine.hit("203.0.113.8", 4, 4);
    Changes changes = machine.engine.take_changes();
    CHECK(machine.engine.take_changes().empty());
    Machine again({jail(3)});
    for (const Ban& ban : changes.bans) again.engine.restore_ban(ban);
    for (const WindowChange& window : changes.windows) again.engine.restore_window(window);
    for (const auto& [key, offences] : changes.offences)
        again.engine.restore_offences(key, offences);
    CHECK(again.hit("203.0.113.8", 5, 5) == Said{"ban 203.0.113.8 test for 1h"});
    CHECK(again.hit("203.0.113.9", 6, 6) == Said{"ignored 3"});
    CHECK(again.wait(3602) == Said{"unban 203.0.113.9"});
    Changes later = again.engine.take_changes();
    CHECK(later.ended_bans.size() == 1);
}

namespace {

// What a state holds to which the changes were put down, one after the other.
struct Stored {
    std::map<std::pair<JailIndex, std::string>, std::string> bans, windows, offences;
    std::multiset<std::string> history;
    bool operator==(const Stored&) const = default;

    static std::pair<JailIndex, std::string> name(const BanKey& key) {
        return {key.jail, to_string(key.prefix)};
    }
    void put(const Changes& changes) {
        for (const Unbanned& ended : changes.ended_bans) {
            bans.erase(name(ended.ban.key));
            history.insert(to_string(ended.ban.key.prefix) + std::to_string(ended.ban.from.us) +
                           " " + std::to_string(ended.at.us));
        }
        for (const Ban& ban : changes.bans)
            bans[name(ban.key)] = std::to_string(ban.from.us) + " " + std::to_string(ban.until.us) +
                                  " " + std::to_string(ban.hits);
        for (const WindowChange& window : changes.windows) {
            windows.erase(name(window.key));
            for (Instant time : window.times)
                windows[name(window.key)] += std::to_string(time.us) + " ";
        }
        for (const auto& [key, one] : changes.offences) {
            offences.erase(name(key));
            if (one.count > 0)
                offences[name(key)] = std::to_string(one.count) + std::to_string(one.last.us);
        }
    }
};

}  // namespace

TEST_CASE("slices of changes, put down one after the other, make one moment") {
    std::mt19937 random(GENERATE(range(0U, 40U)));
    JailRules two = jail(2, 20s);
    two.name = "two";
    two.bantime.extend = true;
    if (random() % 2 == 0) two.ipv6_escalation = {{EscalationStep{60, 3}}};
    Machine sliced({jail(2, 20s), two});
    Machine whole({jail(2, 20s), two});
    sliced.engine.take_changes();
    whole.engine.take_changes();
    Stored by_slices;
    Stored at_once;
    std::size_t slices = 0;
    double time = 0;
    auto live = [&] {
        time += static_cast<double>(random() % 8);
        std::string address = random() % 3 == 0
                                  ? "2001:db8:0:" + std::to_string(random() % 9) + "::1"
                                  : "203.0.113." + std::to_string(random() % 12);
        auto number = static_cast<JailIndex>(random() % 2);
        double at = time - static_cast<double>(random() % 30);
        CHECK(sliced.hit(address, at, time, number) == whole.hit(address, at, time, number));
    };
    for (int checkpoint = 0; checkpoint < 20; ++checkpoint) {
        for (std::size_t i = random() % 60; i > 0; --i) live();
        while (sliced.engine.waiting_changes() > 0) {
            by_slices.put(sliced.engine.take_changes(1 + random() % 7));
            ++slices;
            if (sliced.engine.waiting_changes() > 0 && random() % 3 > 0) live();
        }
        at_once.put(whole.engine.take_changes());
        CHECK(by_slices.bans == at_once.bans);
        CHECK(by_slices.windows == at_once.windows);
        CHECK(by_slices.offences == at_once.offences);
        CHECK(by_slices.history == at_once.history);
    }
    CHECK(slices > 40);
    CHECK(by_slices.history.size() > 10);
}

TEST_CASE("an element of a set is kept, renewed if it ends wrong, removed if it is ours alone") {
    SetTraits ours{.timed = true, .ours = true};
    Prefix who = prefix("192.0.2.1");
    CHECK(judge(at(100), {who, 99s}, ours, at(0)) == Repair::keep);
    CHECK(judge(at(100), {who, 98s}, ours, at(0)) == Repair::renew);
    CHECK(judge(at(100), {who, 10s}, ours, at(0)) == Repair::renew);
    CHECK(judge(at(100), {who, {}}, ours, at(0)) == Repair::renew);
    CHECK(judge(never, {who, {}}, ours, at(0)) == Repair::keep);
    CHECK(judge(never, {who, 100s}, ours, at(0)) == Repair::renew);
    CHECK(judge({}, {who, 10s}, ours, at(0)) == Repair::remove);
    CHECK(judge(at(0), {who, 10s}, ours, at(0)) == Repair::remove);
    SetTraits users{.timed = false, .ours = false};
    CHECK(judge(at(100), {who, {}}, users, at(0)) == Repair::keep);
    CHECK(judge({}, {who, {}}, users, at(0)) == Repair::keep);
}

TEST_CASE("an end farther off than the set can hold is not renewed for ever") {
    SetTraits traits{.timed = true, .ours = true, .longest = 2147483s};
    CHECK(judge(at(1e7), {prefix("192.0.2.1"), 2147483s}, traits, at(0)) == Repair::keep);
}

TEST_CASE("the table of bans finds what was put in, and no more, through any coming and going") {
    BanTable table;
    std::mt19937 random(7);
    std::map<std::pair<JailIndex, Prefix>, std::uint32_t> expected;
    for (int round = 0; round < 100'000; ++round) {
        Ban ban;
        ban.key = {
            static_cast<JailIndex>(random() % 3),
            prefix("10.0." + std::to_string(random() % 8) + "." + std::to_string(random() % 64))};
        std::pair key{ban.key.jail, ban.key.prefix};
        if (random() % 2 == 0) {
            ban.hits = static_cast<std::uint32_t>(round);
            expected[key] = ban.hits;
            table.put(ban);
        } else {
            expected.erase(key);
            table.erase(ban.key);
        }
        if (round % 1000 != 0) continue;
        REQUIRE(table.size() == expected.size());
        std::size_t seen = 0;
        for (const Ban& one : table) {
            REQUIRE(expected.at({one.key.jail, one.key.prefix}) == one.hits);
            REQUIRE(table.find(one.key) == &one);
            REQUIRE(table.at(table.slot_of(one.key)) == &one);
            ++seen;
        }
        REQUIRE(seen == expected.size());
    }
}

TEST_CASE("findtime: today: hits of one calendar day count together, in the log's zone") {
    JailRules rules = jail(3);
    rules.today = Zone::from_posix("CET-1CEST,M3.5.0,M10.5.0/3").value();
    rules.findtime = 25h;
    Machine machine({rules});
    // at(0) is 10:00 UTC, so midnight in Berlin is 13 hours later.
    constexpr double midnight = 13 * 3600;
    machine.hit("203.0.113.9", midnight - 120, midnight - 120);
    machine.hit("203.0.113.9", midnight - 60, midnight - 60);
    CHECK(machine.hit("203.0.113.9", midnight, midnight).empty());
    CHECK(machine.hit("203.0.113.9", midnight + 3600, midnight + 3600).empty());
    CHECK(machine.hit("203.0.113.9", midnight + 86399, midnight + 86399) ==
          std::vector<std::string>{"ban 203.0.113.9 test for 1h"});
    // A line of yesterday that is read today counts for nothing.
    CHECK(machine.hit("203.0.113.8", midnight - 1, midnight + 1) ==
          std::vector<std::string>{"ignored 2"});
}

TEST_CASE("where: hits that it does not hold for do not count") {
    struct : Facts {
        Origin origin(const Address& address) const override {
            Origin origin;
            origin.country = address == ip("203.0.113.9") ? "RU" : "US";
            return origin;
        }
    } facts;
    JailRules rules = jail(2);
    rules.where = Condition::parse("country in [RU]").value();
    Machine machine({rules});
    machine.engine.set_facts(&facts);
    machine.hit("203.0.113.9", 0, 0);
    CHECK(machine.hit("203.0.113.8", 1, 1) == std::vector<std::string>{"ignored 5"});
    CHECK(machine.hit("203.0.113.8", 2, 2) == std::vector<std::string>{"ignored 5"});
    CHECK(machine.hit("203.0.113.9", 3, 3) ==
          std::vector<std::string>{"ban 203.0.113.9 test for 1h"});
    CHECK(machine.engine.counts(0).ignored == 2);
    const Ban& ban = *machine.engine.bans().begin();
    CHECK(ban.story->fields.find("country") == "RU");
}

TEST_CASE(
    "count: distinct user by ip: many hits on one account are one, many accounts are spraying") {
    JailRules rules = jail(3);
    rules.distinct = DistinctCount{DistinctCount::Of::field, "user"};
    Machine machine({rules});
    auto attempt = [&](const std::string& user, double when) {
        Rule rule{std::make_shared<Filter>(), {0}};
        Hit one{&rule, &some_pattern(), at(when), "line", ip("203.0.113.9")};
        if (!user.empty()) one.fields.add("user", user);
        Outcome outcome;
        machine.engine.on_hit(one, at(when), outcome);
        machine.said.clear();
        machine.hear(outcome);
        return machine.said;
    };
    for (int i = 0; i < 20; ++i) CHECK(attempt("joe", i).empty());
    CHECK(attempt("ann", 30).empty());
    CHECK(attempt("", 31) == std::vector<std::string>{"ignored 6"});
    // The windows of a checkpoint know who was seen.
    Changes changes = machine.engine.take_changes();
    Machine again({rules});
    for (const WindowChange& window : changes.windows) again.engine.restore_window(window);
    std::swap(machine.engine, again.engine);
    CHECK(attempt("joe", 32).empty());
    CHECK(attempt("bob", 33) == std::vector<std::string>{"ban 203.0.113.9 test for 1h"});
}

TEST_CASE(
    "count: distinct ip by net: a block is banned once enough of it attacks, not for one host") {
    JailRules rules = jail(3);
    rules.distinct = DistinctCount{DistinctCount::Of::ip, ""};
    rules.v4_length = 24;
    rules.v6_length = 56;
    rules.ignoreip = PrefixSet(std::vector<Prefix>{prefix("198.51.100.77")});
    Machine machine({rules});
    for (int i = 0; i < 20; ++i) CHECK(machine.hit("203.0.113.9", i, i).empty());
    CHECK(machine.hit("203.0.113.10", 30, 30).empty());
    CHECK(machine.hit("203.0.114.11", 31, 31).empty());  // of the next block
    CHECK(machine.hit("203.0.113.11", 32, 32) ==
          std::vector<std::string>{"ban 203.0.113.0/24 test for 1h"});
    // A /64 is one attacker; three of them in a /56 are three.
    for (int i = 0; i < 9; ++i)
        CHECK(machine.hit("2001:db8:0:1::" + std::to_string(i), 40 + i, 40 + i).empty());
    CHECK(machine.hit("2001:db8:0:2::1", 50, 50).empty());
    CHECK(machine.hit("2001:db8:0:3::1", 51, 51) ==
          std::vector<std::string>{"ban 2001:db8::/56 test for 1h"});
    // Never a block with an ignored address in it.
    for (int i = 1; i < 50; ++i)
        CHECK(machine.hit("198.51.100." + std::to_string(i), 60 + i, 60 + i).empty());
}

TEST_CASE("a flood takes no more memory than all windows may, and pushes out no other jail's") {
    std::vector<JailRules> rules(2);
    rules[0].name = "quiet";
    rules[1].name = "flooded";
    for (JailRules& jail : rules) jail.maxretry = 1000;
    EngineLimits limits;
    limits.windows_memory = 1 << 20;
    Machine machine(rules, limits);
    for (int i = 0; i < 100; ++i) machine.hit("198.51.100." + std::to_string(i), 0, 0, 0);
    for (int n = 0; n < 600; ++n) machine.hit("203.0.113.9", 1, 1, 1);
    std::size_t most = 0;
    for (int i = 0; i < 40'000; ++i) {
        machine.hit("10.1." + std::to_string(i / 256) + "." + std::to_string(i % 256), 2, 2, 1);
        most = std::max(most, machine.engine.windows_memory());
    }
    // An index that grows goes over it for as long as it takes to make room.
    CHECK(most <= limits.windows_memory * 5 / 4);
    CHECK(machine.engine.windows_memory() <= limits.windows_memory);
    CHECK(machine.engine.windows(0).size() == 100);
    CHECK(machine.engine.windows(0).evicted() == 0);
    CHECK(machine.engine.windows(1).find(prefix("203.0.113.9"))->times.size() == 600);
    CHECK(machine.engine.evicted_for_memory() == machine.engine.windows(1).evicted());
    CHECK(machine.engine.windows(1).size() + machine.engine.evicted_for_memory() == 40'001);
}
