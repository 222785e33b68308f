// SPDX-License-Identifier: GPL-2.0-or-later
// How the state comes back at a start. A small one is there before anything else. Of a large one
// only what is not asked for by an address is; bans, windows and offences come piece by piece from
// the store's thread, beside lines that are read and bans that are made. What such a line needs to
// know of its address is fetched before it is decided, so it is decided as if all were there.
// Meanwhile nobody is served, no ban ends and no checkpoint is taken.
#pragma once

#include <optional>
#include <unordered_set>
#include <vector>

#include "core/decide/decision.h"
#include "source/source.h"

namespace bandd {

class Dispatch;
class Engine;
class Fleet;
class Log;
class Loop;
class Pipeline;
class Store;
struct Changes;
struct Piece;

class Restorer {
  public:
    // So many rows are waited for: they take some 30 ms.
    static constexpr std::size_t at_once = 32'768;
    // Keys that are fetched by themselves. At more, lines wait until all is there.
    static constexpr std::size_t most_recalled = 100'000;

    // All of it outlives it.
    struct Parts {
        Log& log;
        Loop& loop;
        Engine& engine;
        Dispatch& dispatch;
        Pipeline& pipeline;
        Store& store;
        Fleet* fleet;  // null: there is none
    };
    explicit Restorer(Parts parts) : parts_(parts) {}

    // What is waited for. Nothing: the state is broken. Begin with another engine then, as half of
    // the old state is worse than none; bans come back from the kernel's sets, windows from the
    // logs.
    std::optional<SavedSources> begin(Instant now);
    // There is more to come.
    bool restoring() const { return restoring_; }
    // A piece, if there is one. If the state turns out to be broken, what came is kept.
    void on_turn(Instant now);
    // All the rest; waits for it.
    void finish(Instant now);

  private:
    void take(Piece piece, Instant now);
    void take_head(Piece& piece, SavedSources& saved);
    void restore(Changes& changes, Instant now);
    void recall(const BanKey& key);
    bool is_recalled(const BanKey& key) const {
        return !recalled_.empty() && recalled_.contains(key);
    }
    void end();

    Parts parts_;
    bool restoring_ = false;
    bool beside_ = false;  // others go on meanwhile
    std::unordered_set<BanKey, BanKeyHash> recalled_;
    std::vector<std::uint32_t> slots_;  // of the bans of a piece
};

}  // namespace bandd
