// SPDX-License-Identifier: GPL-2.0-or-later
// The sliding windows of one jail: for each key the times of its last hits.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/address.h"
#include "core/base/instant.h"
#include "core/decide/slot_index.h"

namespace bandd {

// Exact: a key is full when `maxretry` of its hits lie within `findtime`, both ends included.
// Hits may come out of order; a key keeps its newest maxretry-1.
//
// Memory: slots in arrays, some 60 bytes a key and 8 for each kept hit. At `limit` keys one makes
// room and is counted: of those furthest from a ban the one that was hit longest ago, so that a
// flood of addresses with one hit each pushes out no attacker who is about to be banned.
class WindowTable {
  public:
    // `distinct`: hits count by their values; a value that is in the window already only becomes
    // newer.
    WindowTable(std::uint32_t maxretry, Duration findtime, std::size_t limit,
                bool distinct = false);

    struct Added {
        std::uint32_t hits = 0;           // of this key within findtime, this one included
        bool full = false;                // maxretry reached; the key is forgotten
        std::uint64_t previous_note = 0;  // the note given with the key's last hit, 0 if none
        // If full and distinct: the values of its other hits, oldest first; until the next call.
        std::span<const std::uint64_t> others;
    };
    // `note`: a number of the caller's for this hit, not 0; the key's next hit gives it back.
    // `value`: a hash of what must be distinct.
    Added add(const Prefix& key, Instant at, std::uint64_t note, std::uint64_t value = 0);

    // Would `add` say that the key is full? `from`: hits before it do not count.
    bool would_fill(const Prefix& key, Instant at, Instant from, std::uint64_t value = 0) const;

    bool erase(const Prefix& key);
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
        for (const Line& line : lines_)
            for (std::uint32_t slot = line.oldest; slot != none; slot = slots_[slot].newer)
                visit(slots_[slot].key, view(slot));
    }
    // Puts a key back as a checkpoint has it; `times` ascending. `stored`: it need not be written
    // again. Times without values are nothing to a table that wants these, nor the other way round.
    void restore(const Prefix& key, std::span<const Instant> times,
                 std::span<const std::uint64_t> values, bool stored);

    // Visits the keys that changed since the last call, with their windows. A window without times:
    // the key is gone, and the state, which has it, is to forget it.
    template <class Visitor>
    void take_changes(Visitor&& visit) {
        for (const Prefix& key : gone_) {
            if (slot_of(key) == none) visit(key, View{});
        }
        gone_ = {};
        for (std::uint32_t slot : dirty_) {
            Slot& s = slots_[slot];
            if (!s.dirty) continue;
            s.dirty = false;
            s.stored = true;
            visit(s.key, view(slot));
        }
        dirty_ = {};
    }

    // A checkpoint has none of them any more.
    void mark_all_changed();

    std::size_t size() const { return index_.size(); }
    std::uint64_t evicted() const { return evicted_; }
    std::size_t memory() const;

  private:
    static constexpr std::uint32_t none = SlotIndex::none;
    static constexpr std::size_t groups = 8;  // by how near a key is to a ban
    struct Line {                             // keys of one group, threaded by last hit
        std::uint32_t oldest = none, newest = none;
    };
    struct Slot {
        Prefix key;
        std::uint16_t count = 0;
        std::uint8_t group = 0;
        bool dirty = false;   // in dirty_, and to be told of
        bool stored = false;  // a checkpoint has it
        std::uint32_t older = none, newer = none;
        std::uint64_t note = 0;
    };
    View view(std::uint32_t slot) const;
    Instant* times(std::uint32_t slot) { return &times_[std::size_t{slot} * stride_]; }
    const Instant* times(std::uint32_t slot) const { return &times_[std::size_t{slot} * stride_]; }
    void erase_times(std::uint32_t slot, std::size_t first, std::size_t count);
    std::uint32_t slot_of(const Prefix& key) const;  // none if it is not there
    std::uint32_t insert(const Prefix& key);
    void remove(std::uint32_t slot);
    void unlink(std::uint32_t slot);
    void link_newest(std::uint32_t slot);
    std::uint8_t group_of(std::uint32_t count) const;
    void mark(std::uint32_t slot);
    bool is_full(std::size_t others, Instant newest, Instant at) const;
    WindowTable begin_anew(std::uint32_t maxretry, Duration findtime, std::size_t limit,
                           bool distinct);

    std::uint32_t maxretry_;
    Duration findtime_;
    std::size_t limit_;
    std::size_t stride_;  // times kept for each key
    SlotIndex index_;
    std::vector<Slot> slots_;
    std::vector<Instant> times_;
    bool distinct_ = false;
    std::vector<std::uint64_t> values_;  // beside times_, if distinct
    std::vector<std::uint32_t> free_;
    std::array<Line, groups> lines_;
    std::vector<std::uint32_t> dirty_;
    std::vector<Prefix> gone_;  // stored keys that were removed
    std::uint64_t evicted_ = 0;
};

}  // namespace bandd
