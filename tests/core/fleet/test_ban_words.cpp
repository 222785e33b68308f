// SPDX-License-Identifier: GPL-2.0-or-later
// What the words of several nodes come to: the same, in whatever order they arrive.
#include <algorithm>
#include <map>
#include <random>

#include "core/fleet/ban_words.h"
#include "support/catch.h"
#include "support/common.h"

namespace bandd {
namespace {

Instant at(int second) { return Instant::from_seconds(1'700'000'000 + second); }

BanWord word(const std::string& node, int said, int from, int until,
             BanWord::Kind kind = BanWord::Kind::decided, std::uint32_t offence = 1) {
    BanWord one;
    one.kind = kind;
    one.stamp = {at(said), 0, node};
    one.from = at(from);
    one.until = until < 0 ? never : at(until);
    one.offence = offence;
    one.makers = {node};
    return one;
}
BanWord lift(const std::string& node, int said) {
    return word(node, said, said, said, BanWord::Kind::lifted);
}
constexpr auto counted = BanWord::Kind::counted;

using Words = std::vector<BanWord>;

}  // namespace

TEST_CASE("bans of several nodes that overlap are one, until the last of them ends") {
    Words words{word("mx1", 10, 10, 70), word("mx2", 30, 30, 90, BanWord::Kind::decided, 3)};
    auto ban = merged(words, at(40));
    REQUIRE(ban);
    CHECK(ban->from == at(10));
    CHECK(ban->until == at(90));
    CHECK(ban->offence == 3);
    CHECK(ban->said_by == "mx2");
    CHECK(ban->makers == std::vector<std::string>{"mx1", "mx2"});
    CHECK(merged(words, at(89)));
    CHECK_FALSE(merged(words, at(90)));
}

TEST_CASE("what the fleet counted replaces what one node decided, also if it ends earlier") {
    Words words{word("mx1", 10, 10, 70), word("gate", 11, 5, 65, counted, 2)};
    CHECK(merged(words, at(64))->until == at(65));
    CHECK(merged(words, at(64))->counted);
    CHECK(merged(words, at(64))->offence == 2);
    CHECK_FALSE(merged(words, at(65)));
    // A ban that began after it is another one.
    words.push_back(word("mx2", 66, 66, 126));
    CHECK(merged(words, at(100))->said_by == "mx2");
}

TEST_CASE("of two that count, the one that spoke last knew most") {
    Words words{word("gate", 11, 9, 69, counted), word("mx1", 12, 5, 65, counted)};
    CHECK(merged(words, at(20))->until == at(65));
}

TEST_CASE("a node lifts its own ban only, the operator all that began until then") {
    Words words{word("mx1", 10, 10, 70), lift("mx2", 20)};
    CHECK(merged(words, at(21)));
    words = {lift("mx1", 20)};
    CHECK_FALSE(merged(words, at(21)));
    words = {word("mx1", 10, 10, 70), word("gate", 11, 5, -1, counted),
             lift(std::string(operator_name), 20)};
    CHECK_FALSE(merged(words, at(21)));
    // It did not know when it said so.
    words.push_back(word("mx2", 30, 19, 300));
    CHECK_FALSE(merged(words, at(31)));
    words.back() = word("mx2", 30, 21, 300);
    CHECK(merged(words, at(31)));
}

TEST_CASE("a word that is older than what its node said is passed over") {
    BanWords all;
    BanWords::Key key{"sshd", *parse_prefix("192.0.2.1")};
    CHECK(all.take(key, word("mx1", 20, 10, 90)) == BanWords::Taken::later);
    CHECK(all.take(key, word("mx1", 10, 10, 70)) == BanWords::Taken::known);
    CHECK(all.take(key, word("mx1", 20, 10, 90)) == BanWords::Taken::known);
    CHECK(all.ban_of(key, at(21))->until == at(90));
    CHECK(all.word_of(key, "mx1", false)->until == at(90));
    CHECK(all.word_of(key, "mx2", false) == nullptr);
}

TEST_CASE("words are bounded, and forgotten once all of a prefix are over") {
    BanWords all(2);
    for (int i = 1; i <= 3; ++i)
        CHECK(all.take({"sshd", *parse_prefix("192.0.2." + std::to_string(i))},
                       word("mx1", 10, 10, 10 * i)) ==
              (i < 3 ? BanWords::Taken::later : BanWords::Taken::no_room));
    CHECK(all.forget(at(11), 1000).size() == 1);
    CHECK(all.size() == 1);
}

TEST_CASE("whatever is lost at first, doubled or out of order, all nodes agree in the end") {
    constexpr int histories = 2000;
    int bans = 0;
    for (int seed = 0; seed < histories; ++seed) {
        std::mt19937 random(static_cast<unsigned>(seed));
        auto up_to = [&](int most) {
            return static_cast<int>(random() % static_cast<unsigned>(most));
        };
        BanWords::Key key{"sshd", *parse_prefix("2001:db8::/64")};
        Words said;
        std::map<std::string, int> clock;
        for (int i = 0; i < 1 + up_to(12); ++i) {
            std::string node =
                up_to(6) == 0 ? std::string(operator_name) : "mx" + std::to_string(up_to(4));
            int now = clock[node] += 1 + up_to(20);
            if (node == operator_name || up_to(5) == 0)
                said.push_back(lift(node, now));
            else
                said.push_back(word(node, now, now - up_to(5), now + up_to(200),
                                    up_to(3) == 0 ? counted : BanWord::Kind::decided));
        }
        std::optional<FleetBan> first;
        for (int node = 0; node < 3; ++node) {
            Words heard = said;
            for (int i = up_to(5); i > 0; --i)
                heard.push_back(
                    said[static_cast<std::size_t>(up_to(static_cast<int>(said.size())))]);
            std::ranges::shuffle(heard, random);
            BanWords all;
            for (const BanWord& one : heard) all.take(key, one);
            auto ban = all.ban_of(key, at(60));
            if (node == 0) first = ban;
            INFO("seed " << seed);
            REQUIRE(ban == first);
        }
        bans += first ? 1 : 0;
        // Nothing of what the operator lifted.
        for (const BanWord& one : said)
            if (first && one.kind == BanWord::Kind::lifted && one.stamp.node == operator_name)
                REQUIRE(first->from > one.stamp.time);
    }
    CHECK(bans > histories / 4);
}

TEST_CASE("a stamp is never before one that was seen, and never far ahead of the stream") {
    StampClock clock("mx1");
    CHECK(clock.next(at(10)) == Stamp{at(10), 0, "mx1"});
    CHECK(clock.next(at(10)) == Stamp{at(10), 1, "mx1"});
    clock.saw({at(15), 7, "gate"});
    CHECK(clock.next(at(11)) == Stamp{at(15), 8, "mx1"});
    CHECK(clock.next(at(16)) == Stamp{at(16), 0, "mx1"});
    clock.saw({at(12), 3, "gate"});
    CHECK(clock.next(at(16)) == Stamp{at(16), 1, "mx1"});
    // By name, if all else is equal: two nodes' stamps are never the same.
    CHECK(Stamp{at(10), 0, "gate"} < Stamp{at(10), 0, "mx1"});
    CHECK(cut_to({at(1000), 5, "mx1"}, at(10)) == Stamp{at(70), 5, "mx1"});
    CHECK(cut_to({at(70), 5, "mx1"}, at(10)) == Stamp{at(70), 5, "mx1"});
}

}  // namespace bandd
