// SPDX-License-Identifier: GPL-2.0-or-later
// Rotation in all its forms: each fault that was met, in the words of those who met it, and
// generated histories.
#include <cstdlib>

#include "source/rotation_history.h"

using namespace bandd;
namespace fs = std::filesystem;

namespace {

unsigned from_environment(const char* name, unsigned otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : static_cast<unsigned>(std::strtoul(text, nullptr, 10));
}

// A log with its reader, and lines that are long enough to tell files apart.
struct Rotating {
    TempDirectory dir;
    std::string log = dir / "app.log";
    unsigned written = 0;

    static std::string line(unsigned number) {
        return format_rfc3339(now()).substr(0, 10) + " line " + std::to_string(number) +
               std::string(40, '.');
    }
    std::vector<std::string> lines;
    void write(const std::string& path, unsigned count) {
        for (unsigned i = 0; i < count; ++i) {
            lines.push_back(line(written++));
            append_file(path, lines.back() + "\n");
        }
    }
    void copy_and_truncate(const std::string& copy, bool keep_time) const {
        fs::copy_file(log, copy);
        if (keep_time) fs::last_write_time(copy, fs::last_write_time(log));
        fs::resize_file(log, 0);
    }
    void check(const Reading& reading) const {
        for (const std::string& one : lines) {
            INFO(one);
            CHECK(reading.times(one) == 1);
        }
        CHECK(reading.counted().size() == lines.size());
    }
};

}  // namespace

TEST_CASE_METHOD(Rotating, "rotation: a log that was moved away and back is read on") {
    bool linked = GENERATE(false, true);
    bool long_away = GENERATE(false, true);
    bool killed = GENERATE(false, true);
    auto point_to = [&](const std::string& target) {
        fs::create_symlink(target, dir / "next");
        fs::rename(dir / "next", log);
    };
    if (linked) {
        write(dir / "a", 2);
        write_file(dir / "b", "");
        point_to("a");
    } else {
        write(log, 2);
    }
    Reading reading(log);
    reading.start();
    reading.turn();
    if (linked)
        point_to("b");
    else
        fs::rename(log, dir / "x");
    reading.turn();
    if (long_away) {
        reading.pass(std::chrono::seconds(61));
        reading.turn();
    }
    reading.checkpoint();
    if (killed) {
        reading.kill();
        reading.start();
        reading.turn();
    }
    if (linked)
        point_to("a");
    else
        fs::rename(dir / "x", log);
    reading.turn();
    reading.pass(std::chrono::seconds(61));
    reading.turn();
    CHECK_FALSE(reading.watch().waiting(0));
    write(log, 2);
    reading.turn();
    check(reading);
    reading.reload();
    reading.turn();
    check(reading);
}

TEST_CASE_METHOD(Rotating, "rotation: copytruncate while down, read, copytruncate again, kill -9") {
    write(log, 10);
    Reading reading(log);
    reading.start();
    reading.turn();
    reading.checkpoint();
    reading.kill();
    write(log, 10);
    copy_and_truncate(log + ".1", false);
    reading.start();
    reading.turn();
    write(log, 10);
    reading.turn();
    reading.checkpoint();
    fs::rename(log + ".1", log + ".2");
    copy_and_truncate(log + ".1", true);
    write(log, 1);
    bool looked = GENERATE(false, true);
    if (looked) reading.turn();
    reading.kill();
    reading.start();
    reading.turn();
    check(reading);
}

TEST_CASE_METHOD(Rotating, "rotation: a linked log whose target rotates while bandd is down") {
    std::string target = dir / "real/a.log";
    write(target, 2);
    fs::create_symlink("real/a.log", log);
    Reading reading(log);
    reading.start();
    reading.turn();
    reading.checkpoint();
    reading.kill();
    write(log, 2);
    fs::rename(target, target + ".1");
    write(target, 2);
    SECTION("once") {}
    SECTION("twice, the older one compressed") {
        fs::rename(target + ".1", target + ".2");
        must("gzip " + target + ".2");
        fs::rename(target, target + ".1");
        write(target, 1);
    }
    SECTION("and the link is switched") {
        write(dir / "real/b.log", 1);
        fs::remove(log);
        fs::create_symlink("real/b.log", log);
    }
    reading.start();
    reading.turn();
    check(reading);
}

TEST_CASE_METHOD(Rotating, "rotation: rotation and reload in one turn") {
    Reading reading(log, GENERATE(Start::findtime, Start::end, Start::beginning));
    write_file(log, "");
    reading.start();
    reading.turn();
    write(log, 3);
    bool copied = GENERATE(false, true);
    if (copied)
        copy_and_truncate(log + ".1", false);
    else
        fs::rename(log, log + ".1");
    write(log, 12);
    reading.reload();
    reading.turn();
    check(reading);
}

TEST_CASE_METHOD(Rotating, "rotation: a log that was empty at its only checkpoint") {
    write_file(log, "");
    Reading reading(log);
    reading.start();
    reading.turn();
    reading.checkpoint();
    for (int rotations = 0; rotations < 6; ++rotations) {
        reading.kill();
        write(log, 3);
        if (rotations % 2 == 1) {
            reading.start();
            reading.turn();
            write(log, 3);
            reading.turn();
            reading.kill();
        }
        for (int old = 8; old > 0; --old) {
            std::string from = log + "." + std::to_string(old);
            std::string to = log + "." + std::to_string(old + 1);
            if (fs::exists(from + ".gz")) fs::rename(from + ".gz", to + ".gz");
        }
        // Its inode is the next log's, as likely as not.
        fs::rename(log, log + ".1");
        must("gzip " + log + ".1");
        write_file(log, "");
        reading.start();
    }
    write(log, 1);
    reading.turn();
    check(reading);
}

TEST_CASE_METHOD(Rotating,
                 "rotation: what was written to an empty log is read before what came after it") {
    write_file(log, "");
    Reading reading(log);
    reading.start();
    reading.turn();
    write(log, 2);
    fs::rename(log, log + ".1");
    write(log, 2);
    reading.look();
    reading.checkpoint();
    reading.kill();
    write(log, 2);
    reading.start();
    reading.turn();
    check(reading);
    CHECK(reading.read() == lines);
}

TEST_CASE("rotation: an empty log is filled, copied and filled again whenever it is looked at") {
    bool checkpoint = GENERATE(false, true);  // while what is to be written is taken, or in a turn
    bool killed = GENERATE(false, true);
    bool emptied = GENERATE(false, true);  // it is not the first time
    bool interrupted = true;
    for (unsigned moment = 0; interrupted; ++moment) {
        Rotating rotating;
        write_file(rotating.log, "");
        Reading reading(rotating.log);
        reading.start();
        reading.turn();
        if (emptied) {
            rotating.write(rotating.log, 1);
            rotating.copy_and_truncate(rotating.log + ".2", true);
        }
        unsigned calls = 0;
        before_each_look([&] {
            if (calls++ != moment) return;
            rotating.write(rotating.log, 2);
            rotating.copy_and_truncate(rotating.log + ".1", true);
            rotating.write(rotating.log, 3);
        });
        if (checkpoint)
            reading.checkpoint();
        else
            reading.turn();
        before_each_look({});
        interrupted = calls > moment;
        if (!interrupted) break;
        INFO("call " << moment);
        if (!checkpoint) reading.checkpoint();
        std::vector<std::string> before = reading.read();
        if (killed) {
            reading.kill();
            reading.start();
        } else {
            before.clear();
        }
        reading.turn();
        rotating.check(reading);
        std::vector<std::string> read = std::move(before);
        read.insert(read.end(), reading.read().begin(), reading.read().end());
        CHECK(read == rotating.lines);
    }
}

TEST_CASE_METHOD(Rotating, "rotation: power was lost, and a log with it that was read already") {
    bool within_a_line = GENERATE(false, true);
    bool written_to = GENERATE(false, true);  // since then, before bandd starts
    bool rotated = GENERATE(false, true);
    auto say = [&](Instant time, unsigned count) {
        for (unsigned i = 0; i < count; ++i) {
            lines.push_back(format_rfc3339(time) + " line " + std::to_string(written++));
            append_file(log, lines.back() + "\n");
        }
    };
    say(now() - std::chrono::seconds(1), 60);
    Reading reading(log);
    reading.start();
    reading.turn();
    reading.checkpoint();
    reading.kill();
    std::uint64_t line = lines.back().size() + 1;
    fs::resize_file(log, fs::file_size(log) - 3 * line + (within_a_line ? 10 : 0));
    Instant after = now() + std::chrono::seconds(60);  // the machine was booted meanwhile
    if (written_to) say(after, 2);
    if (rotated) {
        fs::rename(log, log + ".1");
        say(after, 2);
    }
    reading.start();
    reading.turn();
    say(after, 2);
    reading.turn();
    // What was counted stays so. What is written behind a part of a line is no line.
    std::size_t behind = within_a_line && (written_to || !rotated) ? 60 : SIZE_MAX;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        INFO("line " << i);
        CHECK(reading.times(lines[i]) == (i == behind ? 0 : 1));
    }
}

TEST_CASE_METHOD(Rotating, "rotation: a log that did not exist when bandd was killed") {
    Reading reading(log, Start::end);
    reading.start();
    reading.turn();
    reading.checkpoint();
    reading.kill();
    write(log, 2);
    fs::rename(log, log + ".1");
    write(log, 2);
    reading.start();
    reading.turn();
    check(reading);
}

TEST_CASE_METHOD(Rotating, "rotation: logs with a long head in common are told apart") {
    std::string head = std::string(300, '#') + "\n";
    write_file(log, head);
    write(log, 2);
    Reading reading(log);
    reading.start();
    reading.turn();
    fs::rename(log, log + ".2");
    write_file(log + ".1", head);
    write(log + ".1", 2);
    write_file(log, head);
    write(log, 3);
    reading.turn();
    for (const std::string& one : lines) CHECK(reading.times(one) == 1);
    CHECK(reading.times(head.substr(0, 300)) == 3);
}

TEST_CASE_METHOD(Rotating, "rotation: a container that begins with the same words at each start") {
    bool same_inode = GENERATE(false, true);
    auto docker = [](const std::string& text, int second) {
        return R"({"log":")" + text + R"(\n","stream":"stdout","time":"2026-11-30T10:00:0)" +
               std::to_string(second) + R"(.123456789Z"})";
    };
    std::string greeting(400, '#');
    write_file(log, docker(greeting, 1) + "\n" + docker("line 1", 1) + "\n");
    Reading reading(log);
    reading.start();
    reading.turn();
    reading.checkpoint();
    reading.kill();
    if (!same_inode) fs::remove(log);
    write_file(
        log, docker(greeting, 7) + "\n" + docker("line 2", 7) + "\n" + docker("line 3", 7) + "\n");
    reading.start();
    reading.turn();
    CHECK(reading.times(docker("line 1", 1)) == 1);
    CHECK(reading.times(docker("line 2", 7)) == 1);
    CHECK(reading.times(docker("line 3", 7)) == 1);
}

namespace {

struct Totals {
    std::size_t histories = 0, lines = 0, kills = 0, differences = 0, wrong = 0;

    void add(const History& history, const std::string& name) {
        auto found = history.differences();
        ++histories;
        lines += history.lines();
        kills += history.kills;
        differences += found.size();
        if (found.empty()) return;
        // The first ones are told.
        if (++wrong > 3) return;
        std::string told;
        for (const std::string& step : history.told) told += "\n    " + step;
        FAIL_CHECK(name << ": " << found.size() << " differences; the first: " << found.front()
                        << told);
    }
    void say(const char* what) const {
        std::printf("%s: %zu histories, %zu lines, %zu kills, %zu differences in %zu histories\n",
                    what, histories, lines, kills, differences, wrong);
    }
};

}  // namespace

// More of them: tests/nightly/rotation.
TEST_CASE("rotation: generated histories: each line is counted once") {
    Totals totals;
    unsigned first = from_environment("ROTATION_SEED", 1);
    unsigned histories = from_environment("ROTATION_HISTORIES", 100);
    for (unsigned seed = first; seed < first + histories; ++seed) {
        History history(seed);
        history.run(40);
        totals.add(history, "seed " + std::to_string(seed));
    }
    totals.say("rotation");
    CHECK(totals.differences == 0);
}

TEST_CASE("rotation: histories that go on while they are looked at: each line is counted once") {
    Totals totals;
    unsigned first = from_environment("ROTATION_SEED", 1);
    unsigned histories = from_environment("ROTATION_HISTORIES", 100);
    for (unsigned seed = first; seed < first + histories; ++seed) {
        History history(seed, {}, true);
        history.run(40);
        totals.add(history, "seed " + std::to_string(seed));
    }
    totals.say("rotation, raced");
    CHECK(totals.differences == 0);
}

TEST_CASE("rotation: one history, killed, away or told to reload at each of its steps") {
    constexpr unsigned steps = 12;
    Totals totals;
    unsigned first = from_environment("ROTATION_SEED", 1);
    unsigned worlds = from_environment("ROTATION_WORLDS", 4);
    for (unsigned seed = first; seed < first + worlds; ++seed)
        for (unsigned step = 0; step < steps; ++step)
            for (unsigned kind = 0; kind < History::Disturbance::kinds; ++kind) {
                History history(seed, History::Disturbance{step, kind});
                history.run(steps);
                totals.add(history, "seed " + std::to_string(seed) + ", step " +
                                        std::to_string(step) + ", kind " + std::to_string(kind));
            }
    totals.say("rotation, at each step");
    CHECK(totals.differences == 0);
}

// l1.log, l10.log: by its name the second may be what rotation made of the first.
TEST_CASE("rotation: a first look at many logs of one directory does not look at all for each") {
    constexpr unsigned logs = 300;
    constexpr unsigned files = 3;        // of each
    constexpr unsigned most_calls = 60;  // for each file
    TempDirectory dir;
    for (unsigned log = 0; log < logs; ++log)
        for (const char* ending : {"", ".1", ".2"})
            write_file(dir / ("l" + std::to_string(log) + ".log" + ending),
                       Rotating::line(log) + ending + "\n");
    Reading reading(dir / "*.log");
    std::size_t calls = 0;
    before_each_look([&] { ++calls; });
    reading.start();
    before_each_look({});
    reading.turn();
    CHECK(calls < logs * files * most_calls);
    for (const auto& [line, times] : reading.counted()) {
        INFO(line);
        CHECK((times == 1 && line.ends_with("....")));
    }
    CHECK(reading.counted().size() == logs);
}

TEST_CASE("files of one time are read by their numbers, whenever a rotation comes between") {
    bool interrupted = true;
    for (unsigned moment = 0; interrupted; ++moment) {
        TempDirectory dir;
        std::string log = dir / "app.log";
        write_file(log, "first\n");
        Reading reading(log);
        reading.start();
        reading.turn();
        reading.checkpoint();
        reading.kill();
        const auto time = std::filesystem::last_write_time(log);
        for (const char* name : {".9", ".10"}) {  // as one tick of the clock gives
            write_file(log + name, std::string(name == std::string(".10") ? "second" : "third") +
                                       std::string(300, '.') + "\n");
            std::filesystem::last_write_time(log + name, time + std::chrono::seconds(1));
        }
        unsigned calls = 0;
        before_each_look([&] {
            if (calls++ != moment) return;
            for (int from : {10, 11, 9, 10})
                std::filesystem::rename(log + "." + std::to_string(from),
                                        log + "." + std::to_string(from + 1));
        });
        reading.start();
        reading.turn();
        before_each_look({});
        interrupted = calls > moment;
        INFO("call " << moment);
        REQUIRE(reading.read().size() == 2);
        CHECK(reading.read()[0].starts_with("second"));
        CHECK(reading.read()[1].starts_with("third"));
    }
}
