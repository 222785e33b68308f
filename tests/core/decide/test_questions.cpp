// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/engine.h"
#include "support/common.h"

using namespace bandd;
using namespace std::chrono_literals;

namespace {

struct Asked {
    Engine engine;
    Outcome outcome;
    std::shared_ptr<Filter> filter = std::make_shared<Filter>();
    Rule rule{filter, {0}};
    Pattern pattern = std::move(*compile_pattern("p", "<HOST>", {}, true));

    explicit Asked(std::uint32_t maxretry, bool asks) {
        filter->looks_up_names = true;
        JailRules rules;
        rules.name = "test";
        rules.maxretry = maxretry;
        rules.asks = asks;
        engine.set_rules({rules}, at(0), outcome);
    }
    void hit(const std::string& who, double time) {
        Hit one{&rule, &pattern, at(time), "line", parse_address(who)};
        if (!one.address) one.name = who;
        engine.on_hit(one, at(time), outcome);
    }
    void answer(double time, std::vector<Address> addresses, bool exempt = false) {
        REQUIRE(!outcome.questions.empty());
        Question question = outcome.questions.front();
        outcome.questions.clear();
        engine.on_answer({question, std::move(addresses), exempt}, at(time), outcome);
    }
    std::string bans() const {
        std::string text;
        for (const Ban& ban : engine.bans())
            text +=
                to_string(ban.key.prefix) + " from " + std::to_string(ban.from.seconds()) + "\n";
        return text;
    }
};

}  // namespace

TEST_CASE("a host name's hit counts for its addresses, at the time of its line") {
    Asked one(2, false);
    one.hit("evil.example", 10);
    one.hit("evil.example", 20);
    CHECK(one.engine.waiting().size() == 2);
    CHECK(one.bans() == "");
    one.answer(25, {ip("203.0.113.9"), ip("2001:db8::9")});
    CHECK(one.bans() == "203.0.113.9 from " + std::to_string(at(20).seconds()) +
                            "\n2001:db8::/64 from " + std::to_string(at(20).seconds()) + "\n");
    CHECK(one.engine.waiting().size() == 0);
}

TEST_CASE("a name without addresses bans nobody, and is counted") {
    Asked one(1, false);
    one.hit("nobody.example", 10);
    one.answer(12, {});
    CHECK(one.bans() == "");
    CHECK(one.engine.hits_of_names() == 1);
}

TEST_CASE("a jail with ignorecommand asks only before a ban, and obeys") {
    Asked one(3, true);
    one.hit("203.0.113.9", 1);
    one.hit("203.0.113.9", 2);
    CHECK(one.outcome.questions.empty());
    one.hit("203.0.113.9", 3);
    REQUIRE(one.outcome.questions.size() == 1);
    SECTION("not exempt: banned, as of the line") {
        one.answer(9, {}, false);
        CHECK(one.bans() == "203.0.113.9 from " + std::to_string(at(3).seconds()) + "\n");
    }
    SECTION("exempt: not banned, and asked again at the next hit") {
        one.answer(9, {}, true);
        CHECK(one.bans() == "");
        CHECK(one.engine.counts(0).ignored == 1);
        one.hit("203.0.113.9", 10);
        CHECK(one.outcome.questions.size() == 1);
    }
    SECTION("hits that come before the answer wait in their order; one ban results") {
        one.hit("203.0.113.9", 4);
        CHECK(one.engine.waiting().size() == 2);
        one.answer(9, {}, false);
        CHECK(one.bans() == "203.0.113.9 from " + std::to_string(at(3).seconds()) + "\n");
        CHECK(one.engine.counts(0).already_banned == 1);
    }
}

TEST_CASE("hits that wait survive a checkpoint, and rules that change") {
    Asked one(1, true);
    one.hit("evil.example", 10);
    one.hit("203.0.113.9", 11);
    std::string dump = one.engine.waiting_hits();

    Asked other(1, true);
    other.engine.restore_waiting_hits(dump);
    CHECK(other.engine.questions() == one.engine.questions());
    CHECK(other.engine.waiting_hits() == dump);
    for (const Question& question : other.engine.questions())
        other.engine.on_answer({question, {}, false}, at(20), other.outcome);
    CHECK(other.bans() == "203.0.113.9 from " + std::to_string(at(11).seconds()) + "\n");

    JailRules added;
    added.name = "first";
    JailRules kept = one.engine.rules(0);
    one.engine.set_rules({added, kept}, at(12), one.outcome);
    for (const Question& question : one.engine.questions())
        one.engine.on_answer({question, {}, false}, at(20), one.outcome);
    REQUIRE(one.engine.bans().size() == 1);
    CHECK((*one.engine.bans().begin()).key.jail == 0);

    other.engine.restore_waiting_hits("3:abc");
    CHECK(other.engine.waiting().size() == 0);
}

TEST_CASE("of hits that wait, there are at most 10,000; more are lost and counted") {
    Asked one(1, false);
    for (int i = 0; i < 10'001; ++i) one.hit("h" + std::to_string(i) + ".example", 1);
    CHECK(one.engine.waiting().size() == 10'000);
    CHECK(one.engine.waiting().lost() == 1);
}
