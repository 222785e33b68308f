// SPDX-License-Identifier: GPL-2.0-or-later
// Where the windows of all jails are kept, so that they have one limit in bytes together.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/base/address.h"
#include "core/base/instant.h"
#include "core/decide/slot_index.h"

namespace bandd {

// A key's first time is in its slot; of more, all are in a block of its own, which grows by half.
// With the index that is some 60 bytes a key, some 30 for its second time, then at most 16 for each
// further one. A slot that is given back is the next one taken, by whichever table.
class WindowMemory {
  public:
    static constexpr std::uint32_t none = SlotIndex::none;

    struct Slot {
        Prefix key;
        std::uint8_t group = 0;     // by how near it is to a ban
        bool dirty : 1 = false;     // in its table's list of changes, and to be told of
        bool stored : 1 = false;    // a checkpoint has it
        bool distinct : 1 = false;  // each time has a value
        std::uint16_t count = 0;    // of times
        std::uint16_t room = 0;     // for times in the block; 0: there is none
        std::uint32_t older = none, newer = none;
        std::uint64_t note = 0;
        union {
            Instant first{};
            Instant* block;  // `room` times, then as many values if it is distinct
        };
        Instant* times() { return room == 0 ? &first : block; }
        const Instant* times() const { return room == 0 ? &first : block; }
        std::uint64_t* values() { return reinterpret_cast<std::uint64_t*>(block + room); }
        const std::uint64_t* values() const {
            return reinterpret_cast<const std::uint64_t*>(block + room);
        }
    };
    static_assert(sizeof(Slot) == 48);

    explicit WindowMemory(std::size_t limit = SIZE_MAX) : limit_(limit) {}
    WindowMemory(const WindowMemory&) = delete;
    WindowMemory& operator=(const WindowMemory&) = delete;

    Slot& operator[](std::uint32_t slot) { return chunks_[slot / in_chunk][slot % in_chunk]; }
    const Slot& operator[](std::uint32_t slot) const {
        return chunks_[slot / in_chunk][slot % in_chunk];
    }
    // References to slots hold until the next `take`.
    std::uint32_t take();
    void give_back(std::uint32_t slot);
    // Makes room for so many times, which are not less than it has; or gives back far too much.
    static constexpr std::size_t little = 9;  // of a block: not looked at
    void fit(Slot& slot, std::size_t count) {
        std::size_t room = slot.room == 0 && !slot.distinct ? 1 : slot.room;
        if (count > room || room > little) refit(slot, count);
    }
    // Of a table's index, whose size changed.
    void count_index(std::size_t before, std::size_t after) { used_ += after - before; }

    // All that there are, taken or not.
    std::size_t slots() const {
        return chunks_.empty() ? 0 : (chunks_.size() - 1) * in_chunk + chunks_.back().size();
    }
    std::size_t used() const { return used_; }
    std::size_t limit() const { return limit_; }
    void set_limit(std::size_t limit) { limit_ = limit; }

  private:
    void refit(Slot& slot, std::size_t count);
    void move_to(Slot& slot, std::size_t room);

    // The first chunk grows as it is used, so that few keys take little.
    static constexpr std::size_t in_chunk = 1024;

    std::size_t limit_;
    std::size_t used_ = 0;  // bytes: slots that are taken, blocks as malloc rounds them, indexes
    std::vector<std::vector<Slot>> chunks_;
    std::uint32_t free_ = none;  // threaded by `newer`
    std::uint32_t taken_ = 0;
};

// The keys of one table: found by hash, and threaded by last hit within each group. They are given
// back with it.
class WindowKeys {
  public:
    static constexpr std::uint32_t none = SlotIndex::none;
    static constexpr std::size_t groups = 8;
    using Slot = WindowMemory::Slot;

    explicit WindowKeys(std::shared_ptr<WindowMemory> memory) : memory_(std::move(memory)) {}
    ~WindowKeys() { clear(); }
    WindowKeys(WindowKeys&& other) noexcept : memory_(other.memory_) { swap(other); }
    WindowKeys& operator=(WindowKeys&& other) noexcept {
        swap(other);
        return *this;
    }

    Slot& operator[](std::uint32_t slot) { return (*memory_)[slot]; }
    const Slot& operator[](std::uint32_t slot) const { return (*memory_)[slot]; }
    std::uint32_t find(const Prefix& key) const {  // none if it is not there
        return index_.find(PrefixHash{}(key),
                           [&](std::uint32_t slot) { return (*memory_)[slot].key == key; });
    }
    std::uint32_t likely(const Prefix& key) const { return index_.likely(PrefixHash{}(key)); }
    // Whether a slot is one of these.
    bool has(std::uint32_t slot) const {
        return slot < memory_->slots() && find((*memory_)[slot].key) == slot;
    }
    // Of a key that is not there; it is in no thread yet.
    std::uint32_t insert(const Prefix& key, bool distinct);
    void erase(std::uint32_t slot);
    // In its group, as the one hit last.
    void link_newest(std::uint32_t slot, std::uint8_t group);
    void unlink(std::uint32_t slot);
    void clear();

    std::uint32_t oldest(std::size_t group) const { return lines_[group].oldest; }
    std::size_t size() const { return index_.size(); }
    const std::shared_ptr<WindowMemory>& memory() const { return memory_; }

  private:
    struct Line {
        std::uint32_t oldest = none, newest = none;
    };
    void swap(WindowKeys& other) noexcept {
        std::swap(memory_, other.memory_);
        std::swap(index_, other.index_);
        std::swap(lines_, other.lines_);
    }

    std::shared_ptr<WindowMemory> memory_;
    SlotIndex index_;
    std::array<Line, groups> lines_;
};

}  // namespace bandd
