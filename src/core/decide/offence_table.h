// SPDX-License-Identifier: GPL-2.0-or-later
// How often each address was banned, for a jail and over all of them (`any_jail`). Nearly all were
// banned by one jail only, so an entry holds both counts: 48 bytes, and some 13 for its place in
// the index. Further jails have entries of their own.
//
// One thread. Deterministic.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/decide/changes.h"
#include "core/decide/slot_index.h"

namespace bandd {

class OffenceTable {
  public:
    // `limit`: entries.
    explicit OffenceTable(std::size_t limit) : limit_(std::max<std::size_t>(limit, 1)) {}

    std::size_t size() const { return size_; }
    std::optional<Offences> find(const BanKey& key) const;
    // To be changed. Of a key that is not there: none so far; if the table is full, the address
    // that came first is forgotten for it. Good until the next call.
    struct Counted {
        std::uint32_t& count;
        Instant& last;
    };
    Counted change(const BanKey& key);
    // From a checkpoint.
    void restore(const BanKey& key, const Offences& offences);

    // Visits counts of entries that changed and were not visited since; no count: it is forgotten.
    // Each entry takes one of `most`, which counts down.
    template <class Visitor>
    void take_changes(Visitor&& visit, std::size_t& most) {
        for (; most > 0 && !gone_.empty(); --most, gone_.pop_back())
            if (!find(gone_.back())) visit(gone_.back(), Offences{});
        for (; most > 0 && !changed_.empty(); --most, changed_.pop_back()) {
            Entry& entry = at(changed_.back());
            entry.changed = false;
            for_each_count(entry, visit);
        }
        if (gone_.empty()) gone_ = {};  // gives the memory back
        if (changed_.empty()) changed_ = {};
    }
    std::size_t waiting_changes() const { return gone_.size() + changed_.size(); }
    void mark_all_changed() {
        for (std::uint32_t slot = 0; slot < size_; ++slot) mark(slot);
    }

  private:
    static constexpr std::uint32_t none = SlotIndex::none;
    struct Entry {
        Prefix prefix;
        bool first : 1 = false;     // of this prefix: it has the count over all jails, too
        bool here : 1 = false;      // it has a count of its jail
        bool over_all : 1 = false;  // the other one is counted
        bool changed : 1 = false;   // it stands in changed_
        JailIndex jail = any_jail;
        std::uint32_t count = 0, count_over_all = 0;
        Instant last, last_over_all;
    };
    static_assert(sizeof(Entry) == 48);
    // Never moved: growing holds nobody up. Large pieces, so that what is freed between them can be
    // given back.
    static constexpr std::uint32_t in_chunk = 1024;

    Entry& at(std::uint32_t slot) { return chunks_[slot / in_chunk][slot % in_chunk]; }
    const Entry& at(std::uint32_t slot) const { return chunks_[slot / in_chunk][slot % in_chunk]; }
    template <class Visitor>
    static void for_each_count(const Entry& entry, Visitor&& visit) {
        if (entry.over_all)
            visit(BanKey{any_jail, entry.prefix},
                  Offences{entry.count_over_all, entry.last_over_all});
        if (entry.here) visit(BanKey{entry.jail, entry.prefix}, Offences{entry.count, entry.last});
    }
    static std::size_t hash_of_entry(const Entry& entry) {
        return BanKeyHash{}({entry.first ? any_jail : entry.jail, entry.prefix});
    }
    std::uint32_t first_of(const Prefix& prefix) const;
    std::uint32_t further_of(const BanKey& key) const;
    std::uint32_t slot_of(const BanKey& key) const;
    std::uint32_t put(const BanKey& key);
    std::uint32_t free_slot();
    Counted counted(std::uint32_t slot, const BanKey& key);
    void mark(std::uint32_t slot) {
        if (at(slot).changed) return;
        at(slot).changed = true;
        changed_.push_back(slot);
    }

    std::size_t limit_;
    SlotIndex index_;
    std::vector<std::vector<Entry>> chunks_;
    std::uint32_t size_ = 0;
    std::uint32_t oldest_ = 0;  // whose place is taken next
    std::vector<std::uint32_t> changed_;
    std::vector<BanKey> gone_;
};

}  // namespace bandd
