// SPDX-License-Identifier: GPL-2.0-or-later
// Logs whose dates are off by a time zone. Files are real, their times and the clock are not.
#include <fcntl.h>
#include <sys/stat.h>

#include <map>

#include "config/load.h"
#include "daemon/checkpointer.h"
#include "daemon/overrides.h"
#include "daemon/pipeline.h"
#include "os/clock.h"
#include "os/log.h"
#include "store/store.h"
#include "support/common.h"

using namespace bandd;
using namespace std::chrono_literals;

namespace {

constexpr double hour = 3600;

// What a checkpoint has.
struct Kept {
    std::map<FileNumber, FilePosition> logs;
    std::map<std::string, WindowChange> windows;
    std::vector<Ban> bans;
    std::optional<Instant> read_until;
};

// From a start to a kill.
struct Life {
    Loaded loaded;
    Engine engine;
    Dispatch dispatch{engine.bans(), {}};
    Loop loop = std::move(*Loop::create());
    Sources sources{loop, [](const Error& error) { FAIL(to_line(error)); }};
    std::vector<std::string> banned;
    std::vector<Duration> offsets;  // as they were told
    Pipeline pipeline{engine,
                      dispatch,
                      sources,
                      {[this](const Event& event) {
                           if (const auto* made = std::get_if<Banned>(&event))
                               banned.push_back(to_string(made->ban.key.prefix));
                       },
                       [](const Question&) {}, [](const Report&) {},
                       [this](const Lines& lines) { offsets.push_back(lines.clock->offset()); }},
                      [] { return Instant{INT64_MIN}; }};  // turns are told the time

    Life(const std::string& directory, const Kept& kept, Zone zone, Instant now) {
        configure(directory, zone);
        std::vector<JailRules> rules;
        for (const JailConfig& jail : loaded.config.jails) rules.push_back(jail.rules);
        Outcome outcome;
        engine.set_rules(std::move(rules), now, outcome);
        for (const auto& [key, window] : kept.windows) engine.restore_window(window);
        for (const Ban& ban : kept.bans) engine.restore_ban(ban);
        Report report;
        dispatch.set_targets({{engine.jails()[0], "app", {}}});
        dispatch.make_right(now, report);
        pipeline.configure(loaded.config, compile(loaded.config));
        if (kept.read_until) pipeline.resume(*kept.read_until);
        REQUIRE(sources.start(loaded.config));
        SavedSources saved;
        for (const auto& [file, position] : kept.logs) saved.logs.push_back(position);
        sources.configure(loaded.config, engine.jails(), saved, now);
    }
    void configure(const std::string& directory, const Zone& zone) {
        loaded = load_config(directory, {}, [zone](const std::string&) { return zone; });
        for (const Error& error : loaded.errors) FAIL(to_line(error));
        std::erase_if(loaded.config.jails,
                      [](const JailConfig& jail) { return jail.rules.name != "app"; });
    }
    // As after a reload.
    void reload(const std::string& directory, const Zone& zone, Instant now) {
        configure(directory, zone);
        pipeline.configure(loaded.config, compile(loaded.config));
        sources.configure(loaded.config, engine.jails(), {}, now);
    }
    Duration offset() const {
        return sources.files().watch().readers().front().chain->clock().offset();
    }
    std::uint64_t too_old() const { return engine.counts(engine.jails()[0]).too_old; }
};

struct World {
    TempDirectory dir;
    std::string log = dir / "app.log";
    Kept kept;
    Zone zone;
    std::unique_ptr<Life> life;

    World() {
        write_file(dir / "bandd.yaml", "");
        write_file(dir / "filters/app.yaml",
                   "description: test\nfailregex:\n  - {id: a, regex: '^attack from <HOST>$'}\n");
        write_file(
            dir / "jails/app.yaml",
            "app: {filter: app, maxretry: 3, findtime: 10m, bantime: 2h, logpath: " + log + "}");
        write_file(log, "");
    }
    void start(double now) {
        life = std::make_unique<Life>(dir.path(), kept, zone, at(now));
        read(now);
    }
    void read(double now) const {
        life->loop.again();
        life->loop.turn();
        for (int turns = 0; life->pipeline.turn(at(now)); ++turns) REQUIRE(turns < 1000);
    }
    // A line of this time, dated so much earlier.
    void write(double time, double behind, const std::string& message = "nothing") const {
        write_in(Zone{}, time, behind, message);
    }
    // The same by the clock of another zone.
    void write_in(const Zone& writers, double time, double behind,
                  const std::string& message) const {
        std::string stamp = format_local(at(time - behind), writers).substr(0, 19);
        stamp[10] = 'T';  // as rsyslog has it
        append_file(log, stamp + " gate app[1]: " + message + "\n");
        timespec when{at(time).seconds(), 0};
        timespec both[] = {when, when};
        REQUIRE(utimensat(AT_FDCWD, log.c_str(), both, 0) == 0);
    }
    void attack(double time, double behind, int host, int times = 1) const {
        for (int i = 0; i < times; ++i)
            write(time + i, behind, "attack from 192.0.2." + std::to_string(host));
    }
    // Lines that are read when they are written, one every 5 s.
    double watch(double now, double behind, int count) const {
        for (int i = 0; i < count; ++i) {
            now += 5;
            write(now, behind);
            read(now);
        }
        return now;
    }
    void checkpoint(double now) {
        SourceChanges changes = life->sources.take_changes(at(now));
        for (FilePosition& position : changes.logs) kept.logs[position.file] = position;
        for (const FileNumber& gone : changes.gone) kept.logs.erase(gone);
        kept.read_until = life->pipeline.read_until();
        Changes decided = life->engine.take_changes();
        for (WindowChange& window : decided.windows)
            kept.windows[to_string(window.key.prefix)] = window;
        std::erase_if(kept.windows, [](const auto& entry) { return entry.second.times.empty(); });
        kept.bans.insert(kept.bans.end(), decided.bans.begin(), decided.bans.end());
    }
    // kill -9, and a start.
    void kill(double now) {
        life.reset();
        start(now);
    }
};

using Hosts = std::vector<std::string>;

}  // namespace

TEST_CASE("clocks: a log that is dated an hour off bans once that is seen, and it is said once") {
    for (double behind : {hour, -hour, 5.5 * hour}) {
        CAPTURE(behind);
        World world;
        world.start(0);
        double now = world.watch(0, behind, 1);  // the first read of the file is no evidence
        now = world.watch(now, behind, 4);
        CHECK(world.life->offsets.empty());
        now = world.watch(now, behind, 1);
        auto offset = std::chrono::seconds(static_cast<int>(behind));
        REQUIRE(world.life->offsets == std::vector<Duration>{offset});
        world.attack(now + 1, behind, 1, 3);
        world.read(now + 4);
        CHECK(world.life->banned == Hosts{"192.0.2.1"});
        const Ban& ban = *world.life->engine.bans().begin();
        CHECK(ban.from == at(now + 3));
        // Old all the same.
        world.attack(now - 660, behind, 2, 3);
        world.read(now + 5);
        CHECK(world.life->banned.size() == 1);
        CHECK(world.life->too_old() >= 3);
        now = world.watch(now + 6, behind, 50);
        CHECK(world.life->offsets.size() == 1);
        // It is set right: that is seen, too, and what comes meanwhile counts.
        world.attack(now + 1, 0, 3, 3);
        world.read(now + 4);
        CHECK(world.life->banned == Hosts{"192.0.2.1", "192.0.2.3"});
        world.watch(now + 5, 0, 3);
        CHECK(world.life->offsets == std::vector<Duration>{offset, 0s});
        CHECK(world.life->offset() == 0s);
    }
}

TEST_CASE(
    "clocks: what a log is off by is on the disk before it is said, also while another write is "
    "under way") {
    World world;
    world.start(0);
    double time = world.watch(0, hour, 6);
    REQUIRE(world.life->offset() == 1h);
    Life& life = *world.life;
    Log log;
    Overrides overrides;
    std::string warning;
    std::string file = world.dir / "state.db";
    auto opened = Store::open(file, warning);
    REQUIRE(opened);
    auto made = Checkpointer::start(
        {life.loaded.config, log, life.loop, life.engine, life.pipeline, life.sources, overrides},
        std::make_unique<Store>(std::move(*opened)), false, [] {});
    REQUIRE(made);
    Checkpointer& checkpointer = **made;
    auto known = [&] {
        Duration offset{0};
        auto state = Store::open_to_read(file);
        if (!state) return offset;
        Restore restore;
        restore.expect = [](std::size_t) {};
        restore.ban = [](Ban) {};
        restore.window = [](const WindowChange&) {};
        restore.offences = [](const BanKey&, const Offences&) {};
        restore.account = [](AccountChange) {};
        restore.counts = [](JailIndex, const JailCounts&) {};
        restore.note = [](std::string_view, std::string_view) {};
        restore.position = [&](const FilePosition& position) {
            if (position.clock != 0) offset = Duration{position.clock};
        };
        REQUIRE(state->load(life.engine.jail_names(), restore));
        return offset;
    };
    bool busy = GENERATE(false, true);
    if (busy) {
        life.engine.take_changes();
        checkpointer.write_soon();
        checkpointer.on_turn(now());
        // It is learned anew, after that checkpoint.
        life.sources.files().watch().readers().front().chain->clock().set(2h);
        world.write(time + 1, 2 * hour);
    }
    Instant begun = now();
    bool said = false;
    checkpointer.when_written(begun, [&](const std::optional<Error>&) {
        said = true;
        CHECK(known() == (busy ? 2h : 1h));
    });
    for (int turns = 0; !said && turns < 1000; ++turns) {
        checkpointer.on_turn(now());
        life.loop.set_deadline(now() + 10ms);
        life.loop.turn();
    }
    CHECK(said);
    CHECK(now() - begun < life.loaded.config.checkpoint);
}

TEST_CASE("clocks: lines that were there before us are old, and not off") {
    World world;
    for (int i = 0; i < 100; ++i) world.attack(i * 3, hour, 1);
    world.start(300);
    CHECK(world.life->banned.empty());
    CHECK(world.life->offset() == 0s);
    SECTION("and those that were written while we were away") {
        world.checkpoint(300);
        world.life.reset();
        for (int i = 0; i < 100; ++i) world.attack(300 + i * 3, 0, 1);
        world.start(300 + hour);
        CHECK(world.life->banned == Hosts{"192.0.2.1"});
        CHECK(world.life->offset() == 0s);
    }
    SECTION("and a file that takes the log's place") {
        world.watch(300, 0, 3);
        std::filesystem::rename(world.log, world.dir / "app.log.1");
        for (int i = 0; i < 100; ++i) world.attack(i * 3, hour, 2);
        world.read(600);
        CHECK(world.life->banned.empty());
        CHECK(world.life->offset() == 0s);
    }
}

TEST_CASE("clocks: the offset outlives kill -9, rotation, and a backlog is decided by it") {
    World world;
    world.start(0);
    double now = world.watch(0, hour, 6);
    REQUIRE(world.life->offset() == 1h);
    world.attack(now + 1, hour, 1, 2);
    world.read(now + 3);
    world.checkpoint(now + 3);
    SECTION("killed at once: the third attack was written meanwhile") {
        world.life.reset();
        world.attack(now + 100, hour, 1);
        world.attack(now + 100, hour, 2, 2);
        world.attack(now - hour, hour, 3, 5);  // an old line, however it came there
        world.start(now + 5000);
        CHECK(world.life->banned == Hosts{"192.0.2.1"});
        CHECK((*world.life->engine.bans().begin()).from == at(now + 100));
        CHECK(world.life->offset() == 1h);
        CHECK(world.life->offsets.empty());  // said already
        // It goes on as before.
        world.attack(now + 5001, hour, 4, 3);
        world.read(now + 5004);
        CHECK(world.life->banned == Hosts{"192.0.2.1", "192.0.2.4"});
    }
    SECTION("killed a second time in the middle of the backlog") {
        world.life.reset();
        world.attack(now + 100, hour, 1);
        world.start(now + 5000);
        world.attack(now + 5001, hour, 1);
        world.kill(now + 5002);  // the checkpoint is the old one
        CHECK(world.life->banned == Hosts{"192.0.2.1"});
        CHECK((*world.life->engine.bans().begin()).from == at(now + 100));
    }
    SECTION("rotated, awake and away") {
        std::filesystem::rename(world.log, world.dir / "app.log.1");
        world.attack(now + 4, hour, 1);
        world.read(now + 4);
        CHECK(world.life->banned == Hosts{"192.0.2.1"});
        CHECK(world.life->offset() == 1h);
        world.checkpoint(now + 5);
        world.life.reset();
        world.attack(now + 6, hour, 2, 2);
        std::filesystem::rename(world.log, world.dir / "app.log.1");
        world.attack(now + 8, hour, 2);
        world.start(now + 3000);
        CHECK(world.life->banned == Hosts{"192.0.2.2"});
        CHECK(world.life->offset() == 1h);
    }
    SECTION("as the configuration says another zone, it is forgotten") {
        world.zone = Zone::fixed(-3600);
        SECTION("by a reload") {
            world.life->reload(world.dir.path(), world.zone, at(now + 4));
            CHECK(world.life->offset() == 0s);
            world.attack(now + 5, hour, 1);
            world.read(now + 5);
            CHECK(world.life->banned == Hosts{"192.0.2.1"});
        }
        SECTION("by a start") {
            world.life.reset();
            world.attack(now + 5, hour, 1);
            world.start(now + 3000);
            CHECK(world.life->offset() == 0s);
            CHECK(world.life->banned == Hosts{"192.0.2.1"});
        }
    }
}

TEST_CASE("clocks: a line that was old when it was written is old after a restart, too") {
    for (double away : {0.0, 300.0, hour})
        for (double before : {1200.0, hour, 5.75 * hour}) {
            CAPTURE(away, before);
            World world;
            world.start(0);
            double now = world.watch(100'000, 0, 3);
            world.checkpoint(now);
            world.life.reset();
            world.attack(now + 1, before, 1, 3);
            world.attack(now + 10, 0, 2, 3);
            world.start(now + 20 + away);
            CHECK(world.life->banned == Hosts{"192.0.2.2"});
            CHECK((*world.life->engine.bans().begin()).from == at(now + 12));
            // Killed in the middle of it: the same.
            world.checkpoint(now + 20 + away);
            world.kill(now + 30 + away);
            world.attack(now + 31 + away, before, 1, 3);
            world.read(now + 35 + away);
            CHECK(world.life->banned.empty());
        }
}

TEST_CASE("clocks: no offset makes old lines young, when the writer was set right meanwhile") {
    World world;
    world.start(0);
    double now = world.watch(0, hour, 6);
    REQUIRE(world.life->offset() == 1h);
    world.checkpoint(now);
    world.life.reset();
    for (int minute = 0; minute < 120; ++minute) {
        world.attack(now + minute * 60, 0, 100 + minute);
        // Slow enough never to be banned, unless an hour is taken for a minute.
        if (minute % 6 == 0) world.attack(now + minute * 60 + 30, 0, 1);
    }
    double restart = now + 120 * 60;
    SECTION("the log's last line tells") {
        world.start(restart);
        CHECK(world.life->offset() == 0s);
    }
    SECTION("or when it was written, if the machine was off for longer") {
        world.start(restart + 3 * hour);
        CHECK(world.life->offset() == 0s);
    }
    SECTION("touched since, it tells nothing: but what was apart stays apart") {
        timespec when{at(restart + 3 * hour).seconds(), 0};
        timespec both[] = {when, when};
        REQUIRE(utimensat(AT_FDCWD, world.log.c_str(), both, 0) == 0);
        world.start(restart + 3 * hour);
    }
    CHECK(world.life->banned.empty());
}

TEST_CASE("clocks: who writes dates of his own into a log cannot have others overlooked") {
    World world;
    world.start(0);
    // As an offset of this sign would make honest lines old.
    double now = world.watch(0, -2 * hour, 6);
    REQUIRE(world.life->offset() == -2h);
    world.attack(now + 1, 0, 1, 3);
    world.read(now + 4);
    CHECK(world.life->banned == Hosts{"192.0.2.1"});
    // By turns it is no row at all.
    for (int i = 0; i < 100; ++i) {
        now = world.watch(now, -2 * hour, 1);
        now = world.watch(now, 0, 2);
    }
    world.attack(now + 1, 0, 2, 3);
    world.read(now + 4);
    CHECK(world.life->banned == Hosts{"192.0.2.1", "192.0.2.2"});
}

TEST_CASE("clocks: summer time ends: a log in local time is right all the while, others follow") {
    const Zone berlin = *Zone::from_posix("CET-1CEST,M3.5.0,M10.5.0/3");
    constexpr double change = -(27 * 24 + 9) * hour;  // 2026-10-25 01:00 UTC
    REQUIRE(format_local(at(change), berlin).starts_with("2026-10-25 02:00:00"));
    World world;
    // Attacked from a new host each 10 minutes; hosts that were not banned.
    auto run = [&](const Zone& writers) {
        std::vector<int> missed;
        world.start(change - 3 * hour);
        world.read(change - 3 * hour);
        int host = 0;
        double now = change - 3 * hour;
        for (; now < change + 3 * hour; now += 600) {
            for (int i = 1; i <= 3; ++i) {
                world.write_in(writers, now + i * 20, 0,
                               "attack from 192.0.2." + std::to_string(host));
                world.read(now + i * 20);
            }
            if (!world.life->banned.empty() &&
                world.life->banned.back() == "192.0.2." + std::to_string(host))
                ++host;
            else
                missed.push_back(host++);
        }
        return missed;
    };
    SECTION("local time, as the configuration says") {
        world.zone = berlin;
        CHECK(run(berlin).empty());
        CHECK(world.life->offsets.empty());
    }
    SECTION("a container in UTC, beside a machine in Berlin") {
        world.zone = berlin;
        // Two until its clock is known; two when it is another one.
        CHECK(run(Zone{}).size() <= 4);
        CHECK(world.life->offsets == std::vector<Duration>{2h, 1h});
    }
    SECTION("a Windows server in Berlin, beside a machine in UTC") {
        CHECK(run(berlin).size() <= 4);
        CHECK(world.life->offsets == std::vector<Duration>{-2h, -1h});
    }
}
