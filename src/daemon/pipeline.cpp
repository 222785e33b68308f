// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/pipeline.h"

#include <algorithm>

namespace bandd {

void Pipeline::configure(const Config& config, const Compiled& compiled) {
    filters_.assign(engine_.jail_names().size(), {});
    for (std::size_t i = 0; JailIndex jail : engine_.jails())
        filters_[jail] = compiled.filters[i++];
    line_limit_ = config.line_limit;
    unsigned threads = threads_of(config);
    if (threads != scan_->threads()) scan_ = std::make_unique<ParallelScan>(threads, counts());
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
void Pipeline::decide(const Ruleset& ruleset, LogTime* time, Backlog* backlog, Instant now) {
    while (auto lines = scan_->next(hits_)) {
        engine_.on_hits(hits_, now, decided_, time);
        if (backlog != nullptr)
            if (auto last = last_time(ruleset, *lines, now))
                backlog->reached = std::min(std::max(backlog->reached, *last), now);
        put(decided_, now);
    }
}

// Nothing: its lines arrive now.
LogTime* Pipeline::time_of(const Lines& lines) {
    if (lines.backlog != nullptr) return &lines.backlog->time;
    if (!is_late_) return nullptr;
    auto found = late_.find(lines.source);
    if (found == late_.end())
        found = late_.emplace(std::string(lines.source), LogTime{.since = *caught_up_}).first;
    return &found->second;
}

void Pipeline::note_promptness(Instant now) {
    if (!caught_up_ || now < *caught_up_) caught_up_ = now;  // the clock may have been set back
    is_late_ = now - *caught_up_ > prompt;
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

PartRead Pipeline::take(const Lines& lines, Instant now) {
    ScanCounts before = counts();
    const Ruleset& ruleset = ruleset_for(lines.audience);
    scan_->begin(ruleset, lines.what, now);
    decide(ruleset, time_of(lines), lines.backlog, now);
    count_for(lines.source, before);
    return scan_->has_read();
}

void Pipeline::put(Outcome& outcome, Instant now) {
    for (const Question& question : std::exchange(outcome.questions, {}))
        listener_.on_question(question);
    if (outcome.events.empty()) return;
    dispatch_.on_events(outcome.events, now);
    for (const Event& event : outcome.events) listener_.on_event(event);
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

bool Pipeline::turn(Instant now) {
    bool had_backlog = sources_.reached().has_value();
    note_promptness(now);
    sources_.read(*this, now);
    if (!sources_.is_ready()) {
        caught_up_ = now;
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
    engine_.on_time(reached ? std::min(now, *reached) : now, outcome);
    put(outcome, now);
    Report report;
    if (!reached) dispatch_.release_removals();
    dispatch_.flush(now, report);
    put(report);
    return dispatch_.busy() || sources_.is_ready();
}

}  // namespace bandd
