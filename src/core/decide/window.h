// SPDX-License-Identifier: GPL-2.0-or-later
// The sliding windows of one jail: for each key the times of its last hits.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/base/address.h"
#include "core/base/instant.h"
#include "core/decide/window_memory.h"

namespace bandd {

// Exact: a key is full when `maxretry` of its hits lie within `findtime`, both ends included.
// Hits may come out of order; a key keeps its newest maxretry-1. A hit of weight w is w hits at the
// same time.
//
// Memory: what core/decide/window_memory says of a key and its times, whatever maxretry is. At
// `limit` keys one makes room and is counted: of those furthest from a ban the one that was hit
// longest ago, so that a flood of addresses with one hit each pushes out no attacker who is about
// to be banned.
class WindowTable {
  public:
    // `distinct`: hits count by their values; a value that is in the window already only becomes
    // newer.
    // `memory`: which it shares with other tables.
    WindowTable(std::uint32_t maxretry, Duration findtime, std::size_t limit, bool distinct = false,
                std::shared_ptr<WindowMemory> memory = std::make_shared<WindowMemory>());

    struct Added {
        // Of this key within findtime, this one included; one of weight w is w, at most maxretry.
        std::uint32_t hits = 0;
        bool full = false;                // maxretry reached; the key is forgotten
        std::uint64_t previous_note = 0;  // the note given with the key's last hit, 0 if none
        // If full and distinct: the values of its other hits, oldest first; until the next call.
        std::span<const std::uint64_t> others;
    };
    // `note`: a number of the caller's for this hit, not 0; the key's next hit gives it back.
    // `value`: a hash of what must be distinct; then each weighs 1.
    Added add(const Prefix& key, Instant at, std::uint64_t note, std::uint64_t value = 0,
              std::uint32_t weight = 1);

    // Would `add` say that the key is full? `from`: hits before it do not count.
    bool would_fill(const Prefix& key, Instant at, Instant from, std::uint64_t value = 0,
                    std::uint32_t weight = 1) const;

    bool erase(const Prefix& key);
    // Makes room, as for one key more than `limit`. False: it is empty.
    bool evict();
    // Hits of the key before `from` count no longer.
    void forget_before(const Prefix& key, Instant from);
    // Forgets keys whose last hit is older than findtime. Returns how many.
    std::size_t expire(Instant now);
    void clear();
    // Goes on with other rules, from the kept times; unless `distinct` changes, which only an empty
    // table may.
    void resize(std::uint32_t maxretry, Duration findtime, std::size_t limit, bool distinct);

    struct View {
        std::span<const Instant> times;         // ascending
        std::span<const std::uint64_t> values;  // of these, if they must be distinct
        std::uint64_t note = 0;
    };
    std::optional<View> find(const Prefix& key) const;
    // Has memory fetch a window that will be looked up soon.
    void fetch(const Prefix& key) const;

    // Those furthest from a ban first; of these, those first that were hit longest ago.
    template <class Visitor>
    void for_each(Visitor&& visit) const {
        for_each_slot([&](std::uint32_t slot) { visit(keys_[slot].key, view(slot)); });
    }
    // For a look at all keys that can stop and go on a turn later: by slots, which tables that
    // share their memory share, too.
    std::size_t slots() const { return keys_.memory()->slots(); }
    // Of a slot, taken or not.
    const Prefix& key_in(std::uint32_t slot) const { return keys_[slot].key; }
    bool has(std::uint32_t slot) const { return keys_.has(slot); }
    // Puts a key back as a checkpoint has it; `times` ascending. `stored`: it need not be written
    // again. Times without values are nothing to a table that wants these, nor the other way round.
    void restore(const Prefix& key, std::span<const Instant> times,
                 std::span<const std::uint64_t> values, bool stored);

    // Visits keys that changed and were not visited since, with their windows. A window without
    // times: the key is gone, and the state, which has it, is to forget it. Each takes one of
    // `most`, which counts down.
    template <class Visitor>
    void take_changes(Visitor&& visit, std::size_t& most) {
        for (; most > 0 && !gone_.empty(); --most) {
            Prefix key = gone_.back();
            gone_.pop_back();
            if (std::uint32_t back = keys_.find(key); back != none)
                keys_[back].stored = true;  // the state has what was there before
            else
                visit(key, View{});
        }
        for (; most > 0 && !dirty_.empty(); --most) {
            std::uint32_t slot = dirty_.back();
            dirty_.pop_back();
            if (!is_dirty(slot)) continue;
            WindowKeys::Slot& s = keys_[slot];
            s.dirty = false;
            s.stored = true;
            visit(s.key, view(slot));
        }
        if (gone_.empty()) gone_ = {};  // gives the memory back
        if (dirty_.empty()) dirty_ = {};
    }
    // So many at most would be visited.
    std::size_t waiting_changes() const { return gone_.size() + dirty_.size(); }

    // A checkpoint has none of them any more.
    void mark_all_changed();

    std::size_t size() const { return keys_.size(); }
    std::uint64_t evicted() const { return evicted_; }

  private:
    static constexpr std::uint32_t none = WindowKeys::none;
    template <class Visitor>
    void for_each_slot(Visitor&& visit) const {
        for (std::size_t group = 0; group < WindowKeys::groups; ++group)
            for (std::uint32_t slot = keys_.oldest(group); slot != none; slot = keys_[slot].newer)
                visit(slot);
    }
    View view(std::uint32_t slot) const;
    void erase_times(std::uint32_t slot, std::size_t first, std::size_t count);
    void put_times(WindowKeys::Slot& s, Instant at, std::uint64_t value, std::uint32_t weight);
    std::uint32_t insert(const Prefix& key);
    void remove(std::uint32_t slot);
    void relink(std::uint32_t slot);
    std::uint8_t group_of(std::uint32_t count) const;
    void mark(std::uint32_t slot);
    // Whether one that `mark` was told of is still this table's, and to be told of.
    bool is_dirty(std::uint32_t slot) const;
    bool is_full(std::size_t hits, Instant newest, Instant at) const;
    WindowTable begin_anew(std::uint32_t maxretry, Duration findtime, std::size_t limit,
                           bool distinct);

    std::uint32_t maxretry_;
    Duration findtime_;
    std::size_t limit_;
    std::size_t most_times_;  // kept for each key
    bool distinct_ = false;
    WindowKeys keys_;
    std::vector<std::uint64_t> others_;  // see Added
    std::vector<std::uint32_t> dirty_;
    std::vector<Prefix> gone_;  // stored keys that were removed
    std::uint64_t evicted_ = 0;
};

}  // namespace bandd
