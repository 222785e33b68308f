// SPDX-License-Identifier: GPL-2.0-or-later
// Runs old logs through the jails, in the time of the logs: who would have been banned, when and
// why. The code of the daemon reads, matches and decides; only the kernel is left out.
#include <fnmatch.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/replay_report.h"
#include "config/compile.h"
#include "config/load.h"
#include "core/base/printable.h"
#include "core/base/suggest.h"
#include "core/decide/engine.h"
#include "core/decide/log_time.h"
#include "facts/databases.h"
#include "os/clock.h"
#include "os/interfaces.h"
#include "os/zoneinfo.h"
#include "source/archive.h"
#include "source/parallel_scan.h"
#include "source/tail.h"

namespace bandd {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct Options {
    std::vector<std::string> logs;
    std::string jail;  // empty if not given
};

// What of some hits, and of the lines to join between them, is to be decided next: in the order of
// their lines.
struct Cursor {
    std::size_t hit = 0, line_to_join = 0;
    bool done(const Hits& hits) const {
        return hit == hits.size() && line_to_join == hits.lines().size();
    }
    // Unless done: the line, if it comes before the next hit; else null.
    const LineToJoin* line(const Hits& hits) const {
        auto lines = hits.lines();
        bool first = line_to_join < lines.size() && lines[line_to_join].hits_before <= hit;
        return first ? &lines[line_to_join] : nullptr;
    }
    Instant arrival(const Hits& hits, LogTime& time, Instant now) const {
        const LineToJoin* next = line(hits);
        return next != nullptr ? time.arrival_of(*next, now) : time.arrival_of(hits[hit], now);
    }
};

// One file on its way through the jails that read it.
struct Replayed {
    std::string path;
    Tail tail;
    std::shared_ptr<const Ruleset> ruleset;
    // Of several logs, which are decided by turns:
    std::vector<Hits> hits;  // of the pieces that were scanned last
    std::size_t piece = 0;   // of them
    Cursor next;             // in it
    // Whether there is something to be decided.
    bool any() {
        for (; piece < hits.size() && next.done(hits[piece]); ++piece) next = {};
        return piece < hits.size();
    }
    LogTime time;
    std::optional<Instant> arrival;  // of what comes next, once it was asked for
    bool ended = false;
};

// A log's name as logrotate and others change it: mail.log.2.gz, mail.log-20261121.
std::string without_rotation(std::string name) {
    name = unpacked_name(name);
    auto end = name.find_last_not_of("0123456789");
    if (end != std::string::npos && end + 1 < name.size() && (name[end] == '.' || name[end] == '-'))
        name.resize(end);
    return name;
}

// The jails that a log is for: those whose logpath names it, rotated or not; else all. An engine
// that gets its first rules numbers jails as the configuration does.
std::vector<JailIndex> jails_for(const Config& config, const std::string& path,
                                 std::optional<JailIndex> only) {
    if (only) return {*only};
    std::error_code fault;
    std::string whole = fs::absolute(path, fault).lexically_normal().string();
    std::vector<JailIndex> named;
    std::vector<JailIndex> all;
    for (std::size_t i = 0; i < config.jails.size(); ++i) {
        const JailConfig& jail = config.jails[i];
        if (jail.filter.empty()) continue;
        all.push_back(static_cast<JailIndex>(i));
        bool names = std::ranges::any_of(jail.logs, [&](const LogSpec& log) {
            return fnmatch(log.path.c_str(), whole.c_str(), FNM_PATHNAME) == 0 ||
                   fnmatch(log.path.c_str(), without_rotation(whole).c_str(), FNM_PATHNAME) == 0;
        });
        if (names) named.push_back(static_cast<JailIndex>(i));
    }
    return named.empty() ? all : named;
}

class Replay {
  public:
    Replay(const CommonOptions& common, const Options& options)
        : common_(common), options_(options), now_(now()) {}

    int run() {
        if (auto ready = prepare(); !ready) {
            for (const Error& error : ready.error()) print_error(error);
            return exit_usage;
        }
        std::uint64_t total = 0;
        for (const auto& file : files_) total += file->tail.size();
        Progress progress(total, !common_.json);
        auto begin = Clock::now();
        if (files_.size() == 1)
            decide_one(*files_[0], progress);
        else
            decide_all(progress);
        double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
        report_.summarize(scan_.counts(), not_asked_, seconds);
        return failed_ ? exit_said_no : exit_done;
    }

  private:
    // Configuration, engine and logs; or all that is wrong with them.
    std::expected<void, std::vector<Error>> prepare() {
        Loaded loaded = load_config(common_.config, data_directories(), read_zone);
        if (loaded.errors.empty()) {
            compiled_ = compile(loaded.config);
            loaded.errors = compiled_.errors;
        }
        if (!loaded.errors.empty()) return std::unexpected(std::move(loaded.errors));
        config_ = std::move(loaded.config);
        auto databases = GeoDatabases::open(config_.geoip);
        if (!databases) return std::unexpected(std::vector{databases.error()});
        facts_ = std::move(*databases);
        auto only = wanted_jail();
        if (!only) return std::unexpected(std::vector{only.error()});
        for (const std::string& path : options_.logs)
            if (auto opened = open(path, *only); !opened)
                return std::unexpected(std::vector{opened.error()});
        scan_ = ParallelScan(threads_of(config_));
        prepare_engine();
        return {};
    }

    void prepare_engine() {
        std::vector<JailRules> rules;
        for (const JailConfig& jail : config_.jails) rules.push_back(jail.rules);
        Outcome outcome;
        engine_.set_facts(&facts_);
        engine_.set_rules(std::move(rules), Instant{0}, outcome);
        engine_.set_own_addresses(PrefixSet(own_addresses()));
        engine_.set_access(config_.access.rules);
    }

    // The jail that --jail names; none if there is no --jail.
    Result<std::optional<JailIndex>> wanted_jail() const {
        if (options_.jail.empty()) return std::optional<JailIndex>();
        std::vector<std::string_view> names;
        for (std::size_t i = 0; i < config_.jails.size(); ++i) {
            const JailConfig& jail = config_.jails[i];
            names.push_back(jail.rules.name);
            if (jail.rules.name == options_.jail && !jail.filter.empty())
                return static_cast<JailIndex>(i);
        }
        return fail("jail \"" + options_.jail + "\"", "there is no such jail that reads logs",
                    did_you_mean(options_.jail, names));
    }

    Result<> open(const std::string& path, std::optional<JailIndex> only) {
        auto jails = jails_for(config_, path, only);
        LogSpec spec;
        if (!jails.empty() && !config_.jails[jails.front()].logs.empty())
            spec = config_.jails[jails.front()].logs.front();
        auto tail = is_archive(path) ? Tail::open_archive(path, spec.encoding, config_.line_limit)
                                     : Tail::open(path, spec.encoding, config_.line_limit);
        if (!tail) return std::unexpected(tail.error());
        tail->seek(0);
        auto file = std::make_unique<Replayed>(Replayed{path, std::move(*tail), {}, {}});
        file->ruleset = make_ruleset(compiled_.filters, jails, config_.zones.at(spec.timezone),
                                     spec.escapes, config_.line_limit);
        files_.push_back(std::move(file));
        return {};
    }

    // Reads on in a file; at its end it hands on what has no line end, and has ended.
    void read_on(Replayed& file, std::size_t part, const Tail::Take& take) {
        auto read = file.tail.read_on(part, take);
        if (!read) {
            print_error(read.error());
            failed_ = file.ended = true;
        } else if (read->bytes == 0 && !read->more) {
            file.ended = true;
            take(Chunk{0, file.tail.flush_partial(), {}});
        }
    }

    // A single log: while hits are decided, the other matchers scan on.
    void decide_one(Replayed& file, Progress& progress) {
        constexpr std::size_t at_a_time = 64 << 20;
        Hits hits;
        while (!file.ended)
            read_on(file, scan_.threads() > 1 ? at_a_time : 0, [&](const Readable& what) {
                scan_.begin(*file.ruleset, what, now_);
                while (auto lines = scan_.next(hits)) {
                    done_ += lines->size();
                    progress.show(done_);
                    for (Cursor next; !next.done(hits);)
                        decide(hits, next, next.arrival(hits, file.time, now_));
                }
                return scan_.has_read();
            });
    }

    // Of several logs: reads on until there is a hit to decide, or the end.
    void fill(Replayed& file, Progress& progress) {
        while (!file.any() && !file.ended) {
            file.piece = 0;
            file.next = {};
            for (Hits& hits : file.hits) hits.clear();
            read_on(file, 0, [&](const Readable& what) {
                done_ += std::get<Chunk>(what).bytes.size();
                scan_.begin(*file.ruleset, what, now_);
                std::size_t pieces = 0;
                do {
                    if (file.hits.size() == pieces) file.hits.emplace_back();
                } while (scan_.next(file.hits[pieces++]));
                return PartRead{};
            });
            progress.show(done_);
        }
    }

    // Of several logs, the one whose next hit is the oldest goes on.
    void decide_all(Progress& progress) {
        while (true) {
            Replayed* next = nullptr;
            for (auto& file : files_) {
                fill(*file, progress);
                if (!file->any()) continue;
                if (!file->arrival)
                    file->arrival = file->next.arrival(file->hits[file->piece], file->time, now_);
                if (next == nullptr || file->arrival < next->arrival) next = file.get();
            }
            if (next == nullptr) break;
            decide(next->hits[next->piece], next->next, *std::exchange(next->arrival, {}));
        }
    }

    // Decides what comes next, and moves on.
    void decide(const Hits& hits, Cursor& next, Instant arrival) {
        outcome_.events.clear();
        outcome_.questions.clear();
        engine_.on_time(arrival, outcome_);
        if (const LineToJoin* line = next.line(hits)) {
            ++next.line_to_join;
            engine_.on_line(*line, arrival, outcome_);
        } else {
            engine_.look_ahead(hits, next.hit);
            engine_.on_hit(hits[next.hit++], arrival, outcome_);
        }
        // Nobody knows what a name or a program would have said then: names ban nobody, and
        // programs exempt nobody.
        for (std::size_t i = 0; i < outcome_.questions.size(); ++i) {
            if (outcome_.questions[i].kind != Question::Kind::addresses) ++not_asked_;
            engine_.on_answer({outcome_.questions[i], {}, false, {}}, arrival, outcome_);
        }
        for (const Event& event : outcome_.events) report_.tell(event);
    }

    const CommonOptions& common_;
    const Options& options_;
    Instant now_;
    Config config_;
    Compiled compiled_;
    GeoDatabases facts_;
    Engine engine_;
    std::vector<std::unique_ptr<Replayed>> files_;
    ReplayReport report_{engine_, common_.json};
    std::uint64_t done_ = 0;
    ParallelScan scan_{1};
    Outcome outcome_;              // of one hit
    std::uint64_t not_asked_ = 0;  // bans that a live daemon asks about
    bool failed_ = false;
};

}  // namespace

Run replay_command(CommandLine& line) {
    auto options = std::make_shared<Options>();
    line.texts("log", options->logs, "logs, also .gz and .zst", Must::be_given);
    line.text("-j,--jail", options->jail,
              "through this jail (default: those whose logpath names the log, or all)");
    return [options](const CommonOptions& common) {
        // A ban has some kilobytes to tell.
        if (isatty(STDOUT_FILENO) == 0) std::setvbuf(stdout, nullptr, _IOFBF, 64 << 10);
        return Replay(common, *options).run();
    };
}

}  // namespace bandd
