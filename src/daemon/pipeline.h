// SPDX-License-Identifier: GPL-2.0-or-later
// READ FIRST: the way of a line through the daemon. A turn is: read what is ready, scan, decide,
// one batch for each backend, tell. Nothing returns along this way; commands, failed orders and a
// flushed set enter as new events.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "action/dispatch.h"
#include "config/compile.h"
#include "config/types.h"
#include "core/decide/engine.h"
#include "core/decide/log_time.h"
#include "source/parallel_scan.h"
#include "source/watch.h"
#include "store/store.h"

namespace bandd {

// What is read in the time of its log.
struct Backlog {
    LogTime time;
    Instant reached{INT64_MIN};  // by its last line
};

class Pipeline {
  public:
    struct Listener {
        std::function<void(const Event&)> on_event;
        std::function<void(const Question&)> on_question;
        std::function<void(const Report&)> on_report;
        std::function<void(const Error&)> on_read_error;
    };
    Pipeline(Engine& engine, Dispatch& dispatch, Watch& watch, Listener listener)
        : engine_(engine), dispatch_(dispatch), watch_(watch), listener_(std::move(listener)) {}

    // The configuration to run on. `saved`: positions of a checkpoint, at start.
    void configure(const Config& config, std::shared_ptr<const Compiled> compiled,
                   Watch::Saved saved, std::optional<FileId> own_log, Instant now);

    // One turn. True: there is more to read at once.
    bool turn(Instant now);
    // Sends what `outcome` (of a command, say) holds on its way.
    void put(Outcome& outcome, Instant now);
    // The same; the kernel has it when this returns.
    void put_at_once(Outcome& outcome, Instant now);
    void take_answer(const Answer& answer, Instant now);

    // Lines that come from no file, for these jails (in order). With Arrival::log_time, they are a
    // backlog until `end_backlog`.
    // `source`: what they are counted under.
    void take_lines(std::string_view source, std::span<const JailIndex> jails, const Chunk& lines,
                    Arrival mode, Instant now);
    void end_backlog() { stream_backlog_.reset(); }

    // Positions that changed since the last call, for a checkpoint; and files no longer read.
    void take_positions(std::vector<StoredPosition>& changed,
                        std::vector<std::pair<std::uint64_t, std::uint64_t>>& gone, Instant now);

    ScanCounts counts() const { return scan_->counts(); }
    // The same by source: a jail's `logpath`, "journal", "stdin", where it is listened. What a jail
    // gave up reading stays.
    const std::map<std::string, ScanCounts, std::less<>>& counts_by_source() const {
        return counts_by_source_;
    }
    std::uint64_t cut_lines() const;
    // The indexes into Watch::logs() that a jail reads.
    const std::vector<std::size_t>& logs_of(JailIndex jail) const { return logs_of_jail_[jail]; }

  private:
    const Ruleset& ruleset_for(const Reader& reader);
    Instant log_time(Instant now) const;
    void scan_bytes(const Reader& reader, std::string_view bytes, Instant now);
    void read_backlog(Reader& reader, Instant now);
    bool read_chunk(Reader& reader, std::string_view& lines, Instant now);
    void decide(const Ruleset& ruleset, Backlog* backlog, Instant now);

    Engine& engine_;
    Dispatch& dispatch_;
    Watch& watch_;
    Listener listener_;
    std::shared_ptr<const Compiled> compiled_;
    std::vector<std::vector<JailIndex>> jails_of_log_;
    std::vector<std::vector<std::size_t>> logs_of_jail_;
    std::map<std::set<std::size_t>, std::shared_ptr<const Ruleset>> rulesets_;
    void count_for(std::string_view source, const ScanCounts& before);
    const std::string& source_of(const Reader& reader) const {
        return watch_.logs()[*reader.logs.begin()].spec.path;
    }
    std::map<std::string, ScanCounts, std::less<>> counts_by_source_;
    std::unique_ptr<ParallelScan> scan_ = std::make_unique<ParallelScan>(1);
    std::map<FileId, Backlog> backlogs_;
    std::map<std::vector<JailIndex>, std::shared_ptr<const Ruleset>> stream_rulesets_;
    std::optional<Backlog> stream_backlog_;
    std::vector<LogSpec> stream_options_;  // by jail
    std::map<std::string, Zone, std::less<>> zones_;
    Hits hits_;
    Outcome decided_;  // of them; empty between, but for its memory
    std::map<FileId, StoredPosition> saved_;
    std::uint64_t cut_lines_gone_ = 0;
    std::size_t line_limit_ = 65536;
};

}  // namespace bandd
