// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/slot_index.h"

#include <algorithm>

namespace bandd {
namespace {

constexpr std::size_t fewest_buckets = 16;

// So that three fifths of them are in use; of few, which grow at once, two fifths.
std::size_t buckets_for(std::size_t keys) {
    constexpr std::size_t few = 8192;
    return std::max(fewest_buckets, keys < few ? keys * 5 / 2 : keys * 5 / 3 + 1);
}

}  // namespace

void SlotIndex::put(const Bucket& bucket) {
    std::size_t at = home(bucket.mark);
    while (buckets_[at].slot != none) at = next(at);
    buckets_[at] = bucket;
}

void SlotIndex::rehash(std::size_t buckets) {
    std::vector<Bucket> old(buckets);
    old.swap(buckets_);
    for (const Bucket& bucket : old)
        if (bucket.slot != none) put(bucket);
}

void SlotIndex::reserve(std::size_t keys) {
    if (buckets_for(keys) > buckets_.size()) rehash(buckets_for(keys));
}

void SlotIndex::insert(std::size_t hash, std::uint32_t slot) {
    if ((used_ + 1) * 5 > buckets_.size() * 4) rehash(buckets_for(used_ + 1));
    put({slot, static_cast<std::uint32_t>(hash)});
    ++used_;
}

void SlotIndex::erase(std::size_t hash, std::uint32_t slot) {
    std::size_t hole = home(static_cast<std::uint32_t>(hash));
    while (buckets_[hole].slot != slot) hole = next(hole);
    std::size_t from_hole = 0;
    for (std::size_t at = next(hole); buckets_[at].slot != none; at = next(at)) {
        ++from_hole;
        if (distance(at) < from_hole) continue;
        buckets_[hole] = buckets_[at];
        hole = at;
        from_hole = 0;
    }
    buckets_[hole] = {};
    --used_;
    if (buckets_.size() > fewest_buckets && used_ * 5 < buckets_.size()) rehash(buckets_for(used_));
}

}  // namespace bandd
