// SPDX-License-Identifier: GPL-2.0-or-later
// Runs old logs through the jails, in the time of the logs: who would have been banned, when and
// why. The code of the daemon reads, matches and decides; only the kernel is left out.
#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/replay.h"
#include "cli/replay_report.h"
#include "config/blindness.h"
#include "config/compile.h"
#include "config/engine_limits.h"
#include "config/load.h"
#include "core/base/printable.h"
#include "core/base/suggest.h"
#include "core/decide/engine.h"
#include "core/decide/filter_health.h"
#include "core/decide/log_clock.h"
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

using Options = ReplayOptions;

// Standard input as a log.
constexpr std::string_view standard_input = "-";

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

// The jails that a log goes through: those that would read it, rotated or not, or what was asked
// for. The patterns of others would find in it what they were not made for. An engine that gets its
// first rules numbers jails as the configuration does.
std::vector<JailIndex> jails_for(const Config& config, const std::string& path, bool all,
                                 std::optional<JailIndex> only) {
    if (only) return {*only};
    std::vector<JailIndex> jails;
    for (std::size_t i = 0; i < config.jails.size(); ++i) {
        const JailConfig& jail = config.jails[i];
        if (!jail.filter.empty() && (all || names_log(jail, path)))
            jails.push_back(static_cast<JailIndex>(i));
    }
    return jails;
}

// Standard input may be a pipe, of which nobody can read the end first: what comes is kept in a
// file without a name.
Result<Tail> open_standard_input(Encoding encoding, std::size_t line_limit) {
    struct stat status{};
    if (fstat(STDIN_FILENO, &status) == 0 && S_ISREG(status.st_mode))
        return Tail::open("/proc/self/fd/0", encoding, line_limit);
    auto failed = [](const char* what) {
        return fail_errno(std::string("standard input: ") + what);
    };
    std::error_code fault;
    fs::path directory = fs::temp_directory_path(fault);
    if (fault)
        return fail("standard input", "cannot be kept in a temporary file: " + fault.message(),
                    "TMPDIR=DIRECTORY names a directory for it");
    Fd file(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!file) return failed("cannot keep it in a file of the directory for temporary ones");
    std::array<char, 64 << 10> buffer{};
    for (ssize_t got = 0; (got = ::read(STDIN_FILENO, buffer.data(), buffer.size())) != 0;) {
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return failed("cannot be read");
        if (::write(file.get(), buffer.data(), static_cast<std::size_t>(got)) != got)
            return failed("cannot be kept in a file");
    }
    return Tail::open("/proc/self/fd/" + std::to_string(file.get()), encoding, line_limit);
}

// "1h", "+1h", "-30m": what is added to dates.
Result<LogClock> clock_of(const std::string& text) {
    LogClock clock;
    if (text == Options().offset) return clock;
    std::string_view digits = text;
    bool negative = digits.starts_with('-');
    if (negative || digits.starts_with('+')) digits.remove_prefix(1);
    if (auto offset = parse_duration(digits)) clock.set(negative ? -*offset : *offset);
    if (clock.offset() != Duration{0}) return clock;
    return fail("offset \"" + text + "\"", "zones do not differ by that",
                "write a multiple of 15m, at least 30m: 1h, -1h");
}

class Replay {
  public:
    Replay(const CommonOptions& common, const Options& options, const Hear& hear)
        : common_(common), options_(options), hear_(hear), now_(now()) {}

    // All that is wrong with configuration or logs.
    std::expected<void, std::vector<Error>> run() {
        if (auto ready = prepare(); !ready) return ready;
        auto begin = Clock::now();
        decide_files();
        double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
        if (hear_) return {};
        tell_blindness();
        report_.summarize(scan_.counts(), not_asked_, seconds);
        return {};
    }
    // A log was not read to its end, which was said.
    bool failed() const { return failed_; }

  private:
    void decide_files() {
        std::uint64_t total = 0;
        for (const auto& file : files_) total += file->tail.size();
        Progress progress(total, !common_.json);
        if (files_.size() == 1)
            decide_one(*files_[0], progress);
        else
            decide_all(progress);
    }

    // Configuration, engine and logs; or all that is wrong with them.
    std::expected<void, std::vector<Error>> prepare() {
        // The logs may be of another machine.
        bool is_asked = options_.all || !options_.jail.empty();
        Loaded loaded = load_config(common_.config, data_directories(), read_zone, Samples::skip,
                                    is_asked ? IdleJails::keep : IdleJails::leave_out);
        if (loaded.errors.empty()) {
            compiled_ = compile(loaded.config);
            loaded.errors = compiled_.errors;
        }
        if (options_.all && !options_.jail.empty())
            loaded.errors.push_back(
                {"--all", "cannot be given with --jail", "give one of them", {}});
        if (!loaded.errors.empty()) return std::unexpected(std::move(loaded.errors));
        config_ = std::move(loaded.config);
        auto databases = GeoDatabases::open(config_.geoip);
        if (!databases) return std::unexpected(std::vector{databases.error()});
        facts_ = std::move(*databases);
        auto only = wanted_jail();
        if (!only) return std::unexpected(std::vector{only.error()});
        auto clock = clock_of(options_.offset);
        if (!clock) return std::unexpected(std::vector{clock.error()});
        clock_ = *clock;
        std::string left_out;
        for (const std::string& path : options_.logs) {
            auto own = options_.of_jails.find(path);
            auto jails = own == options_.of_jails.end()
                             ? jails_for(config_, path, options_.all, *only)
                             : jail_called(own->second);
            auto opened = jails.empty() ? check_readable(path) : open(path, jails);
            if (!opened) return std::unexpected(std::vector{opened.error()});
            if (jails.empty()) left_out += (left_out.empty() ? "" : ", ") + path;
        }
        if (!left_out.empty()) {
            Error error{
                left_out, "no jail reads it, so it goes through none", options_.if_unread, {}};
            if (files_.empty()) return std::unexpected(std::vector{error});
            print_error(error);
        }
        scan_ = ParallelScan(config_);
        prepare_engine();
        return {};
    }

    void prepare_engine() {
        std::vector<JailRules> rules;
        for (const JailConfig& jail : config_.jails) rules.push_back(jail.rules);
        Outcome outcome;
        engine_ = Engine(engine_limits(config_));
        engine_.set_facts(&facts_);
        engine_.set_rules(std::move(rules), Instant{0}, outcome);
        engine_.set_own_addresses(PrefixSet(own_addresses()));
        engine_.set_access(config_.access.rules);
    }

    // A log may well be none of the filter's program.
    void tell_blindness() {
        for (const FilterHealth::Change& change : health_.take_changes()) {
            if (!change.blindness || change.blindness->kind == Blindness::Kind::tag) continue;
            for (std::size_t i = 0; i < config_.jails.size(); ++i) {
                const auto& filter = compiled_.filters[i];
                if (!filter || filter->identity != change.filter) continue;
                report_.warn(
                    tell(*change.blindness, config_.filters.at(config_.jails[i].filter), *filter));
                break;
            }
        }
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

    std::vector<JailIndex> jail_called(const std::string& name) const {
        for (std::size_t i = 0; i < config_.jails.size(); ++i)
            if (config_.jails[i].rules.name == name) return {static_cast<JailIndex>(i)};
        return {};
    }

    // Of a log that is not there, that is what is wrong.
    static Result<> check_readable(const std::string& path) {
        if (path == standard_input || ::access(path.c_str(), R_OK) == 0) return {};
        return fail_errno("cannot read \"" + path + "\"");
    }

    Result<> open(const std::string& path, const std::vector<JailIndex>& jails) {
        LogSpec spec;
        if (!config_.jails[jails.front()].logs.empty())
            spec = config_.jails[jails.front()].logs.front();
        auto tail =
            path == standard_input ? open_standard_input(spec.encoding, config_.longest_line())
            : is_archive(path)     ? Tail::open_archive(path, spec.encoding, config_.longest_line())
                                   : Tail::open(path, spec.encoding, config_.longest_line());
        if (!tail) return std::unexpected(tail.error());
        tail->seek(0);
        auto file = std::make_unique<Replayed>(Replayed{path, std::move(*tail), {}, {}});
        file->ruleset = make_ruleset(compiled_.filters, jails, config_.zones.at(spec.timezone),
                                     spec.escapes, config_.line_limit);
        files_.push_back(std::move(file));
        return {};
    }

    // Reads on in a file; at its end it hands on what has no line end, and has ended.
    void read_on(Replayed& file, bool parts, const Tail::Take& take) {
        constexpr std::size_t at_a_time = 64 << 20;
        auto read = file.tail.read_on(at_a_time, parts, take);
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
        Hits hits;
        while (!file.ended)
            read_on(file, scan_.threads() > 1, [&](const Readable& what) {
                scan_.begin(*file.ruleset, what, now_);
                while (auto lines = scan_.next(hits)) {
                    done_ += lines->size();
                    health_.take(*file.ruleset, *lines, hits, now_);
                    progress.show(done_);
                    clock_.correct(hits, now_, false);
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
            read_on(file, false, [&](const Readable& what) {
                done_ += std::get<Chunk>(what).bytes.size();
                scan_.begin(*file.ruleset, what, now_);
                std::size_t pieces = 0;
                for (bool more = true; more;) {
                    if (file.hits.size() == pieces) file.hits.emplace_back();
                    Hits& hits = file.hits[pieces++];
                    auto lines = scan_.next(hits);
                    more = lines.has_value();
                    if (more) health_.take(*file.ruleset, *lines, hits, now_);
                }
                for (Hits& hits : file.hits) clock_.correct(hits, now_, false);
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
        for (const Event& event : outcome_.events) {
            if (hear_)
                hear_(engine_, event);
            else
                report_.tell(event);
        }
    }

    const CommonOptions& common_;
    const Options& options_;
    const Hear& hear_;
    Instant now_;
    Config config_;
    Compiled compiled_;
    GeoDatabases facts_;
    Engine engine_;
    LogClock clock_;  // of all logs
    std::vector<std::unique_ptr<Replayed>> files_;
    FilterHealth health_;
    ReplayReport report_{engine_, config_, common_.json};
    std::uint64_t done_ = 0;
    ParallelScan scan_{1};
    Outcome outcome_;              // of one hit
    std::uint64_t not_asked_ = 0;  // bans that a live daemon asks about
    bool failed_ = false;
};

}  // namespace

std::expected<void, std::vector<Error>> replay(const CommonOptions& common,
                                               const ReplayOptions& options, const Hear& hear) {
    return Replay(common, options, hear).run();
}

bool names_log(const JailConfig& jail, const std::string& path) {
    if (path == standard_input) return jail.reads_stdin;
    std::error_code fault;
    std::string whole = fs::absolute(path, fault).lexically_normal().string();
    return std::ranges::any_of(jail.logs, [&](const LogSpec& log) {
        return fnmatch(log.path.c_str(), whole.c_str(), FNM_PATHNAME) == 0 ||
               fnmatch(log.path.c_str(), without_rotation(whole).c_str(), FNM_PATHNAME) == 0;
    });
}

Run replay_command(CommandLine& line) {
    auto options = std::make_shared<Options>();
    line.texts("log", options->logs, "logs, also .gz and .zst; - is standard input",
               Must::be_given);
    line.text("-j,--jail", options->jail, "through this jail (default: those that read the log)");
    line.flag("-a,--all", options->all, "through all jails, whichever logs they read");
    line.text("--offset", options->offset,
              "add this to the dates of all logs, as for a wrong time zone: 1h, -1h");
    return [options](const CommonOptions& common) {
        // A ban has some kilobytes to tell.
        if (isatty(STDOUT_FILENO) == 0) std::setvbuf(stdout, nullptr, _IOFBF, 64 << 10);
        const Hear nobody;
        Replay replay(common, *options, nobody);
        if (auto done = replay.run(); !done) {
            for (const Error& error : done.error()) print_error(error);
            return int{exit_usage};
        }
        return int{replay.failed() ? exit_said_no : exit_done};
    };
}

}  // namespace bandd
