// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/pipeline.h"

#include <algorithm>

namespace bandd {
namespace {

// Of one log that is a backlog, in one turn; then the others have theirs, and bandctl its answers.
constexpr std::size_t backlog_a_turn = 8 << 20;

}  // namespace

void Pipeline::configure(const Config& config, std::shared_ptr<const Compiled> compiled,
                         Watch::Saved saved, std::optional<FileId> own_log, Instant now) {
    compiled_ = std::move(compiled);
    line_limit_ = config.line_limit;
    unsigned threads = threads_of(config);
    if (threads != scan_->threads()) scan_ = std::make_unique<ParallelScan>(threads, counts());
    rulesets_.clear();
    stream_rulesets_.clear();
    stream_options_.clear();
    for (const JailConfig& jail : config.jails) stream_options_.push_back(jail.log_options);
    zones_ = config.zones;
    std::vector<WatchedLog> logs;
    jails_of_log_.clear();
    logs_of_jail_.assign(config.jails.size(), {});
    for (std::size_t jail = 0; jail < config.jails.size(); ++jail)
        for (const LogSpec& spec : config.jails[jail].logs) {
            auto known = std::ranges::find(logs, spec, &WatchedLog::spec);
            auto index = static_cast<std::size_t>(known - logs.begin());
            if (known == logs.end()) {
                logs.push_back({spec, Duration{0}, config.zones.at(spec.timezone)});
                jails_of_log_.emplace_back();
            }
            logs[index].findtime =
                std::max(logs[index].findtime, config.jails[jail].rules.findtime);
            jails_of_log_[index].push_back(static_cast<JailIndex>(jail));
            logs_of_jail_[jail].push_back(index);
        }
    watch_.set_logs(std::move(logs), std::move(saved), own_log, now);
}

// Made when there is something to read for the first time: logs that stay empty cost nothing.
const Ruleset& Pipeline::ruleset_for(const Reader& reader) {
    auto& ruleset = rulesets_[reader.logs];
    if (!ruleset) {
        std::set<JailIndex> jails;
        for (std::size_t log : reader.logs)
            jails.insert(jails_of_log_[log].begin(), jails_of_log_[log].end());
        const WatchedLog& log = watch_.logs()[*reader.logs.begin()];
        ruleset = make_ruleset(*compiled_, {jails.begin(), jails.end()}, log.zone, log.spec.escapes,
                               line_limit_);
    }
    return *ruleset;
}

// What is being scanned, piece by piece.
void Pipeline::decide(const Ruleset& ruleset, Backlog* backlog, Instant now) {
    while (auto lines = scan_->next(hits_)) {
        engine_.on_hits(hits_, now, decided_, backlog == nullptr ? nullptr : &backlog->time);
        if (backlog != nullptr)
            if (auto time = last_time(ruleset, *lines, now))
                backlog->reached = std::min(std::max(backlog->reached, *time), now);
        put(decided_, now);
    }
}

// What was counted since `before` was this source's.
void Pipeline::count_for(std::string_view source, const ScanCounts& before) {
    auto found = counts_by_source_.find(source);
    if (found == counts_by_source_.end())
        found = counts_by_source_.emplace(std::string(source), ScanCounts{}).first;
    ScanCounts after = counts();
    found->second.lines += after.lines - before.lines;
    found->second.candidates += after.candidates - before.candidates;
    found->second.hits += after.hits - before.hits;
}

// For several matchers, which read most of it themselves.
void Pipeline::read_backlog(Reader& reader, Instant now) {
    ScanCounts before = counts();
    Backlog& backlog = backlogs_[reader.tail.id()];
    auto take = [&](const auto& lines) {
        const Ruleset& ruleset = ruleset_for(reader);
        scan_->begin(ruleset, lines, now);
        decide(ruleset, &backlog, now);
    };
    bool more = true;
    for (std::size_t left = backlog_a_turn; more && left > 0;) {
        std::size_t read = 0;
        if (auto part = reader.tail.ahead(left)) {
            take(*part);
            auto [bytes, unfinished] = scan_->has_read();
            reader.tail.took(bytes, unfinished);
            read = bytes;
        } else {
            std::string_view lines;
            more = read_chunk(reader, lines, now);
            if (!lines.empty()) take(Chunk{0, lines, {}});
            read = Tail::backlog_read_size;  // also where it gave no lines: within one that was cut
        }
        left -= std::min(left, read);
    }
    count_for(source_of(reader), before);
    watch_.read_done(reader, more);
    if (!more) {
        backlogs_.erase(reader.tail.id());
        hits_ = Hits();
        scan_->give_back();
    }
}

// The next lines of a log; false if there are no more for now.
bool Pipeline::read_chunk(Reader& reader, std::string_view& lines, Instant now) {
    auto read = reader.tail.read(Tail::backlog_read_size);
    if (!read) {
        listener_.on_read_error(read.error());
        return false;
    }
    if (read->truncated) watch_.find_copy(reader, *read->truncated, now);
    lines = read->bytes;
    return read->more;
}

void Pipeline::scan_bytes(const Reader& reader, std::string_view bytes, Instant now) {
    if (bytes.empty()) return;
    ScanCounts before = counts();
    const Ruleset& ruleset = ruleset_for(reader);
    scan_->begin(ruleset, Chunk{0, bytes, {}}, now);
    decide(ruleset, reader.backlog ? &backlogs_[reader.tail.id()] : nullptr, now);
    count_for(source_of(reader), before);
}

void Pipeline::take_lines(std::string_view source, std::span<const JailIndex> jails,
                          const Chunk& lines, Arrival mode, Instant now) {
    ScanCounts before = counts();
    std::vector<JailIndex> key(jails.begin(), jails.end());
    auto& ruleset = stream_rulesets_[key];
    if (!ruleset) {
        const LogSpec& options = stream_options_[key.front()];
        ruleset = make_ruleset(*compiled_, key, zones_.at(options.timezone), options.escapes,
                               line_limit_);
    }
    if (mode == Arrival::log_time && !stream_backlog_) stream_backlog_.emplace();
    scan_->begin(*ruleset, lines, now);
    decide(*ruleset, mode == Arrival::log_time ? &*stream_backlog_ : nullptr, now);
    count_for(source, before);
}

void Pipeline::put(Outcome& outcome, Instant now) {
    for (const Question& question : std::exchange(outcome.questions, {}))
        listener_.on_question(question);
    if (outcome.events.empty()) return;
    dispatch_.on_events(outcome.events, now);
    for (const Event& event : outcome.events) listener_.on_event(event);
    outcome.events.clear();
}

void Pipeline::put_at_once(Outcome& outcome, Instant now) {
    put(outcome, now);
    Report report;
    dispatch_.flush(now, report);
    listener_.on_report(report);
}

void Pipeline::take_answer(const Answer& answer, Instant now) {
    Outcome outcome;
    engine_.on_answer(answer, now, outcome);
    put(outcome, now);
}

// While files are read in log time, time stands where the slowest of them is: a ban that has ended
// meanwhile still stood when those lines were written.
Instant Pipeline::log_time(Instant now) const {
    if (stream_backlog_) now = std::min(now, stream_backlog_->reached);
    for (const Reader& reader : watch_.readers()) {
        if (!reader.backlog) continue;
        auto reached = backlogs_.find(reader.tail.id());
        now = std::min(now,
                       reached == backlogs_.end() ? Instant{INT64_MIN} : reached->second.reached);
    }
    return now;
}

bool Pipeline::turn(Instant now) {
    for (Reader* reader : watch_.ready()) {
        if (reader->backlog && scan_->threads() > 1) {
            read_backlog(*reader, now);
            continue;
        }
        auto read = reader->tail.read();
        if (!read) {
            listener_.on_read_error(read.error());
            watch_.read_done(*reader, false);
            continue;
        }
        if (read->truncated) watch_.find_copy(*reader, *read->truncated, now);
        scan_bytes(*reader, read->bytes, now);
        watch_.read_done(*reader, read->more);
        if (!read->more) backlogs_.erase(reader->tail.id());
    }
    for (Reader* reader : watch_.expired(now)) {
        scan_bytes(*reader, reader->tail.flush_partial(), now);
        cut_lines_gone_ += reader->tail.counts().cut_lines;
        watch_.drop(*reader);
    }
    Outcome outcome;
    engine_.on_time(log_time(now), outcome);
    put(outcome, now);
    Report report;
    if (!stream_backlog_ && std::ranges::none_of(watch_.readers(), &Reader::backlog))
        dispatch_.release_removals(now, report);
    dispatch_.flush(now, report);
    listener_.on_report(report);
    return dispatch_.busy() || std::ranges::any_of(watch_.readers(), &Reader::ready);
}

std::uint64_t Pipeline::cut_lines() const {
    std::uint64_t cut = cut_lines_gone_;
    for (const Reader& reader : watch_.readers()) cut += reader.tail.counts().cut_lines;
    return cut + counts().cut;
}

void Pipeline::take_positions(std::vector<StoredPosition>& changed,
                              std::vector<std::pair<std::uint64_t, std::uint64_t>>& gone,
                              Instant now) {
    watch_.look(now);
    std::map<FileId, StoredPosition> current;
    for (const Reader& reader : watch_.readers()) {
        TailPosition at = reader.tail.position();
        StoredPosition stored{at.path,     at.id.device,          at.id.inode,        at.offset,
                              at.skipping, at.fingerprint.length, at.fingerprint.hash};
        current.insert_or_assign(at.id, std::move(stored));
    }
    for (const auto& [id, position] : current) {
        auto known = saved_.find(id);
        if (known == saved_.end() || known->second != position) changed.push_back(position);
    }
    for (const auto& [id, position] : saved_)
        if (!current.contains(id)) gone.emplace_back(id.device, id.inode);
    saved_ = std::move(current);
}

}  // namespace bandd
