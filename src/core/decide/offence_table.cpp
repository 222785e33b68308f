// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/offence_table.h"

namespace bandd {

std::uint32_t OffenceTable::first_of(const Prefix& prefix) const {
    return index_.find(BanKeyHash{}({any_jail, prefix}), [&](std::uint32_t slot) {
        return at(slot).first && at(slot).prefix == prefix;
    });
}

std::uint32_t OffenceTable::further_of(const BanKey& key) const {
    return index_.find(BanKeyHash{}(key), [&](std::uint32_t slot) {
        const Entry& entry = at(slot);
        return !entry.first && entry.jail == key.jail && entry.prefix == key.prefix;
    });
}

// Of the entry that has the count.
std::uint32_t OffenceTable::slot_of(const BanKey& key) const {
    std::uint32_t first = first_of(key.prefix);
    if (key.jail == any_jail) return first != none && at(first).over_all ? first : none;
    if (first != none && at(first).here && at(first).jail == key.jail) return first;
    return further_of(key);
}

std::optional<Offences> OffenceTable::find(const BanKey& key) const {
    std::uint32_t slot = slot_of(key);
    if (slot == none) return {};
    const Entry& entry = at(slot);
    return key.jail == any_jail ? Offences{entry.count_over_all, entry.last_over_all}
                                : Offences{entry.count, entry.last};
}

// A new one, or the place of the one that came first. Which one goes hardly matters.
std::uint32_t OffenceTable::free_slot() {
    if (size_ < limit_) {
        if (size_ % in_chunk == 0) chunks_.emplace_back().reserve(in_chunk);
        chunks_.back().emplace_back();
        return size_++;
    }
    std::uint32_t slot = oldest_;
    oldest_ = oldest_ + 1 == size_ ? 0 : oldest_ + 1;
    Entry& entry = at(slot);
    for_each_count(entry, [&](const BanKey& key, const Offences&) { gone_.push_back(key); });
    index_.erase(hash_of_entry(entry), slot);
    bool changed = entry.changed;
    entry = {};
    entry.changed = changed;
    return slot;
}

// The slot that has the count of `key`, or has it from now on.
std::uint32_t OffenceTable::put(const BanKey& key) {
    std::uint32_t slot = slot_of(key);
    if (slot != none) return slot;
    bool over_all = key.jail == any_jail;
    slot = first_of(key.prefix);
    if (slot == none || (!over_all && at(slot).here)) {
        bool is_first = slot == none;
        slot = free_slot();
        Entry& fresh = at(slot);
        fresh.prefix = key.prefix;
        fresh.jail = key.jail;
        // The first one may just have made room.
        fresh.first = is_first || first_of(key.prefix) == none;
        index_.insert(hash_of_entry(fresh), slot);
    }
    Entry& entry = at(slot);
    if (over_all) {
        entry.over_all = true;
    } else {
        entry.here = true;
        entry.jail = key.jail;
    }
    return slot;
}

OffenceTable::Counted OffenceTable::counted(std::uint32_t slot, const BanKey& key) {
    Entry& entry = at(slot);
    if (key.jail == any_jail) return {entry.count_over_all, entry.last_over_all};
    return {entry.count, entry.last};
}

OffenceTable::Counted OffenceTable::change(const BanKey& key) {
    std::uint32_t slot = put(key);
    mark(slot);
    return counted(slot, key);
}

void OffenceTable::restore(const BanKey& key, const Offences& offences) {
    Counted restored = counted(put(key), key);
    restored.count = offences.count;
    restored.last = offences.last;
}

}  // namespace bandd
