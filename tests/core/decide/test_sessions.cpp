// SPDX-License-Identifier: GPL-2.0-or-later
#include <map>
#include <random>

#include "core/decide/engine.h"
#include "core/decide/sessions.h"
#include "support/common.h"

using namespace bandd;
using namespace std::chrono_literals;

namespace {

struct Lines {
    Pattern once = std::move(*compile_pattern("once", "<HOST>", {}, true));
    Pattern full = std::move(*compile_pattern("full", "<HOST>", {}, true));
    std::shared_ptr<Filter> filter = std::make_shared<Filter>();
    Rule rule{filter, {0}};

    Lines() { once.once = true; }
    Hit hit(bool is_once, const std::string& address, const std::string& session,
            std::uint16_t times = 1) const {
        Hit one{&rule, is_once ? &once : &full, at(0), "a line", ip(address)};
        one.times = times;
        if (!session.empty()) one.fields.add("session", session);
        return one;
    }
};

}  // namespace

TEST_CASE("a session counts as many hits as it has full ones, or one") {
    Lines lines;
    for (std::string history :
         {"o", "f", "oo", "of", "fo", "off", "ffo", "ofofof", "ooofff", "fff"}) {
        Sessions sessions;
        std::size_t counted = 0;
        for (char kind : history)
            counted += sessions.count(lines.hit(kind == 'o', "203.0.113.9", "4711"), at(0));
        INFO(history);
        auto full = static_cast<std::size_t>(std::ranges::count(history, 'f'));
        CHECK(counted == std::max(full, std::size_t{1}));
    }
}

TEST_CASE("sessions are apart by address, port and filter; without a port all counts") {
    Lines lines;
    Lines others;
    others.filter->identity = "another";
    Sessions sessions;
    CHECK(sessions.count(lines.hit(true, "203.0.113.9", "1"), at(0)));
    CHECK_FALSE(sessions.count(lines.hit(true, "203.0.113.9", "1"), at(0)));
    CHECK(sessions.count(lines.hit(true, "203.0.113.9", "2"), at(0)));
    CHECK(sessions.count(lines.hit(true, "203.0.113.8", "1"), at(0)));
    CHECK(sessions.count(others.hit(true, "203.0.113.9", "1"), at(0)));
    for (int i = 0; i < 3; ++i) CHECK(sessions.count(lines.hit(true, "203.0.113.9", ""), at(0)));
}

TEST_CASE("a session is over four minutes after it began, and the oldest make room") {
    Lines lines;
    Sessions sessions;
    CHECK(sessions.count(lines.hit(true, "203.0.113.9", "1"), at(0)));
    CHECK_FALSE(sessions.count(lines.hit(true, "203.0.113.9", "1"), at(240)));
    CHECK(sessions.count(lines.hit(true, "203.0.113.9", "1"), at(241)));
    for (std::size_t i = 0; i < Sessions::most; ++i)
        CHECK(sessions.count(lines.hit(true, "203.0.113.7", std::to_string(i)), at(242)));
    CHECK(sessions.size() == Sessions::most);
    CHECK(sessions.evicted() == 1);
    CHECK(sessions.count(lines.hit(true, "203.0.113.9", "1"), at(243)));
}

TEST_CASE("any order of many sessions' lines, and a checkpoint at any place, counts the same") {
    Lines lines;
    std::mt19937 random(7);
    for (int round = 0; round < 300; ++round) {
        Sessions sessions;
        std::map<std::string, std::pair<int, int>> truth;  // all full ones, the largest once
        std::map<std::string, int> counted;
        for (int i = 0; i < 60; ++i) {
            std::string port = std::to_string(random() % 8);
            std::string address = "203.0.113." + std::to_string(random() % 3);
            bool is_once = random() % 2 == 0;
            int times = random() % 3 == 0 ? static_cast<int>(random() % 6) + 1 : 1;
            auto& [full, once] = truth[address + " " + port];
            if (is_once)
                once = std::max(once, times);
            else
                full += times;
            counted[address + " " + port] += sessions.count(
                lines.hit(is_once, address, port, static_cast<std::uint16_t>(times)), at(i));
            if (random() % 10 == 0) {
                Sessions again;
                again.restore(sessions.dump());
                sessions = std::move(again);
            }
        }
        for (const auto& [session, of] : truth)
            CHECK(counted[session] == std::max(of.first, of.second));
    }
    Sessions flooded;
    CHECK(flooded.count(lines.hit(false, "203.0.113.9", "1", 65535), at(0)) == 65535);
    CHECK(flooded.count(lines.hit(false, "203.0.113.9", "1", 65535), at(0)) == 0);
    Sessions broken;
    for (const char* dump : {"", "x", "1:5", "1:511:203.0.113.9", "1:53:abc1:11:01:0", "1:5-1:"})
        broken.restore(dump);
    CHECK(broken.size() == 0);
}

TEST_CASE("a line that stands for several counts as these, up to the jail's bounds") {
    JailRules rules;
    rules.name = "test";
    rules.maxretry = 5;
    auto hits_after = [&](std::uint16_t times, std::uint32_t repeats, std::uint32_t weight = 1) {
        rules.repeats = repeats;
        rules.weights.clear();
        if (weight > 1) rules.weights = {{"full", weight}};
        Engine engine;
        Outcome outcome;
        engine.set_rules({rules}, at(0), outcome);
        Lines lines;
        Hit hit = lines.hit(false, "203.0.113.9", "");
        hit.times = times;
        engine.on_hit(hit, at(0), outcome);
        for (const Event& event : outcome.events)
            if (const auto* ban = std::get_if<Banned>(&event))
                return ban->ban.story->reason + ", banned";
        auto view = engine.windows(0).find(prefix("203.0.113.9"));
        return std::to_string(view->times.size());
    };
    CHECK(hits_after(1, 1000) == "1");
    CHECK(hits_after(4, 1000) == "4");
    CHECK(hits_after(4, 1) == "1");
    CHECK(hits_after(60000, 3) == "3");
    CHECK(hits_after(5, 1000) == "full: 5 failures by 1 line, banned");
    CHECK(hits_after(60000, 1000) == "full: 5 failures by 1 line, banned");
    CHECK(hits_after(2, 1000, 2) == "4");
    CHECK(hits_after(3, 1000, 2) == "full: 5 failures by 1 line, banned");
    CHECK(hits_after(3, 1, 2) == "2");
}
