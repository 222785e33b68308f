// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/ban_table.h"

namespace bandd {

std::uint32_t BanTable::slot_of(const BanKey& key) const {
    return index_.find(BanKeyHash{}(key), [&](std::uint32_t slot) { return ban(slot).key == key; });
}

bool BanTable::fetch(const BanKey& key) const {
    std::uint32_t slot = index_.likely(BanKeyHash{}(key));
    if (slot == none) return false;
    __builtin_prefetch(&ban(slot));
    return true;
}

std::uint32_t& BanTable::count_of(const Ban& ban) {
    if (ban.key.jail >= counts_.size()) counts_.resize(ban.key.jail + 1U);
    return counts_[ban.key.jail][static_cast<std::size_t>(ban.state)];
}

void BanTable::set_state(std::uint32_t slot, BanState state) {
    Ban& one = ban(slot);
    --count_of(one);
    one.state = state;
    ++count_of(one);
}

Ban& BanTable::put(Ban put) {
    std::uint32_t slot = slot_of(put.key);
    if (slot == none) {
        if (free_.empty()) {
            slot = slots();
            if (slot % block_size == 0) blocks_.push_back(std::make_unique<Block>());
            in_use_.push_back(true);
        } else {
            slot = free_.back();
            free_.pop_back();
            in_use_[slot] = true;
        }
        index_.insert(BanKeyHash{}(put.key), slot);
        ++of_length_[length_index(put.key.prefix.is_v4(), put.key.prefix.length)];
    } else {
        --count_of(ban(slot));
    }
    ++count_of(put);
    ban(slot) = std::move(put);
    return ban(slot);
}

void BanTable::erase(const BanKey& key) {
    std::uint32_t slot = slot_of(key);
    if (slot == none) return;
    index_.erase(BanKeyHash{}(key), slot);
    --count_of(ban(slot));
    const Prefix& gone = ban(slot).key.prefix;
    --of_length_[length_index(gone.is_v4(), gone.length)];
    ban(slot) = {};
    in_use_[slot] = false;
    free_.push_back(slot);
    if (empty()) clear();  // a flood that is over gives its memory back
}

}  // namespace bandd
