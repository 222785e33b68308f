// SPDX-License-Identifier: GPL-2.0-or-later
// The model alone: what is seen goes in, what is to be read comes out.
#include "source/chain.h"
#include "support/common.h"

using namespace bandd;

namespace {

std::string head(char letter) { return std::string(Fingerprint::longest, letter); }

Sighting seen(const std::string& path, std::uint64_t inode, char letter, std::uint64_t size,
              std::int64_t modified, bool named = false) {
    Sighting one{path, "app.log", {1, inode}, size, modified, head(letter)};
    one.named = named;
    one.archive = path.ends_with(".gz");
    if (one.archive) one.size = UINT64_MAX;
    return one;
}
FilePosition known(std::uint64_t number, std::uint64_t inode, char letter, std::uint64_t offset) {
    return {{"app.log", number},
            {"app.log", {1, inode}, offset, false, Fingerprint::of(head(letter))},
            static_cast<std::int64_t>(number)};
}
// "path: number from offset", in the order of reading.
std::vector<std::string> look(Chain& chain, const std::vector<Sighting>& all) {
    std::vector<std::string> steps;
    for (const Chain::Step& step :
         chain.look(all, [](std::size_t, std::size_t, std::uint64_t) { return true; }))
        steps.push_back(all[step.seen].path + ": " + std::to_string(step.number) + " from " +
                        std::to_string(step.offset));
    return steps;
}
using Steps = std::vector<std::string>;

}  // namespace

TEST_CASE("chain: the example in its header") {
    Chain chain("app.log");
    chain.restore(known(7, 100, 'a', 900));
    CHECK(look(chain,
               {seen("app.log", 101, 'c', 300, 30, true), seen("app.log.1", 100, 'b', 1000, 20),
                seen("app.log.2.gz", 102, 'a', 0, 10)}) ==
          Steps{"app.log.2.gz: 7 from 900", "app.log.1: 8 from 0", "app.log: 9 from 0"});
}

TEST_CASE("chain: what lies beside a log at its first look is old, whatever becomes of it") {
    Chain chain("app.log");
    CHECK(look(chain, {seen("app.log", 1, 'c', 300, 30, true), seen("app.log.1", 2, 'b', 100, 20),
                       seen("app.log.2.gz", 3, 'a', 0, 10)}) == Steps{"app.log: 3 from 0"});
    // Renamed, compressed, its time set.
    CHECK(look(chain, {seen("app.log", 1, 'c', 300, 30, true), seen("app.log.2.gz", 4, 'b', 0, 90),
                       seen("app.log.3.gz", 3, 'a', 0, 95)}) == Steps{"app.log: 3 from 0"});
}

TEST_CASE(
    "chain: files that were written within one tick of the clock come in the order of names") {
    auto order = [](const std::string& older, const std::string& newer) {
        Chain chain("app.log");
        look(chain, {seen("app.log", 1, 'c', 300, 10, true)});
        return look(chain,
                    {seen("app.log", 4, 'e', 10, 30, true), seen("app.log.9", 1, 'c', 300, 20),
                     seen(newer, 2, 'b', 100, 25), seen(older, 3, 'a', 100, 25)});
    };
    auto steps = [](const std::string& older, const std::string& newer) {
        return Steps{"app.log.9: 1 from 0", older + ": 2 from 0", newer + ": 3 from 0",
                     "app.log: 4 from 0"};
    };
    for (auto [older, newer] :
         {std::pair("app.log.2", "app.log.1"), std::pair("app.log.10", "app.log.2.gz"),
          std::pair("app.log-20261129", "app.log-20261130")})
        CHECK(order(older, newer) == steps(older, newer));
}

TEST_CASE(
    "chain: what is added to a log's dates is kept, but not if they are read in another way") {
    Chain chain("app.log");
    look(chain, {seen("app.log", 1, 'c', 300, 30, true)});
    std::vector<FilePosition> changed;
    std::vector<FileNumber> gone;
    chain.take_changes(changed, gone);
    chain.clock().set(std::chrono::hours(-2));
    changed.clear();
    chain.take_changes(changed, gone);
    REQUIRE(changed.size() == 1);
    CHECK(changed[0].file == FileNumber{"app.log", 0});
    CHECK(changed[0].clock == -7'200'000'000);
    Chain again("app.log");
    again.restore(changed[0]);
    CHECK(again.clock().offset() == std::chrono::hours(-2));
    CHECK(again.under("app.log\n0 0 UTC").clock().offset() == std::chrono::hours(0));
    changed.clear();
    again.take_changes(changed, gone);
    chain.take_changes(changed, gone);
    CHECK(changed.empty());
    again.clock().set(std::chrono::hours(0));
    again.take_changes(changed, gone);
    REQUIRE(changed.size() == 1);
    CHECK(changed[0].clock == 0);
    // What nobody can have learned.
    changed[0].clock = 1;
    again.restore(changed[0]);
    CHECK(again.clock().offset() == std::chrono::hours(0));
}

TEST_CASE("chain: an inode that is used again is another file") {
    Chain chain("app.log");
    chain.restore(known(1, 100, 'a', 900));
    CHECK(look(chain, {seen("app.log", 100, 'b', 5000, 1, true)}) == Steps{"app.log: 2 from 0"});
    // Even with the same time, and beside its original.
    CHECK(look(chain,
               {seen("app.log", 100, 'b', 5000, 1, true), seen("app.log.1", 101, 'a', 950, 1)}) ==
          Steps{"app.log.1: 1 from 900", "app.log: 2 from 0"});
}

TEST_CASE("chain: a copy that is not truncated yet is nothing new") {
    Chain chain("app.log");
    CHECK(look(chain, {seen("app.log", 1, 'a', 300, 10, true)}) == Steps{"app.log: 1 from 0"});
    CHECK(look(chain, {seen("app.log", 1, 'a', 300, 10, true),
                       seen("app.log.1", 2, 'a', 200, 11)}) == Steps{"app.log: 1 from 0"});
    CHECK(chain.claims({1, 2}));
    // Then it is.
    chain.lose(1, known(1, 1, 'a', 150).at);
    CHECK(
        look(chain, {seen("app.log", 1, 'b', 100, 12, true), seen("app.log.1", 2, 'a', 300, 11)}) ==
        Steps{"app.log.1: 1 from 150", "app.log: 2 from 0"});
}

TEST_CASE("chain: a file whose inode is truncated twice before the next look is known as it was") {
    Chain chain("app.log");
    CHECK(look(chain, {seen("app.log", 1, 'a', 300, 10, true)}) == Steps{"app.log: 1 from 0"});
    chain.lose(1, known(1, 1, 'a', 300).at);
    // It was empty for a moment.
    chain.lose(1, {"app.log", {1, 1}, 0, false, {}});
    chain.lose(1, known(1, 1, 'b', 20).at);
    CHECK(look(chain, {seen("app.log", 1, 'c', 100, 12, true),
                       seen("app.log.1", 2, 'a', 300, 11)}) == Steps{"app.log: 2 from 0"});
}

TEST_CASE("chain: a file that was let go is known when it comes back, and read on") {
    Chain chain("app.log");
    CHECK(look(chain, {seen("app.log", 1, 'a', 300, 10, true)}) == Steps{"app.log: 1 from 0"});
    chain.note(1, known(1, 1, 'a', 300).at, 10);
    chain.set_state(1, Chain::State::gone);
    CHECK(look(chain, {}).empty());
    CHECK(look(chain, {seen("app.log", 1, 'a', 350, 11, true)}) == Steps{"app.log: 1 from 300"});
}

TEST_CASE("chain: files are bounded; what is forgotten is old, not new") {
    Chain chain("app.log");
    std::vector<Sighting> all{seen("app.log", 1, 'a', 300, 1, true)};
    look(chain, all);
    for (unsigned i = 0; i < 300; ++i) {
        std::string own = "line " + std::to_string(i) + std::string(300, '.');
        all.push_back(seen("app.log." + std::to_string(i), 10 + i, 'b', 400, 10 + i));
        all.back().head = own.substr(0, Fingerprint::longest);
        look(chain, all);
        for (const Chain::File& file : chain.files())
            if (file.state == Chain::State::held) {
                auto number = file.at.file.number;
                chain.note(number, {"", file.at.at.id, 400, false, file.at.at.fingerprint}, 10 + i);
                chain.set_state(number, Chain::State::gone);
            }
    }
    CHECK(chain.files().size() <= Chain::most_files + 1);  // and the one that is open
    CHECK(chain.forgotten() > 0);
    CHECK(look(chain, all) == Steps{"app.log: 1 from 0"});
}
