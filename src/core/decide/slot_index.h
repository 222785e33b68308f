// SPDX-License-Identifier: GPL-2.0-or-later
// From the hash of a key to the slot of a table that has the key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bandd {

// Open addressing by linear probing, with backward-shift deletion: no tombstones, so that a flood
// of keys that come and go never slows look-ups down. Each bucket keeps 32 bits of its key's hash:
// most other keys are told apart without a look at their slots, which mostly are in no cache, and
// growing and erasing look at none at all. 8 bytes a bucket; three to four fifths of them are in
// use while keys become more (of few keys two to four), and a fifth at least.
class SlotIndex {
  public:
    static constexpr std::uint32_t none = UINT32_MAX;

    // `is_there` says of a slot whether it has the key.
    template <class IsThere>
    std::uint32_t find(std::size_t hash, const IsThere& is_there) const {
        if (buckets_.empty()) return none;
        auto mark = static_cast<std::uint32_t>(hash);
        std::size_t at = home(mark);
        while (buckets_[at].slot != none &&
               (buckets_[at].mark != mark || !is_there(buckets_[at].slot)))
            at = next(at);
        return buckets_[at].slot;
    }
    // The slot that `find` would look at first: nearly always the key's, if it has one.
    std::uint32_t likely(std::size_t hash) const {
        auto at_once = [](std::uint32_t) { return true; };
        return find(hash, at_once);
    }
    // Has memory fetch where `find` would begin.
    void fetch(std::size_t hash) const {
        if (!buckets_.empty())
            __builtin_prefetch(&buckets_[home(static_cast<std::uint32_t>(hash))]);
    }
    // Of a key that is not there yet.
    void insert(std::size_t hash, std::uint32_t slot);
    // Of a key that is there.
    void erase(std::size_t hash, std::uint32_t slot);
    // Room for so many without growing.
    void reserve(std::size_t keys);

    std::size_t size() const { return used_; }
    std::size_t memory() const { return buckets_.capacity() * sizeof(Bucket); }

  private:
    struct Bucket {
        std::uint32_t slot = none;
        std::uint32_t mark = 0;
    };
    // In the order of the marks, so that growing goes through memory once, from front to back.
    std::size_t home(std::uint32_t mark) const {
        return static_cast<std::size_t>(std::uint64_t{mark} * buckets_.size() >> 32);
    }
    std::size_t next(std::size_t bucket) const {
        return bucket + 1 == buckets_.size() ? 0 : bucket + 1;
    }
    // How far one is from the home of its mark.
    std::size_t distance(std::size_t bucket) const {
        std::size_t from = home(buckets_[bucket].mark);
        return bucket >= from ? bucket - from : bucket + buckets_.size() - from;
    }
    void put(const Bucket& bucket);
    void rehash(std::size_t buckets);

    std::vector<Bucket> buckets_;
    std::size_t used_ = 0;
};

}  // namespace bandd
