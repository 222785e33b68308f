// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/ban_ledger.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace bandd {

const Ban* BanLedger::begin(Ban ban) {
    if (full()) {
        count_refused();
        return nullptr;
    }
    const Ban& put = bans_.put(std::move(ban));
    std::uint32_t slot = bans_.slot_of(put.key);
    mark_changed(slot);
    push_deadline(slot);
    return &put;
}

void BanLedger::count_hit(std::uint32_t slot) {
    ++bans_.at(slot)->hits;
    mark_changed(slot);
}

void BanLedger::extend(std::uint32_t slot, Instant until) {
    bans_.at(slot)->until = until;
    bans_.at(slot)->decider = Decider::here;
    mark_changed(slot);
    push_deadline(slot);
}

void BanLedger::adopt(std::uint32_t slot, const Ban& told) {
    Ban& ban = *bans_.at(slot);
    ban.offence = told.offence;
    ban.hits = std::max(ban.hits, told.hits);
    extend(slot, told.until);
    ban.decider = Decider::fleet;
}

void BanLedger::take_over(std::uint32_t slot, const Ban& by_hand) {
    Ban& ban = *bans_.at(slot);
    ban.even_if_ignored = ban.even_if_ignored || by_hand.even_if_ignored;
    // What led to a ban of its own accord is known better than a list of bans tells.
    if (by_hand.by_hand) {
        ban.by_hand = true;
        ban.story = by_hand.story;
    }
    extend(slot, by_hand.until);
}

void BanLedger::set_state(const BanKey& key, BanState state) {
    if (std::uint32_t slot = bans_.slot_of(key); slot != BanTable::none)
        bans_.set_state(slot, state);
}

std::shared_ptr<const Story> BanLedger::story_of_reason(const std::string& reason) {
    constexpr std::size_t longest_shared = 256;  // longer ones are hardly of many bans
    auto found = reasons_.find(reason);
    if (found != reasons_.end()) return found->second;
    auto story = std::make_shared<Story>();
    story->reason = reason;
    if (reason.size() > longest_shared) return story;
    if (reasons_.size() >= most_reasons) reasons_.clear();
    return reasons_.emplace(reason, std::move(story)).first->second;
}

Unbanned BanLedger::end(const BanKey& key, Unbanned::Why why, Instant at) {
    Unbanned ended{*bans_.find(key), why, at};
    bans_.erase(ended.ban.key);
    ended_.push_back(ended);
    if (why == Unbanned::Why::expired) remember(ended);
    // Nobody is to be woken for bans that ended otherwise.
    while (!deadlines_.empty() && !is_due(deadlines_.front())) pop_deadline();
    return ended;
}

std::optional<Unbanned> BanLedger::end_next(Instant now) {
    while (!deadlines_.empty() && deadlines_.front().at <= now) {
        Deadline first = pop_deadline();
        if (is_due(first)) return end(bans_.at(first.slot)->key, Unbanned::Why::expired, first.at);
    }
    return {};
}

std::optional<Instant> BanLedger::next_deadline() const {
    if (deadlines_.empty()) return {};
    return deadlines_.front().at;
}

bool BanLedger::is_due(const Deadline& deadline) const {
    const Ban* found = bans_.at(deadline.slot);
    return found != nullptr && found->until == deadline.at;
}

BanLedger::Deadline BanLedger::pop_deadline() {
    std::ranges::pop_heap(deadlines_, std::greater{});
    Deadline first = deadlines_.back();
    deadlines_.pop_back();
    return first;
}

void BanLedger::push_deadline(std::uint32_t slot) {
    Instant until = std::as_const(bans_).at(slot)->until;
    if (until == never) return;
    deadlines_.push_back({until, slot});
    std::ranges::push_heap(deadlines_, std::greater{});
    // Extensions leave old entries; these may not outnumber the bans.
    if (deadlines_.size() <= 2 * bans_.size() + 1024) return;
    deadlines_.clear();
    for (std::uint32_t other = 0; other < bans_.slots(); ++other)
        if (const Ban* ban = bans_.at(other); ban != nullptr && ban->until != never)
            deadlines_.push_back({ban->until, other});
    std::ranges::make_heap(deadlines_, std::greater{});
}

void BanLedger::mark_changed(std::uint32_t slot) {
    if (slot >= is_changed_.size()) is_changed_.resize(bans_.slots());
    if (is_changed_[slot]) return;
    is_changed_[slot] = true;
    changed_slots_.push_back(slot);
}

void BanLedger::put_past(Unbanned ended) { ended_.push_back(std::move(ended)); }

void BanLedger::remember(const Unbanned& ended) {
    if (recent_.size() >= most_remembered && !recent_.contains(ended.ban.key)) return;
    recent_.insert_or_assign(ended.ban.key, ended);
    recent_order_.emplace_back(ended.at, ended.ban.key);
}

void BanLedger::forget_ended(Instant now) {
    while (!recent_order_.empty() && recent_order_.front().first < now - lateness) {
        auto found = recent_.find(recent_order_.front().second);
        if (found != recent_.end() && found->second.at < now - lateness) recent_.erase(found);
        recent_order_.pop_front();
    }
}

const Ban* BanLedger::count_late_hit(const BanKey& key, Instant at) {
    if (recent_.empty()) return nullptr;
    auto found = recent_.find(key);
    if (found == recent_.end()) return nullptr;
    Unbanned& ended = found->second;
    if (at < ended.ban.from || at >= ended.ban.until) return nullptr;
    ++ended.ban.hits;
    ended_.push_back(ended);
    return &ended.ban;
}

void BanLedger::extend_ended(const BanKey& key, Instant until) {
    Unbanned ended = recent_.at(key);
    ended.ban.until = ended.at = until;
    ended_.push_back(ended);
    remember(ended);
}

const Ban* BanLedger::begin_again(const BanKey& key, Instant until) {
    Ban ban = recent_.at(key).ban;
    recent_.erase(key);
    ban.until = until;
    if (ban.state != BanState::simulated) ban.state = BanState::pending;
    return begin(std::move(ban));
}

std::uint32_t BanLedger::count_one(const BanKey& key, Instant from) {
    auto offences = offences_.change(key);
    if (offences.count > 0 && offences.last < from - limits_.offence_memory) offences.count = 0;
    ++offences.count;
    offences.last = from;
    return offences.count;
}

std::uint32_t BanLedger::count_offence(JailIndex jail, const Prefix& prefix, Instant from,
                                       bool all_jails) {
    std::uint32_t over_all = count_one({any_jail, prefix}, from);
    std::uint32_t here = count_one({jail, prefix}, from);
    return all_jails ? over_all : here;
}

void BanLedger::keep_until(const BanKey& key, Instant until) {
    if (!offences_.find(key)) return;
    auto offences = offences_.change(key);
    offences.last = std::max(offences.last, until);
}

void BanLedger::set_offence_end(const BanKey& key, Instant until) {
    keep_until({any_jail, key.prefix}, until);
    keep_until(key, until);
}

bool BanLedger::raise_offences(const BanKey& key, std::uint32_t count, Instant last) {
    Offences here = offences(key).value_or(Offences{});
    if (here.count >= count && here.last >= last) return false;
    std::uint32_t more = count > here.count ? count - here.count : 0;
    for (const BanKey& one : {BanKey{any_jail, key.prefix}, key}) {
        auto raised = offences_.change(one);
        raised.count += std::min(more, UINT32_MAX - raised.count);
        raised.last = std::max(raised.last, last);
    }
    return true;
}

void BanLedger::take_changes(Changes& changes, std::size_t& most) {
    // All ended bans before the first one that holds: its key may be that of an ended one.
    for (; most > 0 && !ended_.empty(); --most) {
        changes.ended_bans.push_back(std::move(ended_.front()));
        ended_.pop_front();
    }
    for (; most > 0 && !changed_slots_.empty(); --most) {
        std::uint32_t slot = changed_slots_.back();
        changed_slots_.pop_back();
        is_changed_[slot] = false;
        const Ban* found = std::as_const(bans_).at(slot);
        if (found == nullptr) continue;
        changes.bans.push_back(*found);
        if (found->story && has_details(*found->story)) taken_.push_back(slot);
    }
    offences_.take_changes(
        [&](const BanKey& key, const Offences& one) { changes.offences.emplace_back(key, one); },
        most);
}

void BanLedger::mark_all_changed() {
    for (std::uint32_t slot = 0; slot < bans_.slots(); ++slot)
        if (std::as_const(bans_).at(slot) != nullptr) mark_changed(slot);
    offences_.mark_all_changed();
}

std::uint32_t BanLedger::restore(Ban ban) {
    BanKey key = ban.key;
    bans_.put(std::move(ban));
    std::uint32_t slot = bans_.slot_of(key);
    push_deadline(slot);
    if (expected_ > 0) --expected_;
    return slot;
}

}  // namespace bandd
