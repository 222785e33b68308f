// SPDX-License-Identifier: GPL-2.0-or-later
// All bans that stand. A million of them take some 80 MiB.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/decide/decision.h"
#include "core/decide/slot_index.h"

namespace bandd {

// A ban stays in its slot, at its address, while it lasts; a slot is used again once its ban is
// gone. Slots are what long work over all bans counts by: it can stop at one and go on there a turn
// later.
class BanTable {
  public:
    static constexpr std::uint32_t none = SlotIndex::none;

    std::size_t size() const { return index_.size(); }
    bool empty() const { return size() == 0; }
    void reserve(std::size_t bans) { index_.reserve(bans); }
    void clear() { *this = BanTable(); }

    const Ban* find(const BanKey& key) const { return at(slot_of(key)); }
    Ban* find(const BanKey& key) { return const_cast<Ban*>(std::as_const(*this).find(key)); }
    // Takes the place of a ban with the same key.
    Ban& put(Ban ban);
    void erase(const BanKey& key);
    // The only way to change the state of one that is there.
    void set_state(std::uint32_t slot, BanState state);
    // How many of a jail's bans are in this state.
    std::size_t count(JailIndex jail, BanState state) const {
        return jail < counts_.size() ? counts_[jail][static_cast<std::size_t>(state)] : 0;
    }

    // False: no ban, of any jail, has a prefix of this length.
    bool any_of_length(bool v4, int length) const {
        return of_length_[length_index(v4, length)] != 0;
    }
    // Calls `visit` with the key of every ban that holds all of `prefix`, of this jail.
    template <class Visit>
    void for_covering(JailIndex jail, const Prefix& prefix, const Visit& visit) const {
        for (int length = 0; length <= prefix.length; ++length) {
            if (!any_of_length(prefix.is_v4(), length)) continue;
            BanKey key{jail, make_prefix(prefix.network, length)};
            if (find(key) != nullptr) visit(key);
        }
    }

    std::uint32_t slot_of(const BanKey& key) const;  // none if it is not there
    // Has memory fetch a ban that will be looked up soon. False: there is none.
    bool fetch(const BanKey& key) const;
    // The same of the place in the index, for those that come in long rows: to look at that waits
    // for memory already.
    void fetch_place(const BanKey& key) const { index_.fetch(BanKeyHash{}(key)); }
    std::uint32_t slots() const { return static_cast<std::uint32_t>(in_use_.size()); }
    const Ban* at(std::uint32_t slot) const {
        return slot < slots() && in_use_[slot] ? &ban(slot) : nullptr;
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
        auto& operator*() const { return table_->ban(slot_); }
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
    static constexpr std::uint32_t block_size = 64;
    struct alignas(64) Block {  // so that no ban lies in two cache lines
        std::array<Ban, block_size> bans;
    };
    const Ban& ban(std::uint32_t slot) const {
        return blocks_[slot / block_size]->bans[slot % block_size];
    }
    Ban& ban(std::uint32_t slot) { return const_cast<Ban&>(std::as_const(*this).ban(slot)); }

    SlotIndex index_;
    std::vector<std::unique_ptr<Block>> blocks_;  // never moved: growing copies no ban
    std::vector<bool> in_use_;
    std::vector<std::uint32_t> free_;
    // How many have a prefix of each length: most lengths are nobody's.
    static std::size_t length_index(bool v4, int length) {
        return static_cast<std::size_t>(v4 ? length : 33 + length);
    }
    std::array<std::uint32_t, 33 + 129> of_length_{};
    std::uint32_t& count_of(const Ban& ban);
    std::vector<std::array<std::uint32_t, 3>> counts_;  // by jail and state
};

}  // namespace bandd
