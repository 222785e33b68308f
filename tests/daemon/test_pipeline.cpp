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
    Pipeline pipeline{engine,
                      dispatch,
                      sources,
                      {[this](const Event& event) {
                           if (const auto* made = std::get_if<Banned>(&event))
                               banned.push_back(to_string(made->ban.key.prefix));
                       },
                       [](const Question&) {}, [](const Report&) {}}};
    std::uint64_t offset = 0;  // how far the log was read

    Started(unsigned matchers, const std::string& grown, int maxretry = 1) {
        write_file(dir / "bandd.yaml", "matchers: " + std::to_string(matchers) + "\n");
        write_file(dir / "filters/app.yaml",
                   "description: test\nfailregex:\n  - {id: a, regex: '^attack from <HOST>$'}\n");
        write_file(dir / "jails/app.yaml",
                   "app: {filter: app, maxretry: " + std::to_string(maxretry) +
                       ", logpath: " + (dir / "log") + "}");
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
    // How many bytes of the log a turn took.
    std::uint64_t turn(bool& more) {
        more = pipeline.turn(at(0));
        auto changed = sources.take_changes(at(0)).logs;
        if (changed.empty()) return 0;
        return changed.back().at.offset - std::exchange(offset, changed.back().at.offset);
    }
    // Reads all that is there, at that time.
    void read_at(double seconds) {
        loop.again();
        loop.turn();
        for (int turns = 0; pipeline.turn(at(seconds)); ++turns) REQUIRE(turns < 1000);
    }
    void write(const std::string& time, int host) {
        append_file(dir / "log", "Nov 21 " + time + " gate app[1]: attack from 192.0.2." +
                                     std::to_string(host) + "\n");
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

TEST_CASE("who cannot keep up with a flood counts lines by when they were written") {
    Started daemon(1, "", 3);
    daemon.read_at(0);
    for (const char* time : {"10:00:01", "10:00:02"}) daemon.write(time, 1);
    std::string noise;
    while (noise.size() < 4 * mega) noise += std::string(200, 'x') + "\n";
    append_file(daemon.dir / "log", noise);
    daemon.write("10:00:03", 1);
    daemon.loop.again();
    daemon.loop.turn();
    int turns = 0;
    while (daemon.pipeline.turn(at(60.0 * turns))) ++turns;
    CHECK(turns > 12);  // longer than findtime
    CHECK(daemon.banned == std::vector<std::string>{"192.0.2.1"});
}
