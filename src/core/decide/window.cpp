// SPDX-License-Identifier: GPL-2.0-or-later
// Slots of each group are threaded by last hit; since findtime is one per jail, that is the order
// in which they expire.
#include "core/decide/window.h"

#include <algorithm>
#include <utility>

namespace bandd {

WindowTable::WindowTable(std::uint32_t maxretry, Duration findtime, std::size_t limit,
                         bool distinct)
    : maxretry_(maxretry),
      findtime_(findtime),
      limit_(std::max<std::size_t>(limit, 1)),
      stride_(std::max<std::uint32_t>(maxretry, 2) - 1),
      distinct_(distinct) {}

std::uint32_t WindowTable::slot_of(const Prefix& key) const {
    return index_.find(PrefixHash{}(key),
                       [&](std::uint32_t slot) { return slots_[slot].key == key; });
}

WindowTable::View WindowTable::view(std::uint32_t slot) const {
    std::size_t count = slots_[slot].count;
    View view{{times(slot), count}, {}, slots_[slot].note};
    if (distinct_) view.values = {&values_[std::size_t{slot} * stride_], count};
    return view;
}

std::optional<WindowTable::View> WindowTable::find(const Prefix& key) const {
    std::uint32_t slot = slot_of(key);
    if (slot == none) return {};
    return view(slot);
}

void WindowTable::fetch(const Prefix& key) const {
    std::uint32_t slot = index_.likely(PrefixHash{}(key));
    if (slot == none) return;
    __builtin_prefetch(&slots_[slot]);
    __builtin_prefetch(times(slot));
}

void WindowTable::unlink(std::uint32_t slot) {
    Slot& s = slots_[slot];
    Line& line = lines_[s.group];
    (s.older == none ? line.oldest : slots_[s.older].newer) = s.newer;
    (s.newer == none ? line.newest : slots_[s.newer].older) = s.older;
}

void WindowTable::link_newest(std::uint32_t slot) {
    Slot& s = slots_[slot];
    s.group = group_of(s.count);
    Line& line = lines_[s.group];
    s.older = line.newest;
    s.newer = none;
    (line.newest == none ? line.oldest : slots_[line.newest].newer) = slot;
    line.newest = slot;
}

// 0 for one hit, groups - 1 for one that lacks a single hit.
std::uint8_t WindowTable::group_of(std::uint32_t count) const {
    if (count <= 1 || stride_ <= 1) return 0;
    return static_cast<std::uint8_t>((count - 1) * (groups - 1) / (stride_ - 1));
}

std::uint32_t WindowTable::insert(const Prefix& key) {
    if (size() >= limit_) {
        auto line = std::ranges::find_if(lines_, [](const Line& l) { return l.oldest != none; });
        remove(line->oldest);
        ++evicted_;
    }
    std::uint32_t slot = 0;
    if (free_.empty()) {
        slot = static_cast<std::uint32_t>(slots_.size());
        slots_.emplace_back();
        times_.resize(times_.size() + stride_);
        if (distinct_) values_.resize(times_.size());
    } else {
        slot = free_.back();
        free_.pop_back();
        slots_[slot] = {};
    }
    slots_[slot].key = key;
    index_.insert(PrefixHash{}(key), slot);
    link_newest(slot);
    return slot;
}

void WindowTable::mark(std::uint32_t slot) {
    if (std::exchange(slots_[slot].dirty, true)) return;
    dirty_.push_back(slot);
    // Slots that were removed and used again stand in it more than once.
    if (dirty_.size() <= 2 * slots_.size() + 16) return;
    std::ranges::sort(dirty_);
    auto [first, last] = std::ranges::unique(dirty_);
    dirty_.erase(first, last);
}

void WindowTable::mark_all_changed() {
    for (const Line& line : lines_)
        for (std::uint32_t slot = line.oldest; slot != none; slot = slots_[slot].newer) mark(slot);
}

void WindowTable::remove(std::uint32_t slot) {
    if (slots_[slot].stored) gone_.push_back(slots_[slot].key);
    slots_[slot].dirty = slots_[slot].stored = false;
    index_.erase(PrefixHash{}(slots_[slot].key), slot);
    unlink(slot);
    free_.push_back(slot);
}

void WindowTable::erase_times(std::uint32_t slot, std::size_t first, std::size_t count) {
    if (count == 0) return;
    std::size_t base = std::size_t{slot} * stride_;
    std::size_t rest = slots_[slot].count - first - count;
    std::copy_n(&times_[base + first] + count, rest, &times_[base + first]);
    if (distinct_) std::copy_n(&values_[base + first] + count, rest, &values_[base + first]);
    slots_[slot].count = static_cast<std::uint16_t>(slots_[slot].count - count);
}

// One more hit, at `at`, beside `others` that lie within findtime of the newest one.
bool WindowTable::is_full(std::size_t others, Instant newest, Instant at) const {
    return others + 1 >= maxretry_ && at >= newest - findtime_;
}

bool WindowTable::would_fill(const Prefix& key, Instant at, Instant from,
                             std::uint64_t value) const {
    if (maxretry_ <= 1) return true;
    auto known = find(key);
    if (!known) return false;
    Instant newest = known->times.empty() ? at : std::max(known->times.back(), at);
    std::size_t others = 0;
    for (std::size_t i = 0; i < known->times.size(); ++i) {
        Instant time = known->times[i];
        if (time < newest - findtime_ || time < from) continue;
        if (distinct_ && known->values[i] == value)
            at = std::max(at, time);
        else
            ++others;
    }
    return is_full(others, newest, at);
}

WindowTable::Added WindowTable::add(const Prefix& key, Instant at, std::uint64_t note,
                                    std::uint64_t value) {
    Added added;
    if (maxretry_ <= 1) return {1, true, 0, {}};
    std::uint32_t slot = slot_of(key);
    if (slot == none) slot = insert(key);
    Slot& s = slots_[slot];
    added.previous_note = s.note;
    s.note = note;
    Instant* begin = times(slot);
    // What lies further back than findtime from the newest hit can't be in a window with it, nor
    // with a later one.
    Instant newest = s.count > 0 ? std::max(begin[s.count - 1], at) : at;
    auto stale =
        std::find_if(begin, begin + s.count, [&](Instant t) { return t >= newest - findtime_; });
    erase_times(slot, 0, static_cast<std::size_t>(stale - begin));
    if (distinct_) {
        std::uint64_t* values = &values_[std::size_t{slot} * stride_];
        std::uint64_t* same = std::find(values, values + s.count, value);
        if (same != values + s.count) {
            auto place = static_cast<std::size_t>(same - values);
            at = std::max(at, begin[place]);
            erase_times(slot, place, 1);
        }
    }
    if (is_full(s.count, newest, at)) {
        added.hits = s.count + 1U;
        added.full = true;
        if (distinct_) added.others = {&values_[std::size_t{slot} * stride_], s.count};
        remove(slot);
        return added;
    }
    if (at >= newest - findtime_) {
        auto* place = std::upper_bound(begin, begin + s.count, at);
        std::move_backward(place, begin + s.count, begin + s.count + 1);
        if (distinct_) {
            std::uint64_t* values = &values_[std::size_t{slot} * stride_];
            std::uint64_t* there = values + (place - begin);
            std::move_backward(there, values + s.count, values + s.count + 1);
            *there = value;
        }
        *place = at;
        ++s.count;
    }
    unlink(slot);
    link_newest(slot);
    mark(slot);
    added.hits = s.count;
    return added;
}

bool WindowTable::erase(const Prefix& key) {
    std::uint32_t slot = slot_of(key);
    if (slot == none) return false;
    remove(slot);
    return true;
}

void WindowTable::forget_before(const Prefix& key, Instant from) {
    std::uint32_t slot = slot_of(key);
    if (slot == none) return;
    Slot& s = slots_[slot];
    Instant* begin = times(slot);
    Instant* kept = std::lower_bound(begin, begin + s.count, from);
    if (kept == begin) return;
    erase_times(slot, 0, static_cast<std::size_t>(kept - begin));
    if (s.count == 0) return remove(slot);
    unlink(slot);
    link_newest(slot);
    mark(slot);
}

std::size_t WindowTable::expire(Instant now) {
    std::size_t gone = 0;
    for (Line& line : lines_)
        while (line.oldest != none) {
            const Slot& s = slots_[line.oldest];
            if (s.count > 0 && times(line.oldest)[s.count - 1] >= now - findtime_) break;
            remove(line.oldest);
            ++gone;
        }
    return gone;
}

// An empty table that knows what a checkpoint shall forget. Returns the old one.
WindowTable WindowTable::begin_anew(std::uint32_t maxretry, Duration findtime, std::size_t limit,
                                    bool distinct) {
    WindowTable old = std::exchange(*this, WindowTable(maxretry, findtime, limit, distinct));
    evicted_ = old.evicted_;
    gone_ = std::move(old.gone_);
    for (const Line& line : old.lines_)
        for (std::uint32_t slot = line.oldest; slot != none; slot = old.slots_[slot].newer)
            if (old.slots_[slot].stored) gone_.push_back(old.slots_[slot].key);
    return old;
}

void WindowTable::clear() { begin_anew(maxretry_, findtime_, limit_, distinct_); }

void WindowTable::resize(std::uint32_t maxretry, Duration findtime, std::size_t limit,
                         bool distinct) {
    WindowTable old = begin_anew(maxretry, findtime, limit, distinct);
    old.for_each([&](const Prefix& key, const View& view) {
        restore(key, view.times, view.values, false);
        if (std::uint32_t slot = slot_of(key); slot != none) slots_[slot].note = view.note;
    });
}

void WindowTable::restore(const Prefix& key, std::span<const Instant> times,
                          std::span<const std::uint64_t> values, bool stored) {
    if (maxretry_ <= 1 || times.empty()) return;
    if (values.size() != (distinct_ ? times.size() : 0)) return;
    if (slot_of(key) != none) return;
    std::uint32_t slot = insert(key);
    std::size_t count = std::min(times.size(), stride_);
    std::ranges::copy(times.last(count), this->times(slot));
    if (distinct_) std::ranges::copy(values.last(count), &values_[std::size_t{slot} * stride_]);
    unlink(slot);
    slots_[slot].count = static_cast<std::uint16_t>(count);
    link_newest(slot);
    slots_[slot].stored = stored;
    if (!stored) mark(slot);
}

std::size_t WindowTable::memory() const {
    return index_.memory() + slots_.capacity() * sizeof(Slot) +
           times_.capacity() * sizeof(Instant) + values_.capacity() * sizeof(std::uint64_t) +
           free_.capacity() * sizeof(std::uint32_t);
}

}  // namespace bandd
