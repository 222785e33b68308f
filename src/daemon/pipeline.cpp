// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/pipeline.h"

#include <algorithm>

namespace bandd {

void Pipeline::configure(const Config& config, const Compiled& compiled) {
    filters_.assign(engine_.jail_names().size(), {});
    for (std::size_t i = 0; JailIndex jail : engine_.jails())
        filters_[jail] = compiled.filters[i++];
    line_limit_ = config.line_limit;
    // Another one if threads differ, or `auto` became a number.
    scan_ = std::make_unique<ParallelScan>(config, counts());
    rulesets_.clear();
    zones_ = config.zones;
}

// Made when there is something to read for the first time: logs that stay empty cost nothing.
const Ruleset& Pipeline::ruleset_for(const Audience& audience) {
    auto& ruleset = rulesets_[audience];
    if (!ruleset)
        ruleset = make_ruleset(filters_, audience.jails, zones_.at(audience.timezone),
                               audience.escapes, line_limit_);
    return *ruleset;
}

// What is being scanned, piece by piece.
void Pipeline::decide(const Ruleset& ruleset, LogTime* time, const Lines& lines, Instant now) {
    const LogClock clock = lines.clock != nullptr ? *lines.clock : LogClock();
    Backlog* backlog = lines.backlog;
    while (auto scanned = scan_->next(hits_)) {
        clock.correct(hits_, now, backlog == nullptr);
        engine_.on_hits(hits_, now, decided_, time);
        health_.take(ruleset, *scanned, hits_, now);
        if (backlog != nullptr)
            if (auto last = last_time(ruleset, *scanned, now))
                backlog->reached =
                    std::min(std::max(backlog->reached, clock.correct(*last, now, false)), now);
        put(decided_, now);
    }
}

std::uint64_t Pipeline::too_old(const Audience& audience) const {
    std::uint64_t count = 0;
    for (JailIndex jail : audience.jails) count += engine_.counts(jail).too_old;
    return count;
}

// The last line of what was read is the one that was written just now.
void Pipeline::observe_clock(const Ruleset& ruleset, const Lines& lines, Instant now) {
    const auto* chunk = std::get_if<Chunk>(&lines.what);
    if (lines.clock == nullptr || !lines.just_written || lines.backlog != nullptr ||
        chunk == nullptr)
        return;
    auto last = last_time(ruleset, chunk->bytes, now);
    if (!last || (lines.clock->is_idle() && LogClock::agrees(*last, now)) ||
        last_time_names_zone(ruleset, chunk->bytes, now))
        return;
    if (lines.clock->observe(*last, now) && listener_.on_clock) listener_.on_clock(lines);
}

// Nothing: its lines arrive now.
LogTime* Pipeline::time_of(const Lines& lines, Instant now) {
    if (lines.backlog != nullptr) {
        lines.backlog->time.since = std::max(lines.backlog->time.since, resumed_);
        return &lines.backlog->time;
    }
    if (now - *caught_up_ <= prompt) return nullptr;
    // Each file has its own time: what another one says, of the same log even, is no later. A
    // writer may go on with a file that was rotated, and a link be switched back.
    std::string log(lines.log.empty() ? lines.source : lines.log);
    return &late_.try_emplace({std::move(log), lines.file}, LogTime{.since = *caught_up_})
                .first->second;
}

void Pipeline::note_turn(Instant now) {
    if (!caught_up_ || now < *caught_up_) caught_up_ = now;  // the clock may have been set back
    if (!turned_ || now < *turned_) turned_ = now;
}

bool Pipeline::wants_look() const {
    return caught_up_ && !sources_.is_ready() && *turned_ - *caught_up_ > prompt;
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
    found->second.gave_up += after.gave_up - before.gave_up;
}

// Between the begin of the turn and this, lines may have been written, and a while have gone by.
PartRead Pipeline::take(const Lines& lines, Instant begun) {
    Instant now = std::max(begun, clock_());
    ScanCounts before = counts();
    std::size_t bans_before = bans_;
    const Ruleset& ruleset = ruleset_for(lines.audience);
    scan_->begin(ruleset, lines.what, now);
    std::uint64_t old_before = too_old(lines.audience);
    decide(ruleset, time_of(lines, now), lines, now);
    std::uint64_t old = too_old(lines.audience) - old_before;
    if (old > 0 && lines.just_written && lines.backlog == nullptr && listener_.on_old)
        listener_.on_old(lines, old);
    if (std::uint64_t given_up = counts().gave_up - before.gave_up;
        given_up > 0 && listener_.on_given_up)
        listener_.on_given_up(lines, given_up);
    observe_clock(ruleset, lines, now);
    count_for(lines.source, before);
    PartRead read = scan_->has_read();
    read.bans = bans_ - bans_before;
    return read;
}

void Pipeline::put(Outcome& outcome, Instant now) {
    for (const Question& question : std::exchange(outcome.questions, {}))
        listener_.on_question(question);
    for (ToldHit& hit : std::exchange(outcome.told, {}))
        if (listener_.on_told) listener_.on_told(std::move(hit));
    if (outcome.events.empty()) return;
    dispatch_.on_events(outcome.events, now);
    for (const Event& event : outcome.events) {
        if (std::holds_alternative<Banned>(event)) ++bans_;
        listener_.on_event(event);
    }
    outcome.events.clear();
}

void Pipeline::put(const Report& report) {
    for (const Acknowledged& one : report.acknowledged) engine_.on_acknowledged(one);
    listener_.on_report(report);
}

void Pipeline::put_at_once(Outcome& outcome, Instant now) {
    put(outcome, now);
    Report report;
    dispatch_.flush(now, report, Dispatch::patience);
    put(report);
}

void Pipeline::take_answer(const Answer& answer, Instant now) {
    Outcome outcome;
    engine_.on_answer(answer, now, outcome);
    put(outcome, now);
}

bool Pipeline::turn(Instant begun) {
    bool had_backlog = sources_.reached().has_value();
    note_turn(begun);
    bool paused = pause_reading_ && pause_reading_();
    if (!paused) sources_.read(*this, begun);
    Instant now = std::max(begun, clock_());
    Instant before = std::exchange(*turned_, begun);
    if (!sources_.is_ready()) {
        caught_up_ = read_until_ = before;
        late_.clear();
    }
    auto reached = sources_.reached();
    if (had_backlog && !reached) {
        hits_ = Hits();
        scan_->give_back();
    }
    // While lines are read in log time, time is where the slowest log is: a ban that has ended
    // meanwhile was in force when those lines were written.
    Outcome outcome;
    if (!pause_reading_)
        engine_.on_time(reached ? std::min(now, *reached) : now, outcome, *caught_up_);
    put(outcome, now);
    Report report;
    if (!reached && !pause_reading_) dispatch_.release_removals();
    dispatch_.flush(now, report);
    put(report);
    return dispatch_.busy() || (sources_.is_ready() && !paused);
}

}  // namespace bandd
