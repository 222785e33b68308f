// SPDX-License-Identifier: GPL-2.0-or-later
// All bans that stand. A million of them take some 90 MiB.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "core/decide/decision.h"

namespace bandd {

// Open addressing over numbered slots. A ban stays in its slot, at its address, while it lasts; a
// slot is used again once its ban is gone. Slots are what long work over all bans counts by: it can
// stop at one and go on there a turn later.
class BanTable {
  public:
    static constexpr std::uint32_t none = UINT32_MAX;

    std::size_t size() const { return used_; }
    bool empty() const { return used_ == 0; }
    void reserve(std::size_t bans);
    void clear() { *this = BanTable(); }

    const Ban* find(const BanKey& key) const { return at(slot_of(key)); }
    Ban* find(const BanKey& key) { return const_cast<Ban*>(std::as_const(*this).find(key)); }
    // Takes the place of a ban with the same key.
    Ban& put(Ban ban);
    void erase(const BanKey& key);

    std::uint32_t slot_of(const BanKey& key) const;  // none if it is not there
    std::uint32_t slots() const { return static_cast<std::uint32_t>(bans_.size()); }
    const Ban* at(std::uint32_t slot) const {
        return slot < bans_.size() && in_use_[slot] ? &bans_[slot] : nullptr;
    }

    Ban* at(std::uint32_t slot) { return const_cast<Ban*>(std::as_const(*this).at(slot)); }

    template <bool constant>
    class Iterator {
      public:
        using Table = std::conditional_t<constant, const BanTable, BanTable>;
        using value_type = Ban;
        using difference_type = std::ptrdiff_t;
        Iterator() = default;
        Iterator(Table* table, std::uint32_t slot) : table_(table), slot_(slot) { skip(); }
        auto& operator*() const { return table_->bans_[slot_]; }
        Iterator& operator++() {
            ++slot_;
            skip();
            return *this;
        }
        Iterator operator++(int) {
            Iterator before = *this;
            ++*this;
            return before;
        }
        bool operator==(const Iterator& other) const { return slot_ == other.slot_; }

      private:
        void skip() {
            while (slot_ < table_->slots() && !table_->in_use_[slot_]) ++slot_;
        }
        Table* table_ = nullptr;
        std::uint32_t slot_ = 0;
    };
    auto begin() const { return Iterator<true>(this, 0); }
    auto end() const { return Iterator<true>(this, slots()); }
    auto begin() { return Iterator<false>(this, 0); }
    auto end() { return Iterator<false>(this, slots()); }

  private:
    std::size_t bucket_of(const BanKey& key) const;  // where it is, or the free bucket for it
    void rehash(std::size_t buckets);

    std::vector<std::uint32_t> buckets_;
    std::deque<Ban> bans_;  // never moved: growing copies nothing
    std::vector<bool> in_use_;
    std::vector<std::uint32_t> free_;
    std::size_t used_ = 0;
};

}  // namespace bandd
