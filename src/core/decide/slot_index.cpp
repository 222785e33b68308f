// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/slot_index.h"

#include <algorithm>
#include <bit>

namespace bandd {
namespace {

constexpr std::size_t fewest_buckets = 16;

}  // namespace

void SlotIndex::put(const Bucket& bucket) {
    std::size_t at = bucket.mark & mask();
    while (buckets_[at].slot != none) at = (at + 1) & mask();
    buckets_[at] = bucket;
}

void SlotIndex::rehash(std::size_t buckets) {
    std::vector<Bucket> old(buckets);
    old.swap(buckets_);
    for (const Bucket& bucket : old)
        if (bucket.slot != none) put(bucket);
}

void SlotIndex::reserve(std::size_t keys) {
    std::size_t buckets = std::bit_ceil(std::max(fewest_buckets, keys * 4 / 3 + 1));
    if (buckets > buckets_.size()) rehash(buckets);
}

void SlotIndex::insert(std::size_t hash, std::uint32_t slot) {
    if ((used_ + 1) * 4 > buckets_.size() * 3)
        rehash(std::max(fewest_buckets, buckets_.size() * 2));
    put({slot, static_cast<std::uint32_t>(hash)});
    ++used_;
}

void SlotIndex::erase(std::size_t hash, std::uint32_t slot) {
    std::size_t hole = static_cast<std::uint32_t>(hash) & mask();
    while (buckets_[hole].slot != slot) hole = (hole + 1) & mask();
    for (std::size_t next = (hole + 1) & mask(); buckets_[next].slot != none;
         next = (next + 1) & mask()) {
        std::size_t home = buckets_[next].mark & mask();
        if (((next - home) & mask()) < ((next - hole) & mask())) continue;
        buckets_[hole] = buckets_[next];
        hole = next;
    }
    buckets_[hole] = {};
    --used_;
}

}  // namespace bandd
