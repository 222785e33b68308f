// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/offence_table.h"

namespace bandd {

OffenceTable::Entry& OffenceTable::put(const BanKey& key) {
    std::uint32_t slot = slot_of(key);
    if (slot != SlotIndex::none) return entries_[slot];
    if (entries_.size() < limit_) {
        slot = static_cast<std::uint32_t>(entries_.size());
        entries_.emplace_back().key = key;
    } else {
        // Which one goes hardly matters.
        slot = oldest_;
        oldest_ = oldest_ + 1 == entries_.size() ? 0 : oldest_ + 1;
        Entry& entry = entries_[slot];
        gone_.push_back(entry.key);
        index_.erase(BanKeyHash{}(entry.key), slot);
        entry.key = key;
        entry.offences = {};
    }
    index_.insert(BanKeyHash{}(key), slot);
    return entries_[slot];
}

Offences& OffenceTable::change(const BanKey& key) {
    Entry& entry = put(key);
    mark(slot_of(key));
    return entry.offences;
}

}  // namespace bandd
