// SPDX-License-Identifier: GPL-2.0-or-later
// Files are real; turns are counted, not timed.
#include "daemon/pipeline.h"

#include "config/load.h"
#include "support/common.h"

using namespace bandd;

namespace {

constexpr std::size_t mega = 1 << 20;
const std::string attack = "Nov 21 09:59:50 gate app[1]: attack from 192.0.2.";

// A start that finds a log of which the first line was read before, and which has `grown` since.
struct Started {
    TempDirectory dir;
    Loaded loaded;
    Engine engine;
    Dispatch dispatch{engine.bans(), {}};
    Loop loop = std::move(*Loop::create());
    Sources sources{loop, [](const Error& error) { FAIL(to_line(error)); }};
    std::vector<std::string> banned;
    Instant clock = at(0);  // as it is when lines are read
    Pipeline pipeline{engine,
                      dispatch,
                      sources,
                      {[this](const Event& event) {
                           if (const auto* made = std::get_if<Banned>(&event))
                               banned.push_back(to_string(made->ban.key.prefix));
                       },
                       [](const Question&) {}, [](const Report&) {}},
                      [this] { return clock; }};
    std::uint64_t offset = 0;  // how far the log was read

    Started(unsigned matchers, const std::string& grown, int maxretry = 1,
            const std::string& others = "") {
        write_file(dir / "bandd.yaml", "matchers: " + std::to_string(matchers) + "\n");
        write_file(dir / "filters/app.yaml",
                   "description: test\nfailregex:\n  - {id: a, regex: '^attack from <HOST>$'}\n");
        write_file(dir / "jails/app.yaml",
                   "app: {filter: app, maxretry: " + std::to_string(maxretry) + ", logpath: \"" +
                       (dir / "log") + others + "\"}");
        std::string first(300, '-');
        write_file(dir / "log", first + "\n");
        FilePosition read{{dir / "log", 1},
                          Tail::open(dir / "log", Encoding::utf8, 65536)->position()};
        read.at.offset = first.size() + 1;
        append_file(dir / "log", grown);

        loaded = load_config(dir.path(), {}, [](const std::string&) { return Zone{}; });
        for (const Error& error : loaded.errors) FAIL(to_line(error));
        std::vector<JailRules> rules;
        for (const JailConfig& jail : loaded.config.jails) rules.push_back(jail.rules);
        Outcome outcome;
        engine.set_rules(std::move(rules), at(0), outcome);
        Report report;
        std::vector<JailActions> no_actions;
        for (JailIndex jail : engine.jails())
            no_actions.push_back({jail, engine.rules(jail).name, {}});
        dispatch.set_targets(std::move(no_actions));
        dispatch.make_right(at(0), report);
        pipeline.configure(loaded.config, compile(loaded.config));
        REQUIRE(sources.start(loaded.config));
        SavedSources saved{{read}, {}};
        sources.configure(loaded.config, engine.jails(), saved, at(0));
        offset = read.at.offset;
    }
    // How many bytes were read in a turn, as the kernel says.
    std::uint64_t turn(bool& more) {
        auto read_so_far = [] {
            std::istringstream counts(read_file("/proc/self/io"));
            std::string name;
            std::uint64_t bytes = 0;
            counts >> name >> bytes;
            REQUIRE(name == "rchar:");
            return bytes;
        };
        std::uint64_t before = read_so_far();
        more = pipeline.turn(at(0));
        std::uint64_t taken = read_so_far() - before;
        for (const FilePosition& position : sources.take_changes(at(0)).logs)
            offset = position.at.offset;
        return taken;
    }
    // Reads all that is there, at that time.
    void read_at(double seconds) {
        do {
            loop.again();
            loop.turn();
            for (int turns = 0; pipeline.turn(at(seconds)); ++turns) REQUIRE(turns < 1000);
        } while (pipeline.wants_look());
    }
    void write(const std::string& time, int host, const std::string& log = "log") {
        append_file(dir / log, "Nov 21 " + time + " gate app[1]: attack from 192.0.2." +
                                   std::to_string(host) + "\n");
    }
    void write_noise() {
        std::string noise;
        while (noise.size() < 4 * mega) noise += std::string(200, 'x') + "\n";
        append_file(dir / "log", noise);
    }
    std::uint64_t too_old() const { return engine.counts(engine.jails()[0]).too_old; }
};

}  // namespace

TEST_CASE(
    "however large a backlog is, a turn takes a part of it, and what it bans comes in order") {
    std::string line_without_end(40 * mega, 'x');
    std::string lines;
    while (lines.size() < 40 * mega) lines += std::string(200, 'x') + "\n";
    for (unsigned matchers : {1U, 2U, 3U})
        for (const std::string& backlog : {lines, line_without_end}) {
            INFO(matchers << " matchers, " << (backlog.contains('\n') ? "many lines" : "one line"));
            Started daemon(matchers, attack + "1\n" + backlog + "\n" + attack + "2\n");
            bool more = true;
            for (int turns = 0; more; ++turns) {
                REQUIRE(turns < 1000);
                CHECK(daemon.turn(more) <= 9 * mega);
            }
            CHECK(daemon.offset == std::filesystem::file_size(daemon.dir / "log"));
            CHECK(daemon.banned == std::vector<std::string>{"192.0.2.1", "192.0.2.2"});
        }
}

TEST_CASE(
    "who slept for longer than findtime counts what was written meanwhile as it was written") {
    Started daemon(1, "", 3);
    daemon.read_at(0);
    for (const char* time : {"10:10:00", "10:10:01", "10:25:00"}) daemon.write(time, 1);
    for (const char* time : {"10:30:00", "10:34:00", "10:39:59"}) daemon.write(time, 2);
    daemon.read_at(3600);
    CHECK(daemon.banned == std::vector<std::string>{"192.0.2.2"});
    CHECK(daemon.too_old() == 0);
    // Awake again, what is as old was not written before.
    for (const char* time : {"10:30:00", "10:34:00", "10:39:59"}) daemon.write(time, 3);
    daemon.read_at(3600.5);
    CHECK(daemon.banned.size() == 1);
    CHECK(daemon.too_old() == 3);
}

TEST_CASE("who wakes by something else than the lines is late with them all the same") {
    Started daemon(1, "", 3);
    daemon.read_at(0);
    for (const char* time : {"10:30:00", "10:34:00", "10:39:59"}) daemon.write(time, 2);
    // The loop had asked the kernel before the lines were written, and stopped then.
    CHECK_FALSE(daemon.pipeline.turn(at(3600)));
    CHECK(daemon.pipeline.wants_look());
    daemon.read_at(3600.1);
    CHECK(daemon.banned == std::vector<std::string>{"192.0.2.2"});
    CHECK_FALSE(daemon.pipeline.wants_look());
}

TEST_CASE("who slept reads each log in a time of its own, also if a jail has several") {
    Started daemon(1, "", 3, "*");
    write_file(daemon.dir / "log-b", "Nov 21 09:00:00 gate app[1]: begun\n");
    daemon.read_at(0);
    for (const char* time : {"10:30:00", "10:34:00", "10:39:59"}) daemon.write(time, 2);
    for (const char* time : {"10:10:00", "10:11:00", "10:12:00"})
        append_file(daemon.dir / "log-b",
                    "Nov 21 " + std::string(time) + " gate app[1]: attack from 192.0.2.3\n");
    daemon.read_at(3600);
    std::ranges::sort(daemon.banned);
    CHECK(daemon.banned == std::vector<std::string>{"192.0.2.2", "192.0.2.3"});
    CHECK(daemon.too_old() == 0);
}

TEST_CASE(
    "who slept reads each file of a log in a time of its own: a writer is slow to reopen it") {
    Started daemon(1, "", 3);
    daemon.read_at(0);
    std::filesystem::rename(daemon.dir / "log", daemon.dir / "log.1");
    daemon.write("10:40:00", 1);
    daemon.write_noise();
    daemon.loop.again();
    daemon.loop.turn();
    for (int turns = 0; turns < 3; ++turns) REQUIRE(daemon.pipeline.turn(at(3600)));
    for (const char* time : {"10:10:00", "10:11:00", "10:12:00"}) daemon.write(time, 2, "log.1");
    daemon.read_at(3600);
    CHECK(daemon.banned == std::vector<std::string>{"192.0.2.2"});
    CHECK(daemon.too_old() == 0);
}

TEST_CASE("who is stopped within a turn counts what was written meanwhile as it was written") {
    Started daemon(1, "", 3);
    daemon.read_at(0);
    for (const char* time : {"10:20:00", "10:29:00", "10:31:00"}) daemon.write(time, 1);
    for (const char* time : {"10:30:00", "10:34:00", "10:39:59"}) daemon.write(time, 2);
    daemon.clock = at(3600);
    daemon.read_at(0.5);
    CHECK(daemon.banned == std::vector<std::string>{"192.0.2.2"});
    CHECK(daemon.too_old() == 0);
    for (const Ban& ban : daemon.engine.bans()) CHECK(ban.from == at(2399));
}

TEST_CASE("who slept knows of each line whether it was written during a ban that is over") {
    Started daemon(1, "", 3);
    daemon.read_at(0);
    for (const char* time : {"10:10:00", "10:10:01", "10:10:02"}) daemon.write(time, 1);
    daemon.write_noise();
    for (const char* time : {"10:18:00", "10:19:00", "10:20:00"}) daemon.write(time, 1);
    daemon.write_noise();
    for (const char* time : {"11:20:00", "11:20:01", "11:20:02"}) daemon.write(time, 1);
    daemon.read_at(7200);
    CHECK(daemon.banned == std::vector<std::string>{"192.0.2.1", "192.0.2.1"});
    CHECK(daemon.engine.counts(daemon.engine.jails()[0]).already_banned == 3);
}

TEST_CASE("who slept does not count what was old before") {
    Started daemon(1, "", 3);
    daemon.read_at(0);
    for (const char* time : {"09:40:00", "09:40:01", "09:40:02", "09:40:03"}) daemon.write(time, 1);
    daemon.read_at(3600);
    CHECK(daemon.banned.empty());
    CHECK(daemon.too_old() == 4);
    // The clock is set back by an hour.
    for (const char* time : {"10:00:10", "10:00:11", "10:00:12"}) daemon.write(time, 2);
    daemon.read_at(15);
    CHECK(daemon.banned == std::vector<std::string>{"192.0.2.2"});
}

TEST_CASE("a flood that bans is read in small shares, and nobody waits for more than one") {
    // On a log of its own: 20,000 lines, each of them a ban.
    std::string flood;
    for (int i = 0; i < 20'000; ++i)
        flood += "Nov 21 10:00:00 gate app[1]: attack from 10.0." + std::to_string(i / 256) + "." +
                 std::to_string(i % 256) + "\n";
    Started daemon(1, "");
    daemon.read_at(0);
    append_file(daemon.dir / "log", flood);
    daemon.loop.again();
    daemon.loop.turn();
    std::size_t most = 0;
    int turns = 0;
    for (bool more = true; more; ++turns) {
        REQUIRE(turns < 1000);
        std::size_t before = daemon.banned.size();
        more = daemon.pipeline.turn(at(1));
        most = std::max(most, daemon.banned.size() - before);
    }
    CHECK(daemon.banned.size() == 20'000);
    CHECK(most <= ReadShare::most_bans * 3 / 2);
    CHECK(turns < 40);
}

TEST_CASE("who cannot keep up with a flood counts lines by when they were written") {
    Started daemon(1, "", 3);
    daemon.read_at(0);
    for (const char* time : {"10:00:01", "10:00:02"}) daemon.write(time, 1);
    daemon.write_noise();
    daemon.write("10:00:03", 1);
    daemon.loop.again();
    daemon.loop.turn();
    int turns = 0;
    while (daemon.pipeline.turn(at(60.0 * turns))) ++turns;
    CHECK(turns > 12);  // longer than findtime
    CHECK(daemon.banned == std::vector<std::string>{"192.0.2.1"});
}
