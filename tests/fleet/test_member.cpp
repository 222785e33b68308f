// SPDX-License-Identifier: GPL-2.0-or-later
// The protocol in virtual time: nodes say what they decided by a stream that doubles, delays and
// loses messages, and are killed with what is in their state. In the end all know the same.
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <random>

#include "fleet/member.h"
#include "fleet/word_text.h"
#include "support/catch.h"
#include "support/common.h"

namespace bandd {
namespace {

using Key = FleetMember::Key;

constexpr Instant start = Instant::from_seconds(1'700'000'000);
Instant at(int second) { return start + std::chrono::seconds(second); }

Key key_of(const std::string& prefix, const std::string& jail = "sshd") {
    return {jail, parse_prefix(prefix).value()};
}

FleetMember member(const std::string& name, FleetTrust trust = {}) {
    return {name, {"gate"}, std::move(trust)};
}

FleetMember::Decision ban(int from, int seconds, std::uint32_t offence = 1) {
    return {at(from), seconds < 0 ? never : at(from + seconds), offence, 5, "invalid-user"};
}

// As the stream brings it.
FleetMessage stored(const FleetPublish& said, Instant when) {
    return {1, said.subject, "BANS_H", 1, when, said.payload};
}
FleetMessage live(const FleetPublish& said) { return {0, said.subject, {}, 0, {}, said.payload}; }

BanWord word_of(const std::string& node, int said, int from, int seconds) {
    BanWord word;
    word.stamp = {at(said), 0, node};
    word.from = at(from);
    word.until = at(from + seconds);
    word.makers = {node};
    word.reason = "x";
    return word;
}
FleetMessage message(const std::string& node, const std::string& prefix, const BanWord& word,
                     int stored_at, const std::string& jail = "sshd") {
    BanSubject subject{BanClass::hour, node, jail, prefix, word.is_counted()};
    return {1, to_subject(subject), "BANS_H", 1, at(stored_at), to_text(word)};
}

}  // namespace

TEST_CASE("a ban of one node is one of another, until it lifts it") {
    FleetMember mx1 = member("mx1"), mx2 = member("mx2");
    Key key = key_of("198.51.100.7/32");
    mx1.decided(key, ban(0, 600, 2), at(0));
    auto said = mx1.next_publication();
    REQUIRE(said);
    CHECK(said->subject == "ban.h.mx1.sshd.198=2E51=2E100=2E7");
    CHECK_FALSE(mx1.next_publication());
    auto heard = mx2.hear(live(*said), at(0));
    REQUIRE(heard.key);
    CHECK(*heard.key == key);
    auto there = mx2.ban_of(key, at(1));
    REQUIRE(there);
    CHECK(there->until == at(600));
    CHECK(there->offence == 2);
    CHECK(there->said_by == "mx1");
    CHECK(there->reason == "invalid-user");
    // The stream brings the same again.
    CHECK_FALSE(mx2.hear(stored(*said, at(0)), at(1)).key);
    mx1.published(said->id);
    CHECK(mx1.unpublished() == 0);
    mx1.lifted(key, at(10));
    auto lift = mx1.next_publication();
    REQUIRE(lift);
    CHECK(mx2.hear(live(*lift), at(10)).key);
    CHECK_FALSE(mx2.ban_of(key, at(11)));
    CHECK_FALSE(mx1.ban_of(key, at(11)));
}

TEST_CASE("what a person lifts on one machine stays banned on the others, if others banned it") {
    FleetMember mx1 = member("mx1"), mx2 = member("mx2");
    Key key = key_of("198.51.100.7/32");
    mx1.decided(key, ban(0, 600), at(0));
    auto first = mx1.next_publication();
    mx2.hear(live(*first), at(0));
    mx1.published(first->id);
    mx2.lifted(key, at(5));
    CHECK_FALSE(mx2.ban_of(key, at(6)));
    CHECK(mx1.ban_of(key, at(6)));
    // It is nobody else's business.
    CHECK_FALSE(mx2.next_publication());
    // A later ban is another one.
    mx1.decided(key, ban(20, 600), at(20));
    mx2.hear(live(*mx1.next_publication()), at(20));
    CHECK(mx2.ban_of(key, at(21)));
}

TEST_CASE("a shorter ban takes the place of a longer one for whoever comes later") {
    FleetMember mx1 = member("mx1");
    Key key = key_of("198.51.100.7/32");
    mx1.decided(key, ban(0, 86'400 * 3), at(0));
    auto first = mx1.next_publication();
    CHECK(first->subject.starts_with("ban.w."));
    mx1.published(first->id);
    mx1.decided(key, ban(0, 60), at(5));
    // In the same place: else that one would be found once this one's stream has forgotten it.
    CHECK(mx1.next_publication()->subject == first->subject);
}

TEST_CASE("what is not stored yet is said again after a kill, and what another one wrote over it") {
    Key key = key_of("198.51.100.7/32");
    std::vector<FleetRow> rows;
    {
        FleetMember mx1 = member("mx1");
        mx1.decided(key, ban(0, 600), at(0));
        mx1.next_publication();
        mx1.take_rows(rows, 100);
    }
    FleetMember again = member("mx1");
    for (const FleetRow& row : rows) CHECK(again.restore(row));
    auto said = again.next_publication();
    REQUIRE(said);
    again.published(said->id);
    rows.clear();
    again.take_rows(rows, 100);
    FleetMember third = member("mx1");
    for (const FleetRow& row : rows) CHECK(third.restore(row));
    CHECK_FALSE(third.next_publication());
    CHECK(third.ban_of(key, at(1)));
    // An answer of the server, sent there by somebody else.
    FleetMessage over{1, said->subject, "BANS_H", 7, at(30), R"({"stream":"BANS_H","seq":7})"};
    CHECK_FALSE(third.hear(over, at(30)).refused);
    CHECK(third.overwritten() == 1);
    CHECK_FALSE(third.next_publication());
    third.on_time(at(40));
    auto repeated = third.next_publication();
    REQUIRE(repeated);
    CHECK(repeated->payload == said->payload);
}

TEST_CASE("what is over is forgotten, and told") {
    FleetMember mx2 = member("mx2");
    Key key = key_of("198.51.100.7");
    mx2.hear(message("mx1", "198.51.100.7", word_of("mx1", 0, 0, 600), 1), at(1));
    CHECK(mx2.on_time(at(600)).empty());
    CHECK(mx2.on_time(at(600) + std::chrono::hours(1)) == std::vector{key});
    CHECK(mx2.words().size() == 0);
}

TEST_CASE(
    "a stream that was made anew gets all words again, also if the node is killed meanwhile") {
    FleetMember mx1 = member("mx1");
    for (int i = 1; i <= 3; ++i)
        mx1.decided(key_of(fmt::format("198.51.100.{}", i)), ban(0, 600), at(0));
    mx1.on_progress({"BANS_H", "first", 0});
    auto publish_all = [](FleetMember& member) {
        int count = 0;
        while (auto said = member.next_publication()) {
            member.published(said->id);
            ++count;
        }
        return count;
    };
    CHECK(publish_all(mx1) == 3);
    mx1.on_progress({"BANS_H", "first", 0});
    CHECK(publish_all(mx1) == 0);
    std::vector<FleetRow> rows;
    mx1.take_rows(rows, 100);
    mx1.on_progress({"BANS_H", "second", 0});
    CHECK(mx1.next_publication());
    mx1.take_rows(rows, 100);
    FleetMember again = member("mx1");
    for (const FleetRow& row : rows) again.restore(row);
    again.on_progress({"BANS_H", "second", 0});
    CHECK(publish_all(again) == 3);
}

TEST_CASE("nobody says more than he may") {
    using Refusal = FleetMember::Refusal;
    FleetTrust trust;
    trust.jails = {"sshd", "postfix"};
    trust.longest = std::chrono::days(30);
    trust.rate = 5;
    trust.most = 8;
    FleetMember mx2 = member("mx2", trust);
    auto refused = [&](const FleetMessage& said) {
        auto heard = mx2.hear(said, at(10));
        CHECK_FALSE((heard.key && heard.refused));
        return heard.refused;
    };
    BanWord good = word_of("mx1", 0, 0, 600);
    SECTION("another language, or none") {
        FleetMessage said = message("mx1", "198.51.100.7", good, 1);
        for (
            const char* payload :
            {"", "{}", "[]", "nonsense", R"({"v":2,"kind":"decided","at":1,"n":0})",
             R"({"v":1,"kind":"decided","at":-1,"n":0,"from":1,"until":2,"offence":1,"hits":1,"makers":["mx1"]})",
             R"({"v":1,"kind":"decided","at":1,"n":0,"from":5,"until":2,"offence":1,"hits":1,"makers":["mx1"]})",
             R"({"v":1,"kind":"decided","at":1,"n":0,"from":1,"until":2,"offence":0,"hits":1,"makers":["mx1"]})",
             R"({"v":1,"kind":"decided","at":1,"n":0,"from":1,"until":2,"offence":1,"hits":1,"makers":[]})",
             R"({"v":1,"kind":"decided","at":1,"n":0,"from":1,"until":2,"offence":1,"hits":1,"makers":["../x"]})",
             R"({"v":1,"kind":"decided","at":1e300,"n":0,"from":1,"until":2,"offence":1,"hits":1,"makers":["mx1"]})"}) {
            said.payload = payload;
            CAPTURE(payload);
            CHECK(refused(said) == Refusal::malformed);
        }
        CHECK(refused(message("mx1", "198.51.100.7/24", good, 1)) == Refusal::malformed);
        CHECK(refused(message("mx1", "2001:db9::/31", good, 1)) == Refusal::malformed);
        CHECK(refused(message("mx1", "nonsense", good, 1)) == Refusal::malformed);
    }
    SECTION("for another one") {
        BanWord others = good;
        others.makers = {"gate"};
        CHECK(refused(message("mx1", "198.51.100.7", others, 1)) == Refusal::not_his);
        BanWord count = good;
        count.kind = BanWord::Kind::counted;
        CHECK(refused(message("mx1", "198.51.100.7", count, 1)) == Refusal::not_his);
        count.stamp.node = "gate";
        CHECK_FALSE(refused(message("gate", "198.51.100.7", count, 1)));
        CHECK(refused(message("operator", "198.51.100.7", word_of("operator", 0, 0, 600), 1)) ==
              Refusal::not_his);
    }
    SECTION("too wide, too long, another jail") {
        CHECK(refused(message("mx1", "0.0.0.0/0", good, 1)) == Refusal::too_wide);
        CHECK(refused(message("mx1", "198.0.0.0/15", good, 1)) == Refusal::too_wide);
        CHECK_FALSE(refused(message("mx1", "198.50.0.0/16", good, 1)));
        CHECK(refused(message("mx1", "2001:db8::/31", good, 1)) == Refusal::too_wide);
        CHECK(refused(message("mx1", "2000::/20", good, 1)) == Refusal::too_wide);
        CHECK(refused(message("mx1", "64:ff9b::/96", good, 1)) == Refusal::too_wide);
        CHECK_FALSE(refused(message("mx1", "64:ff9b::c633:6400/120", good, 1)));
        CHECK(refused(message("mx1", "198.51.100.7", good, 1, "web")) == Refusal::jail);
        BanWord for_ever = good;
        for_ever.until = never;
        CHECK(refused(message("mx1", "198.51.100.7", for_ever, 1)) == Refusal::too_long);
        CHECK(refused(message("mx1", "198.51.100.7", word_of("mx1", 0, 0, 86'400 * 31), 1)) ==
              Refusal::too_long);
    }
    SECTION("too often: by when the server had it, so that all judge alike") {
        for (int i = 0; i < 5; ++i)
            CHECK_FALSE(refused(message("mx1", fmt::format("198.51.100.{}", i), good, 1)));
        CHECK(refused(message("mx1", "198.51.100.9", good, 2)) == Refusal::too_often);
        // Others are not bound by what he did.
        CHECK_FALSE(refused(message("gate", "198.51.100.9", word_of("gate", 0, 0, 600), 2)));
        CHECK_FALSE(refused(message("mx1", "198.51.100.9", good, 62)));
        CHECK(mx2.refused(Refusal::too_often) == 1);
    }
    SECTION("too many at one time, whoever says them") {
        for (int i = 0; i < 8; ++i)
            CHECK_FALSE(refused(message("mx1", fmt::format("198.51.100.{}", i), good, i * 60)));
        CHECK(refused(message("mx1", "198.51.100.9", good, 1000)) == Refusal::too_many);
        BanWord count = word_of("gate", 0, 0, 600);
        count.kind = BanWord::Kind::counted;
        count.makers = {"gate", "mx1"};
        CHECK(refused(message("gate", "198.51.100.9", count, 1000)) == Refusal::too_many);
        // What he says of one that is there is no further one.
        CHECK_FALSE(refused(message("mx1", "198.51.100.1", word_of("mx1", 5, 0, 700), 1001)));
        // Those that are over make room.
        mx2.on_time(at(700) + std::chrono::hours(1));
        CHECK_FALSE(refused(message("mx1", "198.51.100.9", good, 1010)));
    }
    SECTION("a stamp from the future is cut to when it was stored") {
        CHECK_FALSE(refused(message("mx1", "198.51.100.7", word_of("mx1", 100'000, 0, 600), 0)));
        Key key = key_of("198.51.100.7");
        CHECK(mx2.words().word_of(key, "mx1", false)->stamp.time == at(60));
        CHECK_FALSE(refused(message("mx1", "198.51.100.7", word_of("mx1", 61, 0, 900), 61)));
        CHECK(mx2.ban_of(key, at(62))->until == at(900));
    }
}

TEST_CASE("bounds hold for what hits make, and for what was said in a node's own name") {
    using Refusal = FleetMember::Refusal;
    FleetTrust trust;
    trust.rate = 3;
    FleetMember gate{"gate", {"gate"}, trust};
    FleetMember::Decision long_one = ban(0, 600);
    CHECK(gate.counted(key_of("198.0.0.0/8"), long_one, {"mx1"}, at(0)) == Refusal::too_wide);
    CHECK_FALSE(gate.next_publication());
    CHECK_FALSE(gate.counted(key_of("198.51.100.7"), long_one, {"gate", "mx1"}, at(0)));
    CHECK(gate.next_publication());
    // While mx1 was away, somebody spoke with its file.
    FleetMember mx1{"mx1", {"gate"}, trust};
    for (int i = 0; i < 10; ++i)
        mx1.hear(message("mx1", fmt::format("198.51.100.{}", i), word_of("mx1", 0, 0, 600), 1),
                 at(10));
    CHECK(mx1.words().size() == 3);
    CHECK(mx1.refused(Refusal::too_often) == 7);
    CHECK(mx1.hear(message("mx1", "0.0.0.0/0", word_of("mx1", 0, 0, 600), 100), at(100)).refused ==
          Refusal::too_wide);
    // What comes at once and by the stream is refused once.
    FleetMessage twice = message("mx1", "0.0.0.0/0", word_of("mx1", 0, 0, 600), 100);
    twice.ticket = 0;
    CHECK(mx1.hear(twice, at(100)).refused == Refusal::too_wide);
    CHECK(mx1.refused(Refusal::too_wide) == 1);
}

// Nodes, a stream of last words, and everything that a network and kill -9 do.
namespace {

class World {
  public:
    explicit World(unsigned seed) : random_(seed) {
        for (const char* name : {"gate", "mx1", "mx2"}) nodes_.push_back({name});
        for (Node& node : nodes_) node.member = std::make_unique<FleetMember>(member(node.name));
        operator_clock_ = std::make_unique<StampClock>(std::string(operator_name));
    }

    void step() {
        now_ = now_ + std::chrono::milliseconds(pick(2000));
        Node& node = nodes_[pick(nodes_.size())];
        switch (pick(12)) {
            case 0:
            case 1:
            case 2: {
                Instant from = clock_of(node);
                auto length = std::chrono::seconds(1 + pick(pick(3) == 0 ? 90'000 : 600));
                Key key = any_key();
                FleetMember::Decision decision{from, from + length, 1 + pick(3), 3, "x"};
                node.member->decided(key, decision, from);
                node.to_read_again.emplace_back(key, decision);
                break;
            }
            case 3:
                // A person's order is on disk before it is answered.
                node.member->lifted(any_key(), clock_of(node));
                checkpoint(node);
                break;
            case 4:
                if (pick(3) == 0) lift_for_all();
                break;
            case 5:
                kill(node);
                break;
            case 6:
                node.cut = !node.cut;
                break;
            case 7:
                if (pick(6) == 0) lose_store();
                break;
            case 8:
                node.member->on_time(clock_of(node));
                break;
            default:
                break;
        }
        for (Node& one : nodes_) serve(one, true);
        if (pick(3) == 0) checkpoint(nodes_[pick(nodes_.size())]);
    }

    // All is healed, and time goes by until nothing happens any more.
    void settle() {
        for (Node& node : nodes_) node.cut = false;
        for (int i = 0; i < 20; ++i) {
            now_ = now_ + FleetMember::pause;
            for (Node& node : nodes_) {
                node.member->on_time(clock_of(node));
                serve(node, false);
            }
        }
    }

    void check() {
        for (const Node& node : nodes_) {
            CAPTURE(node.name);
            CHECK(node.member->unpublished() == 0);
        }
        for (int i = 0; i < keys; ++i) {
            Key key = key_number(i);
            CAPTURE(to_string(key.prefix));
            // But for what a person lifted on that machine alone.
            auto all = [&](const Node& node) { return node.member->words().ban_of(key, now_); };
            auto first = all(nodes_[0]);
            for (const Node& node : nodes_) {
                if (all(node) == first) continue;
                std::string words;
                for (const Node& one : nodes_)
                    for (const BanWord& word : one.member->words().words(key))
                        words += one.name + ": " + word.stamp.node + " " + to_text(word) + "\n";
                FAIL_CHECK(words);
            }
            if (first) CHECK(first->from > lifted_[i]);
        }
    }

  private:
    static constexpr int keys = 6;
    struct Node {
        std::string name;
        std::unique_ptr<FleetMember> member;
        std::map<std::pair<std::string, std::string>, std::string> state;
        std::uint64_t read = 0;  // of the stream, as the server has it
        std::uint64_t read_at_checkpoint = 0;
        std::deque<FleetPublish> out;  // under way to the server
        std::vector<FleetMessage> heard_live;
        std::vector<std::pair<Key, FleetMember::Decision>> to_read_again;
        Duration clock{0};
        bool cut = false;
    };
    struct Kept {
        std::uint64_t sequence;
        Instant stored;
        std::string payload;
    };

    std::uint32_t pick(std::size_t most) { return static_cast<std::uint32_t>(random_() % most); }
    Instant clock_of(const Node& node) const { return now_ + node.clock; }
    static Key key_number(int i) { return key_of(fmt::format("198.51.100.{}", i)); }
    Key any_key() { return key_number(static_cast<int>(pick(keys))); }

    void store(const std::string& subject, const std::string& payload) {
        kept_[subject] = {++sequence_, now_, payload};
        for (Node& node : nodes_)
            if (!node.cut && pick(4) != 0)
                node.heard_live.push_back({0, subject, {}, 0, {}, payload});
    }
    void lift_for_all() {
        int number = static_cast<int>(pick(keys));
        BanWord word;
        word.kind = BanWord::Kind::lifted;
        word.stamp = operator_clock_->next(now_);
        lifted_[number] = std::max(lifted_[number], word.stamp.time);
        // In each place where a word on it may lie.
        store(to_subject(BanSubject{BanClass::five_weeks, std::string(operator_name), "sshd",
                                    to_string(key_number(number).prefix)}),
              to_text(word));
    }
    void lose_store() {
        ++made_;
        // The operator says again what he lifted: nobody else can.
        auto lost = std::exchange(kept_, {});
        for (const auto& [subject, kept] : lost)
            if (subject.find(".operator.") != std::string::npos)
                kept_[subject] = {++sequence_, kept.stored, kept.payload};
        for (Node& node : nodes_) node.read = node.read_at_checkpoint = 0;
    }
    void checkpoint(Node& node) {
        std::vector<FleetRow> rows;
        node.member->take_rows(rows, SIZE_MAX);
        for (FleetRow& row : rows) {
            if (row.value)
                node.state[{row.kind, row.key}] = *row.value;
            else
                node.state.erase({row.kind, row.key});
        }
        node.read_at_checkpoint = node.read;
        node.to_read_again.clear();
    }
    void kill(Node& node) {
        node.member = std::make_unique<FleetMember>(member(node.name));
        for (const auto& [key, value] : node.state)
            node.member->restore({key.first, key.second, value});
        node.read = node.read_at_checkpoint;  // what was not settled comes again
        node.out.clear();
        node.heard_live.clear();
        // Lines since the checkpoint are read again, and decided as before.
        now_ = now_ + std::chrono::seconds(1);
        for (const auto& [key, decision] : node.to_read_again)
            node.member->decided(key, decision, clock_of(node));
    }
    void serve(Node& node, bool hostile) {
        if (node.cut) return;
        for (const char* stream : {"BANS_H", "BANS_D", "BANS_W", "BANS_M", "BANS_F"})
            node.member->on_progress({stream, std::to_string(made_), 0});
        while (auto said = node.member->next_publication()) node.out.push_back(std::move(*said));
        while (!node.out.empty()) {
            if (hostile && pick(3) == 0) break;  // later
            FleetPublish said = std::move(node.out.front());
            node.out.pop_front();
            store(said.subject, said.payload);
            // Stored, and the answer lost: bandd-fleet sends it again.
            if (hostile && pick(5) == 0) {
                node.out.push_back(std::move(said));
                continue;
            }
            node.member->published(said.id);
        }
        std::ranges::shuffle(node.heard_live, random_);
        for (const FleetMessage& said : std::exchange(node.heard_live, {}))
            node.member->hear(said, clock_of(node));
        // In the order of the stream; what a later message replaced is not in it any more.
        std::map<std::uint64_t, std::string> to_come;
        for (const auto& [subject, kept] : kept_)
            if (kept.sequence > node.read) to_come[kept.sequence] = subject;
        for (const auto& [sequence, subject] : to_come) {
            if (hostile && pick(4) == 0) break;
            const Kept& kept = kept_[subject];
            FleetMessage said{sequence, subject, "BANS_H", sequence, kept.stored, kept.payload};
            for (std::uint32_t times = hostile ? 1 + pick(2) : 1; times > 0; --times)
                node.member->hear(said, clock_of(node));
            node.read = sequence;
        }
    }

    std::mt19937 random_;
    Instant now_ = start;
    std::vector<Node> nodes_;
    std::map<std::string, Kept> kept_;
    std::uint64_t sequence_ = 0;
    int made_ = 0;
    std::unique_ptr<StampClock> operator_clock_;
    std::map<int, Instant> lifted_;
};

}  // namespace

TEST_CASE("nodes agree in the end, whatever the network and kill -9 do") {
    unsigned seeds = 300;
    if (const char* more = std::getenv("SEEDS")) seeds = static_cast<unsigned>(std::atoi(more));
    for (unsigned seed = 1; seed <= seeds; ++seed) {
        CAPTURE(seed);
        World world(seed);
        for (int i = 0; i < 150; ++i) world.step();
        world.settle();
        world.check();
    }
}

}  // namespace bandd
