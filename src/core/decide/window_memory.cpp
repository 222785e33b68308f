// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/window_memory.h"

#include <algorithm>
#include <new>
#include <utility>

namespace bandd {
namespace {

// Blocks have odd numbers of times: with malloc's own eight bytes they then fill its units of 16.
std::size_t room_for(std::size_t count) {
    std::size_t room = 1;
    while (room < count) room = (room + room / 2 + 1) | 1;
    return room;
}

std::size_t bytes_of(std::size_t room, bool distinct) {
    return room * (sizeof(Instant) + (distinct ? sizeof(std::uint64_t) : 0));
}

// What malloc takes for it.
std::size_t cost_of(std::size_t room, bool distinct) {
    constexpr std::size_t own = 8, unit = 16, least = 32;
    if (room == 0) return 0;
    return std::max(least, (bytes_of(room, distinct) + own + unit - 1) / unit * unit);
}

}  // namespace

std::uint32_t WindowMemory::take() {
    ++taken_;
    used_ += sizeof(Slot);
    if (free_ != none) {
        std::uint32_t slot = free_;
        free_ = (*this)[slot].newer;
        (*this)[slot] = Slot{};
        return slot;
    }
    if (chunks_.empty() || chunks_.back().size() == in_chunk) {
        chunks_.emplace_back();
        if (chunks_.size() > 1) chunks_.back().reserve(in_chunk);
    }
    chunks_.back().emplace_back();
    return taken_ - 1;
}

void WindowMemory::give_back(std::uint32_t slot) {
    Slot& s = (*this)[slot];
    s.count = 0;
    move_to(s, 0);
    s.newer = std::exchange(free_, slot);
    used_ -= sizeof(Slot);
    if (--taken_ > 0) return;
    chunks_ = {};
    free_ = none;
}

void WindowMemory::refit(Slot& slot, std::size_t count) {
    constexpr std::size_t far_too_much = 4;  // times what is needed
    std::size_t room = count <= 1 && !slot.distinct ? 0 : room_for(count);
    if (room > slot.room || slot.room > far_too_much * std::max<std::size_t>(room, 1))
        move_to(slot, room);
}

void WindowMemory::move_to(Slot& slot, std::size_t room) {
    std::size_t before = slot.room;
    Instant* from = slot.times();
    Instant first = slot.count > 0 ? *from : Instant{};
    if (room == 0) {
        slot.first = first;
    } else {
        auto* block = static_cast<Instant*>(::operator new(bytes_of(room, slot.distinct)));
        std::copy_n(from, slot.count, block);
        if (slot.distinct && before > 0)
            std::copy_n(slot.values(), slot.count, reinterpret_cast<std::uint64_t*>(block + room));
        slot.block = block;
    }
    slot.room = static_cast<std::uint16_t>(room);
    if (before > 0) ::operator delete(from);
    used_ += cost_of(room, slot.distinct) - cost_of(before, slot.distinct);
}

std::uint32_t WindowKeys::insert(const Prefix& key, bool distinct) {
    std::uint32_t slot = memory_->take();
    (*memory_)[slot].key = key;
    (*memory_)[slot].distinct = distinct;
    std::size_t before = index_.memory();
    index_.insert(PrefixHash{}(key), slot);
    memory_->count_index(before, index_.memory());
    return slot;
}

void WindowKeys::erase(std::uint32_t slot) {
    unlink(slot);
    std::size_t before = index_.memory();
    index_.erase(PrefixHash{}((*memory_)[slot].key), slot);
    memory_->count_index(before, index_.memory());
    memory_->give_back(slot);
}

void WindowKeys::link_newest(std::uint32_t slot, std::uint8_t group) {
    Slot& s = (*memory_)[slot];
    s.group = group;
    Line& line = lines_[group];
    s.older = line.newest;
    s.newer = none;
    (line.newest == none ? line.oldest : (*memory_)[line.newest].newer) = slot;
    line.newest = slot;
}

void WindowKeys::unlink(std::uint32_t slot) {
    Slot& s = (*memory_)[slot];
    Line& line = lines_[s.group];
    (s.older == none ? line.oldest : (*memory_)[s.older].newer) = s.newer;
    (s.newer == none ? line.newest : (*memory_)[s.newer].older) = s.older;
}

void WindowKeys::clear() {
    for (Line& line : lines_)
        for (std::uint32_t slot = std::exchange(line, {}).oldest; slot != none;) {
            std::uint32_t next = (*memory_)[slot].newer;
            memory_->give_back(slot);
            slot = next;
        }
    memory_->count_index(index_.memory(), 0);
    index_ = {};
}

}  // namespace bandd
