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

    Started(unsigned matchers, const std::string& grown) {
        write_file(dir / "bandd.yaml", "matchers: " + std::to_string(matchers) + "\n");
        write_file(dir / "filters/app.yaml",
                   "description: test\nfailregex:\n  - {id: a, regex: '^attack from <HOST>$'}\n");
        write_file(dir / "jails/app.yaml",
                   "app: {filter: app, maxretry: 1, logpath: " + (dir / "log") + "}");
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
