// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/log_clock.h"

#include <cmath>
#include <optional>
#include <random>
#include <vector>

#include "support/common.h"

using namespace bandd;
using namespace std::chrono_literals;

namespace {

// Lines that a log got just now, by the seconds that their dates are behind.
struct Watched {
    LogClock clock;
    double now = 0;
    bool line(double behind, double later = 5) {
        now += later;
        return clock.observe(at(now - behind), at(now));
    }
    void lines(double behind, int count) {
        for (int i = 0; i < count; ++i) line(behind);
    }
};

// What the clock should say, by what happened since the beginning: a row is the longest end of the
// list in which all lines are off alike, and none is less than a second after the one counted
// before.
class Oracle {
  public:
    Duration offset{0};

    void observe(Instant written, Instant now) {
        seen_.push_back({off(written, now), now, now.us - written.us});
        std::optional<std::int64_t> off = seen_.back().off;
        if (!off || *off * 60'000'000 == offset.count()) return;
        std::size_t first = seen_.size();
        while (first > 0 && seen_[first - 1].off == off &&
               (first == seen_.size() || seen_[first - 1].now <= seen_[first].now))
            --first;
        // Nearer by more than two seconds: another row, if it is not the clock's time.
        auto nearer = [&](std::size_t i, std::size_t than) {
            return *off != 0 && seen_[i].behind < seen_[than].behind - 2'000'000;
        };
        auto late = [&](std::size_t i) {
            return *off != 0 && seen_[i].behind > seen_[first].behind + 2'000'000;
        };
        for (std::size_t i = first; i < seen_.size(); ++i)
            if (nearer(i, first)) first = i;
        int counted = 1;
        Instant last = seen_[first].now;
        for (std::size_t i = first; i < seen_.size(); ++i)
            if (!late(i) && seen_[i].now - last >= 1s) {
                last = seen_[i].now;
                ++counted;
            }
        // Only a line that counts ends a row.
        bool counts = last == now && seen_.size() - first > 1 && !late(seen_.size() - 1);
        if (counts && (*off == 0 ? counted >= 3 : counted >= 5 && now - seen_[first].now >= 20s)) {
            offset = std::chrono::minutes(*off);
            seen_.clear();
        }
    }

  private:
    struct Seen {
        std::optional<std::int64_t> off;  // minutes
        Instant now;
        std::int64_t behind;
    };
    // All there are, tried one by one.
    static std::optional<std::int64_t> off(Instant written, Instant now) {
        for (std::int64_t minutes = -26 * 60; minutes <= 26 * 60; minutes += 15) {
            if (minutes == 15 || minutes == -15) continue;
            double behind =
                static_cast<double>(now.us - written.us) / 60e6 - static_cast<double>(minutes);
            if (behind >= -1 && behind <= 2) return minutes;
        }
        return {};
    }
    std::vector<Seen> seen_;
};

}  // namespace

TEST_CASE(
    "log clock: five lines in a row that are off alike, over twenty seconds, tell the offset") {
    for (double hours : {1.0, 2.0, -1.0, 5.5, 5.75, -11.0, 13.0, 0.5, -0.5, 26.0}) {
        CAPTURE(hours);
        Watched log;
        // A second is what their dates are exact to.
        for (int i = 0; i < 4; ++i) CHECK_FALSE(log.line(hours * 3600 + 0.9 * (i % 2)));
        CHECK(log.clock.offset() == 0s);
        CHECK(log.line(hours * 3600));
        CHECK(log.clock.offset() == std::chrono::seconds(static_cast<int>(hours * 3600)));
    }
}

TEST_CASE("log clock: lines that are written late, between those that are not, do no harm") {
    Watched log;
    for (double late : {0.0, 40.0, 0.5, 3.0, 0.9, 100.0, 0.2}) CHECK_FALSE(log.line(3600 + late));
    CHECK(log.line(3600));
    CHECK(log.clock.offset() == 1h);
}

TEST_CASE("log clock: what is no zone's difference, or not steady, is not learned") {
    Watched log;
    SECTION("a quarter of an hour; ten minutes; more than any two zones differ by") {
        for (double behind : {900.0, -900.0, 600.0, 2400.0, 26.5 * 3600, 1e9, -1e9})
            log.lines(behind, 20);
    }
    SECTION("a line that agrees, or is off otherwise, in between") {
        for (int i = 0; i < 20; ++i) {
            log.lines(3600, 4);
            log.line(i % 2 == 0 ? 0 : 7200);
        }
    }
    SECTION("a burst: it may be a queue that is written down late") {
        for (int i = 0; i < 1000; ++i) log.line(3600, 0.001);
    }
    SECTION("a queue of two hours that is written down within minutes") {
        for (double behind = 7200; behind > 0; behind -= 40) log.line(behind, 1.5);
    }
    SECTION("a queue that is written down faster than it came, however slowly it catches up") {
        for (double speed : {1.15, 1.2, 1.35, 1.5, 2.0, 3.0, 12.0})
            for (double between : {0.7, 2.0, 5.0, 11.0})
                for (double behind = 9000; behind > 0; behind -= between * (speed - 1))
                    // Dates are in seconds.
                    log.line(log.now - std::floor(log.now - behind), between);
        log.lines(0, 3);
    }
    SECTION("requests that took long, dated by their beginning") {
        std::mt19937 random(1);
        for (int i = 0; i < 1000; ++i) log.line(random() % 7200, 2);
        // By chance some were alike, but not for long.
        log.lines(0, 3);
    }
    CHECK(log.clock.offset() == 0s);
}

TEST_CASE("log clock: an offset is dropped when lines agree again, and changes to another one") {
    Watched log;
    log.lines(7200, 5);
    REQUIRE(log.clock.offset() == 2h);
    SECTION("summer time ends where the log is written: by an hour less") {
        log.lines(3600, 5);
        CHECK(log.clock.offset() == 1h);
    }
    SECTION("the writer was set right") {
        log.lines(0, 2);
        CHECK(log.clock.offset() == 2h);
        CHECK(log.line(0));
        CHECK(log.clock.offset() == 0s);
        CHECK(log.clock.is_idle());
    }
    SECTION("an odd one now and then changes nothing") {
        for (int i = 0; i < 10; ++i) {
            log.lines(7200, 2);
            log.line(0);
            log.line(600);
            log.line(0);
        }
        CHECK(log.clock.offset() == 2h);
    }
    SECTION("our own clock is set back: what was seen before does not count") {
        log.lines(3600, 4);
        log.now -= 100'000;
        log.lines(3600, 4);
        CHECK(log.clock.offset() == 2h);
    }
}

TEST_CASE(
    "log clock: dates are corrected, but for those that agree, and none is put into the future") {
    LogClock clock;
    CHECK(clock.correct(at(-3600), at(0), true) == at(-3600));
    clock.set(1h);
    CHECK(clock.correct(at(-3600), at(0), true) == at(0));
    CHECK(clock.correct(at(-3601), at(0), true) == at(-1));
    CHECK(clock.correct(at(-3601), at(9999), false) == at(-1));
    // Another writer, or the first one was set right.
    CHECK(clock.correct(at(-1), at(0), true) == at(-1));
    CHECK(clock.correct(at(-1), at(0), false) == at(-1));
    CHECK(clock.correct(at(-600), at(0), false) == at(-600));
    clock.set(-1h);
    CHECK(clock.correct(at(3600), at(0), true) == at(0));
    CHECK(clock.correct(at(3600), at(9999), false) == at(0));
    CHECK(clock.correct(at(-1), at(0), true) == at(-1));
    // What no zone differs by was not learned, but written into the state by somebody.
    for (Duration wrong : {Duration(15min), Duration(-15min), Duration(1h + 1us), Duration(27h)}) {
        clock.set(wrong);
        CHECK(clock.offset() == 0s);
    }
    CHECK(behind_or_ahead(1h) == "1h behind");
    CHECK(behind_or_ahead(-90min) == "1h 30m ahead of");
}

TEST_CASE("log clock: generated logs decide as an oracle that keeps all lines") {
    std::mt19937_64 random(20261130);
    auto pick = [&](std::int64_t most) {
        return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(most));
    };
    int learned = 0;
    int dropped = 0;
    for (int log = 0; log < 400; ++log) {
        LogClock clock;
        Oracle oracle;
        Instant now = at(0);
        std::int64_t off = 0;
        for (int line = 0; line < 400; ++line) {
            now = now + Duration(pick(5) == 0 ? pick(100'000) : pick(6'000'000));
            if (pick(200) == 0) now = now - 5s;
            if (pick(30) == 0) off = pick(3) == 0 ? 0 : (pick(220) - 110) * 15 * 60'000'000;
            Instant written = now - Duration(off) - Duration(pick(2'000'000) - 500'000);
            switch (pick(40)) {
                case 0:  // hostile, or of nobody's clock
                    written = Instant{static_cast<std::int64_t>(random())};
                    break;
                case 1:
                    written = now - Duration(pick(200'000'000'000) - 100'000'000'000);
                    break;
                case 2:  // late
                    written = written - Duration(pick(400'000'000));
                    break;
                default:
                    break;
            }
            Duration before = clock.offset();
            bool changed = clock.observe(written, now);
            oracle.observe(written, now);
            bool as_oracle = clock.offset() == oracle.offset;
            bool told = changed == (clock.offset() != before);
            if (changed) ++(clock.offset() == 0s ? dropped : learned);
            // Whatever was learned, by whomever: honest lines mean what they say.
            Instant honest = now - Duration(pick(60'000'000));
            bool believed = clock.correct(honest, now, true) == honest;
            [[maybe_unused]] Instant of_anybody =
                clock.correct(Instant{static_cast<std::int64_t>(random())}, now, false);
            if (as_oracle && told && believed) continue;
            FAIL("log " << log << ", line " << line << ": " << as_oracle << told << believed);
        }
    }
    // The test tests something.
    CHECK(learned > 500);
    CHECK(dropped > 100);
}

TEST_CASE("log clock: what was decided live is decided alike from a backlog, at any later time") {
    std::mt19937_64 random(1);
    for (int i = 0; i < 100'000; ++i) {
        LogClock clock;
        auto steps = static_cast<std::int64_t>(2 + random() % 103);
        clock.set((random() % 2 == 0 ? 1 : -1) * steps * LogClock::step);
        // Written up to half a minute ago, while the log is as it was when that was learned.
        Instant meant = at(0) - Duration(random() % 30'000'000);
        Instant written = meant - clock.offset();
        Instant later = at(0) + Duration(random() % 1'000'000'000'000);
        if (clock.correct(written, at(0), true) != meant ||
            clock.correct(written, later, false) != meant)
            FAIL("offset " << clock.offset().count() << ", written " << written.us);
    }
}
