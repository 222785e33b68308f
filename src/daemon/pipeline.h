// SPDX-License-Identifier: GPL-2.0-or-later
// READ FIRST: the way of a line through the daemon. A turn is: read what is ready, scan, decide,
// one batch for each backend, tell. Each step calls the next one and waits for nothing. What comes
// later (a command, an answer, what became of an order) is a call of its own: `put`, `take_answer`.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "action/dispatch.h"
#include "config/compile.h"
#include "config/types.h"
#include "core/decide/engine.h"
#include "core/decide/filter_health.h"
#include "source/parallel_scan.h"
#include "source/sources.h"
#include "store/store.h"

namespace bandd {

class Pipeline : private LineTaker {
  public:
    struct Listener {
        std::function<void(const Event&)> on_event;
        std::function<void(const Question&)> on_question;
        std::function<void(const Report&)> on_report;
        // Of the log of these lines: what is added to its dates is another one now.
        std::function<void(const Lines&)> on_clock = {};
        // So many hits of these lines, which were written just now, were too old to count.
        std::function<void(const Lines&, std::uint64_t)> on_old = {};
        // So many of these lines were too much for PCRE2.
        std::function<void(const Lines&, std::uint64_t)> on_given_up = {};
        std::function<void(ToldHit)> on_told = {};
    };
    // `clock`: the time as it is. Who is held up within a turn reads what was written since it
    // began.
    using Clock = std::function<Instant()>;
    Pipeline(Engine& engine, Dispatch& dispatch, Sources& sources, Listener listener, Clock clock)
        : engine_(engine),
          dispatch_(dispatch),
          sources_(sources),
          listener_(std::move(listener)),
          clock_(std::move(clock)) {}

    // The configuration to run on, whose jails the engine has.
    void configure(const Config& config, const Compiled& compiled);

    // Who comes to his lines so late (was stopped, suspended, held up by a disk or a flood) has a
    // backlog: they count as if they had been read when they were written.
    static constexpr Duration prompt = std::chrono::seconds(1);

    // One turn. True: there is more to read at once.
    bool turn(Instant begun);
    // What there was to read before a turn is known after the loop has asked the kernel once more:
    // who was stopped wakes between the two. True: ask, and turn again, so that waiting for lines
    // is not taken for being late with them.
    bool wants_look() const;
    // Sends what `outcome` (of a command, say) holds on its way.
    void put(Outcome& outcome, Instant now);
    // What became of orders: what sets acknowledged is for the engine, the rest for the listener.
    void put(const Report& report);
    // Sends what `outcome` holds on its way; the kernel has it when this returns.
    void put_at_once(Outcome& outcome, Instant now);
    void take_answer(const Answer& answer, Instant now);

    // When nothing was left to read, the last time, be it in a life before. Lines of a backlog were
    // written later, whatever they say. Nothing: it is not known.
    std::optional<Instant> read_until() const { return read_until_; }
    void resume(Instant read_until) { read_until_ = resumed_ = read_until; }

    // Bans come back from a large state: none ends, and none is taken out of a set.
    // `pause_reading`: as long as it says so, no lines are read either.
    void begin_restoring(std::function<bool()> pause_reading) {
        pause_reading_ = std::move(pause_reading);
    }
    void end_restoring() { pause_reading_ = {}; }

    ScanCounts counts() const { return scan_->counts(); }
    // By source: a jail's `logpath`, "journal", "stdin", a syslog address. Sources that are
    // not read any more keep theirs.
    const std::map<std::string, ScanCounts, std::less<>>& counts_by_source() const {
        return counts_by_source_;
    }
    // Whether filters still know what their programs write.
    FilterHealth& health() { return health_; }
    const FilterHealth& health() const { return health_; }
    // Null: the jail reads nothing.
    const Filter* filter_of(JailIndex jail) const {
        return jail < filters_.size() ? filters_[jail].get() : nullptr;
    }
    std::uint64_t cut_archives() const { return sources_.files().watch().cut_archives(); }
    std::uint64_t cut_lines() const { return sources_.files().watch().cut_lines() + counts().cut; }

  private:
    PartRead take(const Lines& lines, Instant begun) override;
    bool takes_parts() const override { return scan_->threads() > 1; }
    const Ruleset& ruleset_for(const Audience& audience);
    void decide(const Ruleset& ruleset, LogTime* time, const Lines& lines, Instant now);
    std::uint64_t too_old(const Audience& audience) const;
    void observe_clock(const Ruleset& ruleset, const Lines& lines, Instant now);
    LogTime* time_of(const Lines& lines, Instant now);
    void note_turn(Instant now);
    void count_for(std::string_view source, const ScanCounts& before);

    Engine& engine_;
    Dispatch& dispatch_;
    Sources& sources_;
    Listener listener_;
    Clock clock_;
    JailFilters filters_;  // by jail
    std::map<Audience, std::shared_ptr<const Ruleset>> rulesets_;
    std::map<std::string, ScanCounts, std::less<>> counts_by_source_;
    std::unique_ptr<ParallelScan> scan_ = std::make_unique<ParallelScan>(1);
    std::map<std::string, Zone, std::less<>> zones_;
    std::optional<Instant> caught_up_;  // all that was written before was read, or reading began
    std::optional<Instant> turned_;     // when the last turn began
    std::optional<Instant> read_until_;
    Instant resumed_{INT64_MIN};  // what that was at the start
    // By log and file, until all is read.
    std::map<std::pair<std::string, std::uint64_t>, LogTime> late_;
    FilterHealth health_;
    std::function<bool()> pause_reading_;  // while bans are restored
    std::size_t bans_ = 0;
    Hits hits_;
    Outcome decided_;  // of them; empty between, but for its memory
    std::size_t line_limit_ = 65536;
};

}  // namespace bandd
