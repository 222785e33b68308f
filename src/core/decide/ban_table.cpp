// SPDX-License-Identifier: GPL-2.0-or-later
// Linear probing with backward-shift deletion, as core/decide/window.
#include "core/decide/ban_table.h"

#include <algorithm>
#include <bit>

namespace bandd {

std::size_t BanTable::bucket_of(const BanKey& key, std::size_t hash) const {
    std::size_t mask = buckets_.size() - 1;
    std::size_t bucket = hash & mask;
    std::uint32_t mark = mark_of(hash);
    while (buckets_[bucket].slot != none &&
           (buckets_[bucket].mark != mark || ban(buckets_[bucket].slot).key != key))
        bucket = (bucket + 1) & mask;
    return bucket;
}

std::uint32_t BanTable::slot_of(const BanKey& key) const {
    return buckets_.empty() ? none : buckets_[bucket_of(key, BanKeyHash{}(key))].slot;
}

void BanTable::rehash(std::size_t buckets) {
    buckets_.assign(buckets, {});
    for (std::uint32_t slot = 0; slot < slots(); ++slot) {
        if (!in_use_[slot]) continue;
        std::size_t hash = BanKeyHash{}(ban(slot).key);
        buckets_[bucket_of(ban(slot).key, hash)] = {slot, mark_of(hash)};
    }
}

void BanTable::reserve(std::size_t bans) {
    std::size_t buckets = std::bit_ceil(std::max<std::size_t>(16, bans * 4 / 3 + 1));
    if (buckets > buckets_.size()) rehash(buckets);
}

Ban& BanTable::put(Ban put) {
    if ((used_ + 1) * 4 > buckets_.size() * 3)
        rehash(std::max<std::size_t>(16, buckets_.size() * 2));
    std::size_t hash = BanKeyHash{}(put.key);
    std::size_t bucket = bucket_of(put.key, hash);
    std::uint32_t slot = buckets_[bucket].slot;
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
        buckets_[bucket] = {slot, mark_of(hash)};
        ++used_;
        ++of_length_[length_index(put.key.prefix.is_v4(), put.key.prefix.length)];
    }
    ban(slot) = std::move(put);
    return ban(slot);
}

void BanTable::erase(const BanKey& key) {
    if (buckets_.empty()) return;
    std::size_t mask = buckets_.size() - 1;
    std::size_t hole = bucket_of(key, BanKeyHash{}(key));
    std::uint32_t slot = buckets_[hole].slot;
    if (slot == none) return;
    for (std::size_t next = (hole + 1) & mask; buckets_[next].slot != none;
         next = (next + 1) & mask) {
        std::size_t home = BanKeyHash{}(ban(buckets_[next].slot).key) & mask;
        if (((next - home) & mask) < ((next - hole) & mask)) continue;
        buckets_[hole] = buckets_[next];
        hole = next;
    }
    buckets_[hole] = {};
    const Prefix& gone = ban(slot).key.prefix;
    --of_length_[length_index(gone.is_v4(), gone.length)];
    ban(slot) = {};
    in_use_[slot] = false;
    free_.push_back(slot);
    --used_;
    if (used_ == 0) clear();  // a flood that is over gives its memory back
}

}  // namespace bandd
