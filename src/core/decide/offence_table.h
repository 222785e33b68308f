// SPDX-License-Identifier: GPL-2.0-or-later
// How often each address was banned, for a jail or for all of them (`any_jail`). Two entries for
// each banned address, of some 50 bytes with their place in the index.
//
// One thread. Deterministic.
#pragma once

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

#include "core/decide/changes.h"
#include "core/decide/slot_index.h"

namespace bandd {

class OffenceTable {
  public:
    explicit OffenceTable(std::size_t limit) : limit_(std::max<std::size_t>(limit, 1)) {}

    std::size_t size() const { return entries_.size(); }
    const Offences* find(const BanKey& key) const {
        std::uint32_t slot = slot_of(key);
        return slot == SlotIndex::none ? nullptr : &entries_[slot].offences;
    }
    // To be changed. Of a key that is not there: none so far; if the table is full, the one that
    // came first is forgotten for it.
    Offences& change(const BanKey& key);
    // From a checkpoint.
    void restore(const BanKey& key, const Offences& offences) { put(key).offences = offences; }

    // Visits entries that changed and were not visited since; no count: it is forgotten. Each takes
    // one of `most`, which counts down.
    template <class Visitor>
    void take_changes(Visitor&& visit, std::size_t& most) {
        for (; most > 0 && !gone_.empty(); --most, gone_.pop_back())
            if (find(gone_.back()) == nullptr) visit(gone_.back(), Offences{});
        for (; most > 0 && !changed_.empty(); --most, changed_.pop_back()) {
            Entry& entry = entries_[changed_.back()];
            entry.changed = false;
            visit(entry.key, entry.offences);
        }
        if (gone_.empty()) gone_ = {};  // gives the memory back
        if (changed_.empty()) changed_ = {};
    }
    std::size_t waiting_changes() const { return gone_.size() + changed_.size(); }
    void mark_all_changed() {
        for (std::uint32_t slot = 0; slot < entries_.size(); ++slot) mark(slot);
    }

  private:
    struct Entry {
        BanKey key;
        Offences offences;
        bool changed = false;  // it stands in changed_
    };
    std::uint32_t slot_of(const BanKey& key) const {
        return index_.find(BanKeyHash{}(key),
                           [&](std::uint32_t slot) { return entries_[slot].key == key; });
    }
    Entry& put(const BanKey& key);
    void mark(std::uint32_t slot) {
        if (!std::exchange(entries_[slot].changed, true)) changed_.push_back(slot);
    }

    std::size_t limit_;
    SlotIndex index_;
    std::deque<Entry> entries_;  // never moved: growing holds nobody up
    std::uint32_t oldest_ = 0;   // whose place is taken next
    std::vector<std::uint32_t> changed_;
    std::vector<BanKey> gone_;
};

}  // namespace bandd
