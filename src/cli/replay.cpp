// SPDX-License-Identifier: GPL-2.0-or-later
// Old logs through the jails, in the time of the logs: who would have been banned, when and why.
// The very code of the daemon reads, matches and decides; only the kernel is left out.
#include <fmt/format.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>

#include "cli/command.h"
#include "cli/output.h"
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

// One file on its way through the jails that read it.
struct Replayed {
    std::string path;
    Tail tail;
    std::shared_ptr<const Ruleset> ruleset;
    std::vector<Hits> hits;  // of the pieces that were scanned last
    std::size_t piece = 0;   // of them; and in it, what is to be decided next
    std::size_t next = 0;
    const Hit* hit() {
        while (piece < hits.size() && next == hits[piece].size()) {
            ++piece;
            next = 0;
        }
        return piece < hits.size() ? &hits[piece][next] : nullptr;
    }
    LogTime time;
    std::optional<Instant> arrival;  // of `hit`, once it was asked for
    enum class Scanned { nothing, chunk, part } scanned = Scanned::nothing;  // just now
    bool read_to_end = false;
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

// The jails that a log is for: those whose logpath names it, rotated or not; else all.
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

class Progress {
  public:
    Progress(std::uint64_t total, bool wanted)
        : total_(std::max<std::uint64_t>(total, 1)),
          wanted_(wanted && isatty(STDERR_FILENO) == 1) {}
    ~Progress() {
        if (wanted_) fmt::print(stderr, "\r\033[K");
    }
    void show(std::uint64_t done) {
        if (!wanted_ || Clock::now() < next_) return;
        next_ = Clock::now() + std::chrono::milliseconds(100);
        auto percent = std::min<std::uint64_t>(done * 100 / total_, 100);
        std::string bar(percent / 4, '#');
        fmt::print(stderr, "\r[{:<25}] {:>3} %", bar, percent);
    }

  private:
    std::uint64_t total_;
    bool wanted_;
    Clock::time_point next_ = Clock::now() + std::chrono::milliseconds(300);
};

class Replay {
  public:
    Replay(const CommonOptions& common, const ReplayOptions& options)
        : common_(common), options_(options), now_(now()) {}

    int run() {
        Loaded loaded = load_config(common_.config, data_directories(), read_zone);
        if (loaded.errors.empty()) {
            compiled_ = compile(loaded.config);
            loaded.errors = compiled_.errors;
        }
        for (const Error& error : loaded.errors) print_error(error);
        if (!loaded.errors.empty()) return exit_usage;
        config_ = std::move(loaded.config);
        auto databases = GeoDatabases::open(config_.geoip);
        if (!databases) {
            print_error(databases.error());
            return exit_usage;
        }
        facts_ = std::move(*databases);
        engine_.set_facts(&facts_);
        scan_ = ParallelScan(threads_of(config_));
        std::optional<JailIndex> only;
        if (!options_.jail.empty()) {
            std::vector<std::string_view> names;
            for (std::size_t i = 0; i < config_.jails.size(); ++i) {
                const JailConfig& jail = config_.jails[i];
                names.push_back(jail.rules.name);
                if (jail.rules.name == options_.jail && !jail.filter.empty())
                    only = static_cast<JailIndex>(i);
            }
            if (!only) {
                print_error({"jail \"" + options_.jail + "\"",
                             "there is no such jail that reads logs",
                             did_you_mean(options_.jail, names),
                             {}});
                return exit_usage;
            }
        }
        std::uint64_t total = 0;
        for (const std::string& path : options_.logs) {
            if (auto opened = open(path, only); !opened) {
                print_error(opened.error());
                return exit_usage;
            }
            total += files_.back()->tail.size();
        }
        std::vector<JailRules> rules;
        for (const JailConfig& jail : config_.jails) rules.push_back(jail.rules);
        Outcome outcome;
        engine_.set_rules(std::move(rules), Instant{0}, outcome);
        engine_.set_own_addresses(PrefixSet(own_addresses()));
        engine_.set_access(config_.access.rules);

        Progress progress(total, !common_.json);
        auto begin = Clock::now();
        decide_all(progress);
        double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
        summarize(seconds);
        return failed_ ? exit_said_no : exit_done;
    }

  private:
    Result<> open(const std::string& path, std::optional<JailIndex> only) {
        auto jails = jails_for(config_, path, only);
        LogSpec spec;
        if (!jails.empty() && !config_.jails[jails.front()].logs.empty())
            spec = config_.jails[jails.front()].logs.front();
        Result<Tail> tail = fail("");
        if (is_archive(path)) {
            std::error_code fault;
            auto content = unpack_archive(path, fs::temp_directory_path(fault).string());
            if (!content) return std::unexpected(content.error());
            auto id = file_id(path);
            tail = Tail::adopt(std::move(*content), path, id.value_or(FileId{}), spec.encoding,
                               config_.line_limit);
        } else {
            tail = Tail::open(path, spec.encoding, config_.line_limit);
        }
        if (!tail) return std::unexpected(tail.error());
        tail->seek(0);
        auto file = std::make_unique<Replayed>(Replayed{path, std::move(*tail), {}, {}, {}, {}});
        file->ruleset = make_ruleset(compiled_, jails, config_.zones.at(spec.timezone),
                                     spec.escapes, config_.line_limit);
        files_.push_back(std::move(file));
        return {};
    }

    // The next lines of a file; nothing at its end.
    std::string_view read_on(Replayed& file) {
        while (!file.read_to_end) {
            auto read =
                file.tail.read(scan_.threads() > 1 ? Tail::backlog_read_size : Tail::read_size);
            if (!read) {
                print_error(read.error());
                failed_ = file.read_to_end = true;
                return {};
            }
            if (!read->bytes.empty()) return read->bytes;
            if (read->more) continue;
            file.read_to_end = true;
            return file.tail.flush_partial();
        }
        return {};
    }

    // Reads on until there is a hit to decide, or the end.
    void fill(Replayed& file, Progress& progress) {
        while (file.hit() == nullptr && !file.ended) {
            file.piece = file.next = 0;
            if (files_.size() == 1)
                scan_piece(file);
            else
                scan_chunk(file);
            progress.show(done_);
        }
    }
    // A single log: while hits are decided, the other matchers scan on.
    void scan_piece(Replayed& file) {
        file.hits.resize(1);
        if (file.scanned == Replayed::Scanned::nothing && !begin(file)) {
            file.ended = true;
            return;
        }
        if (auto lines = scan_.next(file.hits[0])) {
            done_ += lines->size();
            return;
        }
        if (file.scanned == Replayed::Scanned::part) {
            auto read = scan_.has_read();
            file.tail.took(read.bytes, read.left);
        }
        file.scanned = Replayed::Scanned::nothing;
    }
    bool begin(Replayed& file) {
        constexpr std::size_t at_a_time = 64 << 20;
        auto part = scan_.threads() > 1 ? file.tail.ahead(at_a_time) : std::nullopt;
        if (part) {
            scan_.begin(*file.ruleset, *part, now_);
            file.scanned = Replayed::Scanned::part;
            return true;
        }
        std::string_view lines = read_on(file);
        scan_.begin(*file.ruleset, Chunk{0, lines, {}}, now_);
        file.scanned = Replayed::Scanned::chunk;
        return !lines.empty();
    }
    // Of several logs, which are decided by turns, one chunk as a whole.
    void scan_chunk(Replayed& file) {
        std::string_view lines = read_on(file);
        file.ended = lines.empty();
        done_ += lines.size();
        scan_.begin(*file.ruleset, Chunk{0, lines, {}}, now_);
        std::size_t pieces = 0;
        do {
            if (file.hits.size() == pieces) file.hits.emplace_back();
        } while (scan_.next(file.hits[pieces++]));
        for (; pieces < file.hits.size(); ++pieces) file.hits[pieces].clear();
    }

    void decide_all(Progress& progress) {
        Outcome outcome;
        while (true) {
            // Of several logs, the one that is furthest behind in time goes on.
            Replayed* next = nullptr;
            for (auto& file : files_) {
                fill(*file, progress);
                const Hit* hit = file->hit();
                if (hit == nullptr) continue;
                if (!file->arrival) file->arrival = file->time.arrival_of(*hit, now_);
                if (next == nullptr || file->arrival < next->arrival) next = file.get();
            }
            if (next == nullptr) break;
            const Hit& hit = *next->hit();
            engine_.look_ahead(next->hits[next->piece], next->next);
            Instant arrival = *std::exchange(next->arrival, {});
            ++next->next;
            outcome.events.clear();
            outcome.questions.clear();
            engine_.on_time(arrival, outcome);
            engine_.on_hit(hit, arrival, outcome);
            // Nobody knows what a name or a program would have said then: names ban nobody, and
            // programs exempt nobody.
            for (std::size_t i = 0; i < outcome.questions.size(); ++i) {
                if (outcome.questions[i].kind != Question::Kind::addresses) ++not_asked_;
                engine_.on_answer({outcome.questions[i], {}, false, {}}, arrival, outcome);
            }
            for (const Event& event : outcome.events) tell(event);
        }
    }

    void tell(const Event& event) {
        if (const auto* found = std::get_if<Found>(&event)) {
            ++by_pattern_[engine_.rules()[found->jail].name][found->pattern];
            return;
        }
        if (const auto* over = std::get_if<AccountOver>(&event)) {
            if (common_.json)
                print_json({{"kind", "account"},
                            {"user", over->user},
                            {"reason", over->reason},
                            {"ip", to_string(over->address)},
                            {"country", over->country},
                            {"time", format_rfc3339(over->time)}});
            else
                fmt::print("{}  {} account {} has {}, the last from {} ({})\n",
                           local_time(format_rfc3339(over->time)), red("would refuse"),
                           printable(over->user), over->reason, to_string(over->address),
                           over->country);
            return;
        }
        const auto* banned = std::get_if<Banned>(&event);
        const auto* extended = std::get_if<Extended>(&event);
        if (banned == nullptr && extended == nullptr) return;
        const Ban& ban = banned != nullptr ? banned->ban : extended->ban;
        const std::string& jail = engine_.rules()[ban.key.jail].name;
        if (banned != nullptr) ++bans_[jail];
        if (common_.json) {
            // Set one by one: of a list of lists each text would be copied once more.
            Json json = Json::object();
            json["kind"] = banned == nullptr                  ? "extended"
                           : ban.state == BanState::simulated ? "would-ban"
                                                              : "ban";
            json["ip"] = to_string(ban.key.prefix);
            json["jail"] = jail;
            json["from"] = format_rfc3339(ban.from);
            json["until"] = ban.until == never ? "never" : format_rfc3339(ban.until);
            json["hits"] = ban.hits;
            json["offence"] = ban.offence;
            json["reason"] = ban.story->reason;
            if (banned != nullptr) {
                Json& fields = json["fields"] = Json::object();
                for (const auto& [name, value] : ban.story->fields) fields[name] = value;
                Json& matches = json["matches"] = Json::array();
                for (const Match& match : ban.story->matches) {
                    Json& one = matches.emplace_back(Json::object());
                    one["time"] = format_rfc3339(match.time);
                    one["pattern"] = match.pattern;
                    one["line"] = match.line;
                }
            }
            print_json(json);
            return;
        }
        std::string until = ban.until == never
                                ? std::string("for ever")
                                : "until " + local_time(format_rfc3339(ban.until)) + " (" +
                                      format_duration(ban.until - ban.from) + ")";
        if (banned == nullptr) {
            fmt::print("{}  extended {}  {}  {}\n", local_time(format_rfc3339(ban.from)),
                       to_string(ban.key.prefix), jail, until);
            return;
        }
        fmt::print("{}  {} {}  {}  {}, ban number {}\n", local_time(format_rfc3339(ban.from)),
                   ban.state == BanState::simulated ? yellow("would ban") : red("ban"),
                   bold(to_string(ban.key.prefix)), jail, until, ban.offence);
        for (const Match& match : ban.story->matches)
            fmt::print("    {}: {}\n", match.pattern, printable(match.line));
    }

    void summarize(double seconds) {
        ScanCounts counts = scan_.counts();
        auto speed =
            static_cast<std::uint64_t>(static_cast<double>(counts.lines) / std::max(seconds, 1e-6));
        Json jails = Json::object();
        for (std::size_t i = 0; i < engine_.rules().size(); ++i) {
            const JailCounts& jail = engine_.counts(static_cast<JailIndex>(i));
            const std::string& name = engine_.rules()[i].name;
            if (jail.hits == 0 && jail.ignored == 0) continue;
            jails[name] = {{"bans", bans_[name]},
                           {"hits", jail.hits},
                           {"ignored", jail.ignored},
                           {"patterns", by_pattern_[name]}};
        }
        if (common_.json) {
            print_json({{"summary",
                         {{"lines", counts.lines},
                          {"jails", jails},
                          {"undated", counts.undated},
                          {"candidates", counts.candidates},
                          {"names", engine_.hits_of_names()},
                          {"not_asked", not_asked_},
                          {"seconds", seconds},
                          {"lines_per_second", speed}}}});
            return;
        }
        fmt::print("\n");
        for (const auto& [name, jail] : jails.items()) {
            fmt::print("{}: {}, {}, {} ignored\n", bold(name),
                       count_of(jail["bans"].get<std::size_t>(), "ban"),
                       count_of(jail["hits"].get<std::size_t>(), "hit"),
                       jail["ignored"].get<std::size_t>());
            for (const auto& [pattern, count] : jail["patterns"].items())
                fmt::print("  {:>7}  {}\n", count.get<std::size_t>(), pattern);
        }
        if (counts.undated > 0)
            fmt::print("{} without a date counted as now: see \"timezone\" and \"datepattern\"\n",
                       count_of(counts.undated, "hit"));
        if (engine_.hits_of_names() > 0)
            fmt::print("{} of host names, which a replay does not look up\n",
                       count_of(engine_.hits_of_names(), "hit"));
        if (not_asked_ > 0)
            fmt::print("{} would have been asked about first (ignorecommand, host names)\n",
                       count_of(not_asked_, "hit"));
        fmt::print("{} in {:.1f} s, {} lines/s\n", count_of(counts.lines, "line"), seconds, speed);
    }

    const CommonOptions& common_;
    const ReplayOptions& options_;
    Instant now_;
    Config config_;
    Compiled compiled_;
    GeoDatabases facts_;
    Engine engine_;
    std::vector<std::unique_ptr<Replayed>> files_;
    std::map<std::string, std::map<std::string, std::size_t>> by_pattern_;
    std::map<std::string, std::size_t> bans_;
    std::uint64_t done_ = 0;
    ParallelScan scan_{1};
    std::uint64_t not_asked_ = 0;  // bans that a live daemon asks about
    bool failed_ = false;
};

}  // namespace

int run_replay(const CommonOptions& common, const ReplayOptions& options) {
    // A ban has some kilobytes to tell.
    if (isatty(STDOUT_FILENO) == 0) std::setvbuf(stdout, nullptr, _IOFBF, 64 << 10);
    return Replay(common, options).run();
}

}  // namespace bandd
