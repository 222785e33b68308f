// SPDX-License-Identifier: GPL-2.0-or-later
// Slots of each group are threaded by last hit; since findtime is one per jail, that is the order
// in which they expire.
#include "core/decide/window.h"

#include <algorithm>
#include <utility>

namespace bandd {

WindowTable::WindowTable(std::uint32_t maxretry, Duration findtime, std::size_t limit,
                         bool distinct, std::shared_ptr<WindowMemory> memory)
    : maxretry_(maxretry),
      findtime_(findtime),
      limit_(std::max<std::size_t>(limit, 1)),
      most_times_(std::max<std::uint32_t>(maxretry, 2) - 1),
      distinct_(distinct),
      keys_(std::move(memory)) {}

WindowTable::View WindowTable::view(std::uint32_t slot) const {
    const WindowKeys::Slot& s = keys_[slot];
    View view{{s.times(), s.count}, {}, s.note};
    if (distinct_) view.values = {s.values(), s.count};
    return view;
}

std::optional<WindowTable::View> WindowTable::find(const Prefix& key) const {
    std::uint32_t slot = keys_.find(key);
    if (slot == none) return {};
    return view(slot);
}

void WindowTable::fetch(const Prefix& key) const {
    std::uint32_t slot = keys_.likely(key);
    if (slot != none) __builtin_prefetch(&keys_[slot]);
}

void WindowTable::relink(std::uint32_t slot) {
    keys_.unlink(slot);
    keys_.link_newest(slot, group_of(keys_[slot].count));
}

// 0 for one hit, the last group for one that lacks a single hit.
std::uint8_t WindowTable::group_of(std::uint32_t count) const {
    if (count <= 1 || most_times_ <= 1) return 0;
    return static_cast<std::uint8_t>((count - 1) * (WindowKeys::groups - 1) / (most_times_ - 1));
}

bool WindowTable::evict() {
    for (std::size_t group = 0; group < WindowKeys::groups; ++group) {
        if (keys_.oldest(group) == none) continue;
        remove(keys_.oldest(group));
        ++evicted_;
        return true;
    }
    return false;
}

std::uint32_t WindowTable::insert(const Prefix& key) {
    if (size() >= limit_) evict();
    std::uint32_t slot = keys_.insert(key, distinct_);
    keys_.link_newest(slot, 0);
    return slot;
}

bool WindowTable::is_dirty(std::uint32_t slot) const {
    return keys_.has(slot) && keys_[slot].dirty;
}

void WindowTable::mark(std::uint32_t slot) {
    if (keys_[slot].dirty) return;
    keys_[slot].dirty = true;
    dirty_.push_back(slot);
    // Slots that were removed stand in it, too, and more than once if they were used again.
    if (dirty_.size() <= 2 * size() + 16) return;
    std::erase_if(dirty_, [&](std::uint32_t one) { return !is_dirty(one); });
    std::ranges::sort(dirty_);
    auto [first, last] = std::ranges::unique(dirty_);
    dirty_.erase(first, last);
}

void WindowTable::mark_all_changed() {
    for_each_slot([&](std::uint32_t slot) { mark(slot); });
}

void WindowTable::remove(std::uint32_t slot) {
    if (keys_[slot].stored) gone_.push_back(keys_[slot].key);
    keys_.erase(slot);
}

void WindowTable::erase_times(std::uint32_t slot, std::size_t first, std::size_t count) {
    if (count == 0) return;
    WindowKeys::Slot& s = keys_[slot];
    std::size_t rest = s.count - first - count;
    std::copy_n(s.times() + first + count, rest, s.times() + first);
    if (distinct_) std::copy_n(s.values() + first + count, rest, s.values() + first);
    s.count = static_cast<std::uint16_t>(s.count - count);
}

// Where it belongs; ascending.
void WindowTable::put_times(WindowKeys::Slot& s, Instant at, std::uint64_t value,
                            std::uint32_t weight) {
    keys_.memory()->fit(s, s.count + weight);
    Instant* begin = s.times();
    Instant* end = begin + s.count;
    Instant* place = std::upper_bound(begin, end, at);
    std::move_backward(place, end, end + weight);
    std::fill_n(place, weight, at);
    if (distinct_) {
        std::uint64_t* there = s.values() + (place - begin);
        std::move_backward(there, s.values() + s.count, s.values() + s.count + 1);
        *there = value;
    }
    s.count = static_cast<std::uint16_t>(s.count + weight);
}

// `hits` with the one at `at`; all others lie within findtime of the newest one.
bool WindowTable::is_full(std::size_t hits, Instant newest, Instant at) const {
    return hits >= maxretry_ && at >= newest - findtime_;
}

bool WindowTable::would_fill(const Prefix& key, Instant at, Instant from, std::uint64_t value,
                             std::uint32_t weight) const {
    if (maxretry_ <= weight) return true;
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
    return is_full(others + weight, newest, at);
}

WindowTable::Added WindowTable::add(const Prefix& key, Instant at, std::uint64_t note,
                                    std::uint64_t value, std::uint32_t weight) {
    Added added;
    if (maxretry_ <= 1) return {1, true, 0, {}};
    weight = std::min(weight, maxretry_);
    std::uint32_t slot = keys_.find(key);
    bool fills_alone = weight == maxretry_;
    if (slot == none && fills_alone) return {weight, true, 0, {}};
    if (slot == none) slot = insert(key);
    WindowKeys::Slot& s = keys_[slot];
    added.previous_note = s.note;
    s.note = note;
    // What lies further back than findtime from the newest hit can't be in a window with it, nor
    // with a later one.
    Instant* begin = s.times();
    Instant newest = s.count > 0 ? std::max(begin[s.count - 1], at) : at;
    auto stale =
        std::find_if(begin, begin + s.count, [&](Instant t) { return t >= newest - findtime_; });
    erase_times(slot, 0, static_cast<std::size_t>(stale - begin));
    if (distinct_) {
        std::uint64_t* same = std::find(s.values(), s.values() + s.count, value);
        auto place = static_cast<std::size_t>(same - s.values());
        if (place < s.count) {
            at = std::max(at, begin[place]);
            erase_times(slot, place, 1);
        }
    }
    if (fills_alone || is_full(s.count + weight, newest, at)) {
        added.hits = s.count + weight;
        added.full = true;
        if (distinct_) {
            others_.assign(s.values(), s.values() + s.count);
            added.others = others_;
        }
        remove(slot);
        return added;
    }
    if (at >= newest - findtime_) put_times(s, at, value, weight);
    relink(slot);
    mark(slot);
    added.hits = s.count;
    return added;
}

bool WindowTable::erase(const Prefix& key) {
    std::uint32_t slot = keys_.find(key);
    if (slot == none) return false;
    remove(slot);
    return true;
}

void WindowTable::forget_before(const Prefix& key, Instant from) {
    std::uint32_t slot = keys_.find(key);
    if (slot == none) return;
    const WindowKeys::Slot& s = keys_[slot];
    const Instant* begin = s.times();
    const Instant* kept = std::lower_bound(begin, begin + s.count, from);
    if (kept == begin) return;
    erase_times(slot, 0, static_cast<std::size_t>(kept - begin));
    if (s.count == 0) return remove(slot);
    relink(slot);
    mark(slot);
}

std::size_t WindowTable::expire(Instant now) {
    std::size_t gone = 0;
    for (std::size_t group = 0; group < WindowKeys::groups; ++group)
        while (keys_.oldest(group) != none) {
            const WindowKeys::Slot& s = keys_[keys_.oldest(group)];
            if (s.count > 0 && s.times()[s.count - 1] >= now - findtime_) break;
            remove(keys_.oldest(group));
            ++gone;
        }
    return gone;
}

// An empty table that knows what a checkpoint shall forget. Returns the old one.
WindowTable WindowTable::begin_anew(std::uint32_t maxretry, Duration findtime, std::size_t limit,
                                    bool distinct) {
    WindowTable fresh(maxretry, findtime, limit, distinct, keys_.memory());
    WindowTable old = std::exchange(*this, std::move(fresh));
    evicted_ = old.evicted_;
    gone_ = std::move(old.gone_);
    old.for_each_slot([&](std::uint32_t slot) {
        if (old.keys_[slot].stored) gone_.push_back(old.keys_[slot].key);
    });
    return old;
}

void WindowTable::clear() { begin_anew(maxretry_, findtime_, limit_, distinct_); }

void WindowTable::resize(std::uint32_t maxretry, Duration findtime, std::size_t limit,
                         bool distinct) {
    WindowTable old = begin_anew(maxretry, findtime, limit, distinct);
    // Copies, as slots may move when others are taken.
    old.for_each([&](Prefix key, const View& view) {
        std::vector<Instant> times(view.times.begin(), view.times.end());
        std::vector<std::uint64_t> values(view.values.begin(), view.values.end());
        restore(key, times, values, false);
        if (std::uint32_t slot = keys_.find(key); slot != none) keys_[slot].note = view.note;
    });
}

void WindowTable::restore(const Prefix& key, std::span<const Instant> times,
                          std::span<const std::uint64_t> values, bool stored) {
    if (maxretry_ <= 1 || times.empty()) return;
    if (values.size() != (distinct_ ? times.size() : 0)) return;
    if (keys_.find(key) != none) return;
    std::uint32_t slot = insert(key);
    WindowKeys::Slot& s = keys_[slot];
    std::size_t count = std::min(times.size(), most_times_);
    keys_.memory()->fit(s, count);
    std::ranges::copy(times.last(count), s.times());
    if (distinct_) std::ranges::copy(values.last(count), s.values());
    s.count = static_cast<std::uint16_t>(count);
    relink(slot);
    s.stored = stored;
    if (!stored) mark(slot);
}

}  // namespace bandd
