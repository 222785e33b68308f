// SPDX-License-Identifier: GPL-2.0-or-later
// When the state is written, and what: log positions, the engine's changes and notes, all of one
// moment between two turns. The store writes it, on a thread of its own. How it
// comes back at a start: daemon/restorer.h.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "source/source.h"

namespace bandd {

class Engine;
class Fleet;
class Log;
class Loop;
class Overrides;
class Pipeline;
class Store;
class Sources;
struct Checkpoint;
struct Config;

class Checkpointer {
  public:
    ~Checkpointer();
    // A checkpoint that failed is tried again this often.
    static constexpr Duration retry_pause = std::chrono::seconds(5);
    // Changes are taken a slice a turn, so that many of them hold up no ban. A slice is larger by
    // what changed since the one before: there is an end, however busy the engine is.
    static constexpr std::size_t slice = 4096;
    // Once it is on disk, memory need not hold what led to bans: it is let go by so many bans a
    // turn, and if they were many, what they took is given back to the system.
    static constexpr std::size_t details_a_turn = 512;
    static constexpr std::size_t worth_giving_back = 10'000;
    // Whoever waits for what he ordered to be on disk waits no longer than this.
    static constexpr Duration longest_wait = std::chrono::seconds(5);

    // What it reads the state from, and writes it to at a start. All of it outlives it.
    struct Parts {
        const Config& config;  // what is in force at any time
        Log& log;
        Loop& loop;
        Engine& engine;
        Pipeline& pipeline;
        Sources& sources;
        const Overrides& overrides;
        Fleet* fleet = nullptr;  // null: there is none
    };
    // `lost`: the state is a new one, as there was no good one. `on_first`: the first checkpoint is
    // written.
    static Result<std::unique_ptr<Checkpointer>> start(Parts parts, std::unique_ptr<Store> store,
                                                       bool lost, std::function<void()> on_first);

    // At a start the state is found to be broken. One that breaks later is written anew from
    // memory.
    void on_lost();
    // True once after the state was lost.
    bool take_lost() { return std::exchange(lost_, false); }

    // Something happened that is to be written, after at most `checkpoint:`.
    void changed() { dirty_ = true; }
    // With the next turn: it is in no log to be read again.
    void write_soon();
    // The same of what a person ordered, which outlives a loss of power, too.
    void write_for_good() {
        write_soon();
        must_last_ = true;
    }
    // Calls `then` once all that happened until now is handed to the store: at once, unless that is
    // much, or a write is under way.
    void hand_over(Instant now, std::function<void()> then);
    // Calls `then`, on a later turn, once all that happened until now is on disk; with an error if
    // it could not be written there by now.
    using Written = std::function<void(const std::optional<Error>& why_not)>;
    void when_written(Instant now, Written then);
    // Tells those who wait that it takes too long, or fails. Each turn, and at `next_answer`.
    void answer_late(Instant now);
    std::optional<Instant> next_answer() const;
    // Between two turns. Takes a slice of what is to be written.
    void on_turn(Instant now);
    std::optional<Instant> next_deadline(Instant now) const;
    // The last one: waits until it is written.
    void finish(Instant now);

    // For requests about what is on disk.
    Store& store() { return *store_; }
    // Why the state cannot be written, while that is so.
    const std::optional<Error>& error() const { return error_; }

  private:
    Checkpointer(Parts parts, std::unique_ptr<Store> store, bool lost,
                 std::function<void()> on_first);
    Result<> listen();
    void begin(Instant now);
    std::size_t waiting_changes() const;
    void take_slice(Instant now);
    void complete(Instant now);
    void take_notes(Checkpoint& checkpoint, const std::string& journal_cursor);
    Duration pause() const;
    bool waits_for_store() const;
    void on_stored();
    void settle_fleet();
    // Those for whom `ready` is true.
    struct Waiting;
    void tell(const std::function<bool(const Waiting&)>& ready,
              const std::optional<Error>& why_not);
    void tell_written();
    void forget_details();

    // Notes as the last checkpoint has them.
    struct Notes {
        std::string journal, conversations, sessions, waiting, read_until;
        std::uint64_t health = 0, overrides = 0;  // their versions
    };
    Parts parts_;
    std::unique_ptr<Store> store_;
    bool lost_ = false;
    std::function<void()> on_first_;
    std::optional<Error> error_;
    Notes written_;
    std::unique_ptr<Checkpoint> taking_;  // what was taken on turns before
    std::size_t left_ = 0;                // changes that waited after the last slice
    bool forgetting_ = false;             // there are details that are on disk
    std::size_t freed_ = 0;               // bans that take less memory since it was given back
    bool many_freed_ = false;             // when it was given back last, they were many
    std::vector<std::function<void()>> handed_over_;
    struct Waiting {
        Instant until;
        Written then;
        bool taken = false;  // by the checkpoint that is being written, not by the next one
    };
    std::vector<Waiting> waiting_;  // the first to ask first
    // What the fleet's server need not send again: once the checkpoint that is being written is.
    std::function<void()> settle_fleet_;
    bool dirty_ = false;  // something happened since the last checkpoint
    bool soon_ = false;   // as of `write_soon`
    bool must_last_ = false;
    Instant last_;  // when the last one was taken
    std::uint64_t seen_lines_ = 0;
};

}  // namespace bandd
