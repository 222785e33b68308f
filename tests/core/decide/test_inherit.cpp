// SPDX-License-Identifier: GPL-2.0-or-later
// Bans that another program made: their end, their number, and what follows from them.
#include <array>

#include "core/decide/engine.h"
#include "support/common.h"

using namespace bandd;
using namespace std::chrono_literals;

namespace {

const Pattern& some_pattern() {
    static const Pattern pattern = std::move(*compile_pattern("p", "<HOST>", {}, true));
    return pattern;
}

JailRules rules_of(const char* name) {
    JailRules rules;
    rules.name = name;
    rules.maxretry = 1;
    rules.findtime = 10min;
    rules.bantime.base = 1h;
    rules.bantime.increment = true;
    return rules;
}

struct Heirs {
    Engine engine{{.offence_memory = std::chrono::days(1)}};
    Outcome outcome;

    explicit Heirs(std::vector<JailRules> rules) {
        engine.set_rules(std::move(rules), at(0), outcome);
    }
    // Of `from` and `bantime` in seconds.
    Engine::Inherited past(const std::string& who, double from, Duration bantime,
                           std::uint32_t offence = 1) {
        Engine::Inherited past;
        past.prefix = prefix(who);
        past.from = at(from);
        past.bantime = bantime;
        past.offence = offence;
        past.remembered_times = 3;
        past.story = std::make_shared<Story>();
        return past;
    }
    std::string inherit(const Engine::Inherited& past, double now) {
        static constexpr const char* names[] = {"banned", "shared", "over",
                                                "known",  "exempt", "no room"};
        outcome = {};
        return names[static_cast<int>(engine.inherit(past, at(now), outcome))];
    }
    // The next offence: how long it is banned for.
    std::string offend(const std::string& who, double time, JailIndex jail = 0) {
        Rule rule{std::make_shared<Filter>(), {jail}};
        Hit hit{&rule, &some_pattern(), at(time), "line", ip(who)};
        outcome = {};
        engine.on_time(at(time), outcome);
        engine.on_hit(hit, at(time), outcome);
        for (const Event& event : outcome.events)
            if (const auto* banned = std::get_if<Banned>(&event))
                return format_duration(banned->ban.until - banned->ban.from);
        return "no ban";
    }
    std::string until(const std::string& who, JailIndex jail = 0) {
        const Ban* ban = engine.bans().find({jail, prefix(who)});
        if (ban == nullptr) return "free";
        return ban->until == never ? "for ever"
                                   : std::to_string((ban->until.us - at(0).us) / 1'000'000) + " #" +
                                         std::to_string(ban->offence);
    }
};

}  // namespace

TEST_CASE("an inherited ban keeps its end and its number; the next one is longer") {
    Heirs heirs({rules_of("sshd")});
    CHECK(heirs.inherit(heirs.past("203.0.113.9", 1000, 2h, 2), 5000) == "banned");
    CHECK(heirs.until("203.0.113.9") == "8200 #2");
    CHECK(heirs.inherit(heirs.past("203.0.113.8", 1000, forever), 5000) == "banned");
    CHECK(heirs.until("203.0.113.8") == "for ever");
    // 1 h, 2 h, 4 h.
    CHECK(heirs.offend("203.0.113.9", 8300) == "4h");
    // Of one that is over, too.
    CHECK(heirs.inherit(heirs.past("203.0.113.7", 1000, 1h, 1), 9000) == "over");
    CHECK(heirs.until("203.0.113.7") == "free");
    CHECK(heirs.offend("203.0.113.7", 9100) == "2h");
    // Without a time of its own.
    Engine::Inherited unknown = heirs.past("203.0.113.6", 9000, 1h);
    unknown.bantime.reset();
    CHECK(heirs.inherit(unknown, 9100) == "banned");
    CHECK(heirs.until("203.0.113.6") == "12600 #1");
}

TEST_CASE("an offence is remembered from its end on, an inherited one as fail2ban does") {
    Heirs heirs({rules_of("sshd")});
    // fail2ban: 3 * 2 h + 1 day after its begin.
    CHECK(heirs.inherit(heirs.past("203.0.113.1", 0, 2h, 2), 100'000) == "over");
    CHECK(heirs.inherit(heirs.past("203.0.113.2", 0, 2h, 2), 100'000) == "over");
    CHECK(heirs.offend("203.0.113.1", 3 * 7200 + 86'400) == "4h");
    CHECK(heirs.offend("203.0.113.2", 3 * 7200 + 86'401) == "1h");
    // Ours: a ban of 4 h, and a day.
    double end = 3 * 7200 + 86'400 + 14'400;
    CHECK(heirs.offend("203.0.113.1", end + 86'400) == "8h");
    CHECK(heirs.offend("203.0.113.1", end + 86'400 + 28'800 + 86'401) == "1h");
}

TEST_CASE("what is inherited twice counts once; of two ends the later one holds") {
    Heirs heirs({rules_of("sshd")});
    CHECK(heirs.offend("203.0.113.9", 1000) == "1h");
    CHECK(heirs.inherit(heirs.past("203.0.113.9", 1000, 4h, 3), 1100) == "shared");
    CHECK(heirs.until("203.0.113.9") == "15400 #1");
    CHECK(heirs.inherit(heirs.past("203.0.113.9", 1000, 4h, 3), 1200) == "known");
    CHECK(heirs.engine.offences(0, prefix("203.0.113.9"))->count == 3);
    CHECK(heirs.engine.offences(any_jail, prefix("203.0.113.9"))->count == 3);
    CHECK(heirs.inherit(heirs.past("203.0.113.8", 1000, 1h), 5000) == "over");
    CHECK(heirs.inherit(heirs.past("203.0.113.8", 1000, 1h), 5000) == "known");
    // It is in the history, once.
    Changes changes = heirs.engine.take_changes();
    REQUIRE(changes.ended_bans.size() == 1);
    CHECK(changes.ended_bans[0].at == at(4600));
}

TEST_CASE("what was lifted here is not inherited again; another ban of the address is") {
    Heirs heirs({rules_of("sshd")});
    CHECK(heirs.inherit(heirs.past("203.0.113.9", 1000, 4h), 1100) == "banned");
    Outcome outcome;
    heirs.engine.unban({}, prefix("203.0.113.9"), at(1200), outcome);
    CHECK(heirs.inherit(heirs.past("203.0.113.9", 1000, 4h), 1300) == "known");
    CHECK(heirs.until("203.0.113.9") == "free");
    CHECK(heirs.inherit(heirs.past("203.0.113.9", 1250, 4h, 2), 1300) == "banned");
    // A longer one before it was lifted there.
    Engine::Inherited long_one = heirs.past("203.0.113.8", 1000, 8h);
    long_one.ended = true;
    CHECK(heirs.inherit(long_one, 3000) == "over");
    CHECK(heirs.inherit(heirs.past("203.0.113.8", 2000, 1h), 3000) == "banned");
}

TEST_CASE("an inherited IPv6 address means its /64; who is ignored inherits nothing") {
    JailRules rules = rules_of("sshd");
    rules.ignoreip.add(std::array{prefix("192.0.2.0/24")});
    Heirs heirs({rules});
    CHECK(heirs.inherit(heirs.past("2001:db8::1", 1000, 1h), 1100) == "banned");
    CHECK(heirs.inherit(heirs.past("2001:db8::2", 1050, 1h), 1100) == "shared");
    CHECK(heirs.until("2001:db8::/64") == "4650 #1");
    CHECK(heirs.inherit(heirs.past("192.0.2.7", 1000, 1h), 1100) == "exempt");
    CHECK(heirs.inherit(heirs.past("198.51.100.0/24", 1000, 1h), 1100) == "banned");
}

TEST_CASE("inherited bans count for recidive, since its last ban") {
    JailRules recidive = rules_of("recidive");
    recidive.fed_by_bans = true;
    recidive.findtime = std::chrono::days(1);
    recidive.maxretry = 3;
    recidive.bantime.base = std::chrono::weeks(1);
    recidive.bantime.increment = false;
    Heirs heirs({rules_of("sshd"), recidive});
    CHECK(heirs.inherit(heirs.past("203.0.113.9", 1000, 1h), 50'000) == "over");
    CHECK(heirs.inherit(heirs.past("203.0.113.9", 9000, 1h, 2), 50'000) == "over");
    CHECK(heirs.until("203.0.113.9", 1) == "free");
    CHECK(heirs.offend("203.0.113.9", 50'100) == "4h");
    CHECK(heirs.until("203.0.113.9", 1) == std::to_string(50'100 + 7 * 86'400) + " #1");
    // Those before fail2ban's own ban are done with.
    CHECK(heirs.inherit(heirs.past("203.0.113.8", 1000, 1h), 50'000) == "over");
    CHECK(heirs.inherit(heirs.past("203.0.113.8", 9000, 1h, 2), 50'000) == "over");
    Engine::Inherited by_recidive = heirs.past("203.0.113.8", 9001, 1h);
    by_recidive.jail = 1;
    CHECK(heirs.inherit(by_recidive, 50'000) == "over");
    CHECK(heirs.offend("203.0.113.8", 50'100) == "4h");
    CHECK(heirs.until("203.0.113.8", 1) == "free");
}
