// SPDX-License-Identifier: GPL-2.0-or-later
// A ban is in force when all targets that enforce have acknowledged it; only then is it announced
// (syslog, exec). A jail that only announces is in force when that was done.
#include "action/dispatch.h"

#include <algorithm>

namespace bandd {
namespace {

constexpr std::size_t most_actions = 64;  // of one jail: the bits of Progress::outstanding
constexpr std::size_t in_time = 8;        // so many orders take about as long as memory does

}  // namespace

Carrier& Dispatch::carrier_of(TargetId target) const { return *carriers_[kind_of(target)]; }

void Dispatch::set_targets(std::vector<JailActions> jails) {
    std::vector<TargetStatus> fresh;
    std::vector<std::vector<TargetId>> by_jail;
    for (JailActions& jail : jails) {
        if (jail.jail >= by_jail.size()) by_jail.resize(jail.jail + 1U);
        std::vector<TargetId>& ids = by_jail[jail.jail];
        for (ActionConfig& action : jail.actions) {
            if (!carriers_[action.index()] || ids.size() == most_actions) continue;
            TargetStatus status;
            status.spec = {static_cast<TargetId>(fresh.size()), jail.jail, jail.name,
                           std::move(action)};
            ids.push_back(status.spec.id);
            fresh.push_back(std::move(status));
        }
    }
    by_jail_.resize(std::max(by_jail_.size(), by_jail.size()));  // a jail may have no actions
    same_targets_ =
        !targets_.empty() &&
        std::ranges::equal(targets_, fresh, {}, &TargetStatus::spec, &TargetStatus::spec);
    if (same_targets_) return;
    settled_ = find_settled(fresh);
    send_removals();
    held_.clear();
    targets_ = std::move(fresh);
    by_jail_ = std::move(by_jail);
    find_sharing();
    retries_.assign(targets_.size(), {});
    queues_.assign(targets_.size(), {});
    put_off_.assign(targets_.size(), {});
    queued_.fill(0);
    for (UnderWay& under_way : under_way_) under_way.batches.clear();
    progress_.clear();
    rearm_.clear();
    repairs_.assign(targets_.size(), {});
    adding_ = 0;
    for (std::size_t kind = 0; kind < carriers_.size(); ++kind) {
        if (!carriers_[kind]) continue;
        std::vector<TargetSpec> specs;
        for (const TargetStatus& target : targets_)
            if (target.spec.action.index() == kind) specs.push_back(target.spec);
        carriers_[kind]->set_targets(std::move(specs));
    }
}

// By jail: its actions stay what they are, its bans are in force, nothing is under way for them,
// and the kernel will say if somebody touches them.
std::vector<bool> Dispatch::find_settled(const std::vector<TargetStatus>& fresh) const {
    std::vector<bool> settled(by_jail_.size());
    for (JailIndex jail = 0; jail < by_jail_.size(); ++jail) {
        std::vector<const ActionConfig*> wanted;
        for (const TargetStatus& target : fresh)
            if (target.spec.jail == jail) wanted.push_back(&target.spec.action);
        settled[jail] = !wanted.empty() && wanted.size() == by_jail_[jail].size();
        for (std::size_t i = 0; settled[jail] && i < wanted.size(); ++i) {
            TargetId id = by_jail_[jail][i];
            const TargetStatus& target = targets_[id];
            settled[jail] = target.spec.action == *wanted[i];
            if (!settled[jail] || !enforces(id)) continue;
            settled[jail] = target.prepared && !target.error && queues_[id].empty() &&
                            sharing_[id].size() == 1 && retries_[id].orders.empty() &&
                            !retries_[id].full && !retries_[id].reconcile && put_off_[id].empty() &&
                            repairs_[id].stage == Repairing::Stage::none &&
                            carrier_of(id).sees_touches() &&
                            carrier_of(id).traits(id).longest == forever && !held_.contains(id);
        }
    }
    for (const UnderWay& under_way : under_way_)
        for (const auto& [request, orders] : under_way.batches)
            for (const Order& order : orders) settled[targets_[order.target].spec.jail] = false;
    for (const auto& [key, progress] : progress_) settled[key.jail] = false;
    return settled;
}

// Nobody would know later that these were ours. Where all in a set is, the look tells.
void Dispatch::send_removals() {
    for (std::size_t kind = 0; kind < carriers_.size(); ++kind) {
        while (carriers_[kind] && !under_way_[kind].lost && queued_[kind] > 0) {
            std::vector<Order> orders = take_queued(kind);
            std::erase_if(orders, [&](const Order& order) {
                return enforces(order.target) &&
                       (order.kind != Order::Kind::remove ||
                        carrier_of(order.target).traits(order.target).ours);
            });
            if (!orders.empty()) carriers_[kind]->apply(next_request_++, orders);
        }
    }
}

// Targets that write to the same set.
void Dispatch::find_sharing() {
    sharing_.assign(targets_.size(), {});
    for (const TargetStatus& a : targets_)
        for (const TargetStatus& b : targets_) {
            const auto* set_a = std::get_if<IpsetAction>(&a.spec.action);
            const auto* set_b = std::get_if<IpsetAction>(&b.spec.action);
            if (a.spec.id == b.spec.id ||
                (set_a != nullptr && set_b != nullptr && set_a->set4 == set_b->set4 &&
                 set_a->set6 == set_b->set6))
                sharing_[a.spec.id].push_back(b.spec.id);
        }
}

std::uint64_t Dispatch::enforcing_bits(JailIndex jail) const {
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < by_jail_[jail].size(); ++i)
        if (enforces(by_jail_[jail][i])) bits |= std::uint64_t{1} << i;
    return bits;
}

std::uint64_t Dispatch::bit_of(TargetId target) const {
    const std::vector<TargetId>& ids = by_jail_[targets_[target].spec.jail];
    return std::uint64_t{1} << (std::ranges::find(ids, target) - ids.begin());
}

// One target has acknowledged its part of a ban.
void Dispatch::holds(TargetId target, const Prefix& prefix, RequestId request, Report& report) {
    JailIndex jail = targets_[target].spec.jail;
    BanKey key{jail, prefix};
    std::uint64_t mine = bit_of(target);
    auto progress = progress_.find(key);
    if (progress == progress_.end()) {
        std::uint32_t slot = bans_.slot_of(key);
        if (slot >= unproven_.size() || !unproven_[slot]) return;
        unproven_[slot] = false;
        std::uint64_t others = enforcing_bits(jail) & ~mine;
        if (others != 0)
            progress_.emplace(key, Progress{others, false, 0});
        else if (bans_.at(slot)->state != BanState::active)
            report.acknowledged.push_back({key, BanState::active});
        return;
    }
    if (request < progress->second.since) return;  // it was of an earlier ban
    progress->second.outstanding &= ~mine;
    if (progress->second.outstanding == 0) in_force(key, report);
}

Instant Dispatch::wanted_until(TargetId target, const Ban& ban) const {
    return sharing_[target].size() == 1 ? ban.until : wanted_until(target, ban.key.prefix);
}

Instant Dispatch::wanted_until(TargetId target, const Prefix& prefix) const {
    Instant latest{INT64_MIN};
    for (TargetId other : sharing_[target]) {
        const Ban* ban = bans_.find({targets_[other].spec.jail, prefix});
        if (ban != nullptr && ban->state != BanState::simulated)
            latest = std::max(latest, ban->until);
    }
    return latest;
}

void Dispatch::queue(Order order) {
    std::size_t kind = kind_of(order.target);
    if (order.kind != Order::Kind::remove && queued_[kind] >= most_queued) {
        ++overflows_;
        under_way_[kind].overflowed = true;
        std::vector<bool>& put_off = put_off_[order.target];
        std::uint32_t slot = bans_.slot_of({targets_[order.target].spec.jail, order.prefix});
        if (slot == BanTable::none) {  // of another jail's ban in the same set
            retries_[order.target].reconcile = true;
            return;
        }
        if (slot >= put_off.size()) put_off.resize(bans_.slots());
        put_off[slot] = true;
        return;
    }
    ++queued_[kind];
    queues_[sharing_[order.target].front()].push_back(std::move(order));
}

void Dispatch::arm(TargetId target, const Prefix& prefix, Instant until, Instant now) {
    SetTraits traits = carrier_of(target).traits(target);
    if (!traits.timed || traits.longest == forever) return;
    if (until == never) return;  // such elements have no timeout
    if (until - now <= traits.longest) return;
    constexpr Duration margin = std::chrono::hours(1);
    rearm_.emplace(now + (traits.longest - margin), std::pair{target, prefix});
}

void Dispatch::enforce(const Ban& ban, Instant now) {
    if (ban.state == BanState::simulated) return;
    // The slot may have been another ban's.
    std::uint32_t slot = bans_.slot_of(ban.key);
    if (slot < unproven_.size()) unproven_[slot] = false;
    Progress progress{enforcing_bits(ban.key.jail), true, next_request_};
    for (TargetId target : by_jail_[ban.key.jail]) {
        if (!enforces(target)) continue;
        // A repair need not add it as well.
        if (auto& seen = repairs_[target].seen; slot < seen.size()) seen[slot] = true;
        if (retries_[target].full) continue;  // it waits for the next look
        Instant until = wanted_until(target, ban.key.prefix);
        Duration left = until - now;
        queue({Order::Kind::renew, target, ban.key.prefix, left, {}});
        arm(target, ban.key.prefix, until, now);
    }
    progress_[ban.key] = progress;
    if (progress.outstanding == 0) announce(Order::Kind::add, ban);
}

void Dispatch::announce(Order::Kind kind, const Ban& ban) {
    std::shared_ptr<const Ban> told;
    for (TargetId target : by_jail_[ban.key.jail]) {
        if (enforces(target)) continue;
        if (!told) told = std::make_shared<const Ban>(ban);
        queue({kind, target, ban.key.prefix, forever, told});
    }
}

void Dispatch::lift(const Unbanned& event, Instant now) {
    const Ban& ban = event.ban;
    if (ban.state == BanState::simulated) return;
    bool was_in_force = !progress_.contains(ban.key);
    progress_.erase(ban.key);
    give_back_progress();
    for (TargetId target : by_jail_[ban.key.jail]) {
        if (!enforces(target)) continue;
        retries_[target].orders.erase(ban.key.prefix);
        Instant until = wanted_until(target, ban.key.prefix);
        if (until > now) {  // another jail wants it in the same set
            queue({Order::Kind::renew, target, ban.key.prefix, until - now, {}});
        } else if (event.why != Unbanned::Why::expired ||
                   !carrier_of(target).traits(target).timed) {
            queue({Order::Kind::remove, target, ban.key.prefix, forever, {}});
        }
    }
    if (was_in_force) announce(Order::Kind::remove, ban);
}

void Dispatch::on_events(std::span<const Event> events, Instant now) {
    for (const Event& event : events) {
        if (const auto* banned = std::get_if<Banned>(&event)) {
            if (banned->ban.until > now) enforce(banned->ban, now);
        } else if (const auto* extended = std::get_if<Extended>(&event)) {
            if (extended->ban.state == BanState::simulated) continue;
            bool waiting = progress_.contains(extended->ban.key);
            for (TargetId target : by_jail_[extended->ban.key.jail]) {
                if (!enforces(target) || waiting) continue;
                Instant until = wanted_until(target, extended->ban.key.prefix);
                queue({Order::Kind::renew, target, extended->ban.key.prefix, until - now, {}});
                arm(target, extended->ban.key.prefix, until, now);
            }
        } else if (const auto* unbanned = std::get_if<Unbanned>(&event)) {
            lift(*unbanned, now);
        }
    }
}

// Its buckets stay as many as there were at most.
void Dispatch::give_back_progress() {
    constexpr std::size_t few = 1024;
    if (progress_.empty() && progress_.bucket_count() > few) progress_ = {};
}

void Dispatch::in_force(const BanKey& key, Report& report) {
    auto progress = progress_.find(key);
    if (progress == progress_.end()) return;
    bool tell = progress->second.announce;
    progress_.erase(progress);
    give_back_progress();
    const Ban* ban = bans_.find(key);
    if (ban == nullptr) return;
    report.acknowledged.push_back({key, BanState::active});
    if (!tell) return;
    report.in_force.push_back(*ban);
    report.in_force.back().state = BanState::active;
    bool enforced =
        std::ranges::any_of(by_jail_[key.jail], [&](TargetId target) { return enforces(target); });
    if (enforced) announce(Order::Kind::add, report.in_force.back());
}

void Dispatch::acknowledged(const Order& order, RequestId request, Report& report) {
    TargetStatus& status = targets_[order.target];
    // A program was only started: its end is what tells.
    bool is_done = !completes_later(order.target);
    if (is_done) ++status.applied;
    const Retry& retry = retries_[order.target];
    if (is_done && status.error && retry.orders.empty() && !retry.full)
        recovered(order.target, report);
    if (!enforces(order.target)) {
        // Syslog has done it already.
        if (order.kind == Order::Kind::add && enforcing_bits(status.spec.jail) == 0 &&
            !completes_later(order.target))
            in_force(order.ban->key, report);
        return;
    }
    if (order.kind == Order::Kind::remove) return;
    holds(order.target, order.prefix, request, report);
}

void Dispatch::say_failure(TargetId target, const Error& error, Report& report) {
    TargetStatus& status = targets_[target];
    std::set<std::string>& said = retries_[target].said;
    if (said.size() >= most_said) said.clear();
    bool news = said.insert(to_line(error)).second;
    status.error = error;
    retries_[target].lost = false;
    if (news) report.troubles.push_back({target, error, false});
}

void Dispatch::failed(Order order, Error error, Instant now, Report& report) {
    ++targets_[order.target].failures;
    say_failure(order.target, error, report);
    // What was only to be told is not told later; but a program may be all that enforces a ban.
    bool holds_ban = enforces(order.target) ||
                     (order.kind == Order::Kind::add && completes_later(order.target) &&
                      enforcing_bits(targets_[order.target].spec.jail) == 0);
    if (!holds_ban) return;
    if (enforces(order.target) && order.kind != Order::Kind::remove)
        lacks(order.target, order.prefix, report);
    Retry& retry = retries_[order.target];
    Prefix prefix = order.prefix;
    if (retry.orders.size() < most_retries || !enforces(order.target))
        retry.orders.insert_or_assign(prefix, std::move(order));
    else
        retry.reconcile = true;
    if (retry.due == never) {
        retry.pause = longer(retry.pause);
        retry.due = now + retry.pause;
    }
}

// There may be many such bans, and each would be refused again: they wait for one look at the set,
// which tells how much room there is.
void Dispatch::refused_by_full_set(const Order& order, const Error& error, Instant now,
                                   Report& report) {
    TargetId target = order.target;
    ++targets_[target].failures;
    say_failure(target, error, report);
    lacks(target, order.prefix, report);
    Retry& retry = retries_[target];
    if (!std::exchange(retry.full, true)) drop_queued(target);
    if (retry.due == never) {
        retry.pause = longer(retry.pause);
        retry.due = now + retry.pause;
    }
}

// New bans that were to be put into a set that is full.
void Dispatch::drop_queued(TargetId target) {
    std::deque<Order>& queue = queues_[sharing_[target].front()];
    queued_[kind_of(target)] -= std::erase_if(queue, [&](const Order& order) {
        return order.target == target && order.kind != Order::Kind::remove &&
               progress_.contains({targets_[target].spec.jail, order.prefix});
    });
}

// A target does not hold its part of a ban.
void Dispatch::lacks(TargetId target, const Prefix& prefix, Report& report) {
    BanKey key{targets_[target].spec.jail, prefix};
    std::uint32_t slot = bans_.slot_of(key);
    const Ban* ban = bans_.at(slot);
    if (ban == nullptr || ban->state == BanState::simulated) return;
    std::uint64_t missing = bit_of(target);
    if (slot < unproven_.size() && unproven_[slot]) {
        unproven_[slot] = false;
        missing = enforcing_bits(key.jail);
    }
    auto [progress, fresh] = progress_.try_emplace(key, Progress{0, false, 0});
    progress->second.outstanding |= missing;
    if (fresh && ban->state == BanState::active)
        report.acknowledged.push_back({key, BanState::pending});
}

bool Dispatch::is_lacking(TargetId target, const BanKey& key) const {
    auto progress = progress_.find(key);
    return progress != progress_.end() && (progress->second.outstanding & bit_of(target)) != 0;
}

std::size_t Dispatch::missing(TargetId target) const {
    return retries_[target].full || targets_[target].error ? lacking(target) : 0;
}

std::size_t Dispatch::lacking(TargetId target) const {
    std::uint64_t mine = bit_of(target);
    JailIndex jail = targets_[target].spec.jail;
    return static_cast<std::size_t>(std::ranges::count_if(progress_, [&](const auto& one) {
        return one.first.jail == jail && (one.second.outstanding & mine) != 0;
    }));
}

// A loss hits all targets of a kind, and that it is over is said once.
void Dispatch::recovered(TargetId target, Report& report) {
    std::optional<Error>& error = targets_[target].error;
    bool of_loss = std::exchange(retries_[target].lost, false);
    if (!of_loss || std::exchange(under_way_[kind_of(target)].loss_said, false))
        report.troubles.push_back({target, *error, true});
    error.reset();
    retries_[target].said.clear();
}

bool Dispatch::has_room(std::size_t kind) const {
    return under_way_[kind].batches.size() < most_requests;
}

// What is being prepared will be so before it gets the order.
bool Dispatch::may_be_sent(TargetId target) const {
    return !enforces(target) || targets_[target].prepared ||
           repairs_[target].stage == Repairing::Stage::looking;
}

// A request's worth of orders, in equal shares of the sets that have some.
std::vector<Order> Dispatch::take_queued(std::size_t kind) {
    std::vector<TargetId> waiting;
    for (TargetId i = 0; i < queues_.size(); ++i) {
        TargetId id = static_cast<TargetId>((first_served_ + i) % queues_.size());
        if (!queues_[id].empty() && kind_of(id) == kind) waiting.push_back(id);
    }
    std::vector<Order> taken;
    while (!waiting.empty() && taken.size() < most_in_a_request) {
        std::size_t share =
            std::max<std::size_t>((most_in_a_request - taken.size()) / waiting.size(), 1);
        for (TargetId id : waiting) {
            if (taken.size() == most_in_a_request) {
                first_served_ = id;  // the first of the next request
                break;
            }
            std::deque<Order>& queue = queues_[id];
            auto end = queue.begin() + static_cast<std::ptrdiff_t>(std::min(share, queue.size()));
            std::move(queue.begin(), end, std::back_inserter(taken));
            queue.erase(queue.begin(), end);
        }
        std::erase_if(waiting, [&](TargetId id) { return queues_[id].empty(); });
    }
    queued_[kind] -= taken.size();
    return taken;
}

bool Dispatch::may_send(std::size_t kind) const {
    return queued_[kind] > 0 && (under_way_[kind].lost || has_room(kind));
}

// One request.
void Dispatch::send_queued(std::size_t kind, Instant now, Report& report) {
    UnderWay& under_way = under_way_[kind];
    std::vector<Order> possible;
    for (Order& order : take_queued(kind)) {
        if (under_way.lost) {
            keep(std::move(order));
        } else if (may_be_sent(order.target)) {
            possible.push_back(std::move(order));
        } else {
            Error error = targets_[order.target].error.value_or(Error{"not ready", {}, {}, {}});
            failed(std::move(order), std::move(error), now, report);
        }
    }
    if (possible.empty()) return;
    RequestId request = next_request_++;
    carriers_[kind]->apply(request, possible);
    under_way.batches.emplace_back(request, std::move(possible));
}

void Dispatch::flush(Instant now, Report& report, Duration longest) {
    auto end = std::chrono::steady_clock::now() + longest;
    collect(now, report);
    if (adding_ > 0) continue_repairs(now, report);
    auto for_each_kind = [&](auto&& act) {
        for (std::size_t kind = 0; kind < carriers_.size(); ++kind)
            if (carriers_[kind]) act(kind);
    };
    // Announcements follow from acknowledgements, and so come later.
    for (bool more = true; more;) {
        for_each_kind([&](std::size_t kind) {
            if (may_send(kind)) send_queued(kind, now, report);
        });
        if (std::chrono::steady_clock::now() < end) wait_for_all(longest);
        collect(now, report);
        more = false;
        for_each_kind([&](std::size_t kind) { more = more || may_send(kind); });
    }
    expect_checks(now);
}

void Dispatch::send_all(Instant now, Report& report) {
    for (std::size_t kind = 0; kind < carriers_.size(); ++kind)
        while (carriers_[kind] && queued_[kind] > 0) send_queued(kind, now, report);
}

void Dispatch::wait_for_all(Duration longest) {
    if (longest <= Duration{0}) return;
    for (auto& carrier : carriers_)
        if (carrier) carrier->wait(longest);
}

// Sets that can't tell us are to be looked at.
void Dispatch::expect_checks(Instant now) {
    bool blind = std::ranges::any_of(targets_, [&](const TargetStatus& target) {
        return enforces(target.spec.id) && !carrier_of(target.spec.id).sees_touches();
    });
    if (!blind || bans_.empty())
        check_at_ = never;
    else if (check_at_ == never)
        check_at_ = now + check_interval;
}

// Each one's place is elsewhere in memory, and waited for.
void Dispatch::fetch_ban_of(std::span<const Order> orders, std::size_t number) const {
    if (number >= orders.size()) return;
    const Order& order = orders[number];
    bans_.fetch_place({targets_[order.target].spec.jail, order.prefix});
}

void Dispatch::on_applied(std::size_t kind, const Applied& applied, Instant now, Report& report) {
    UnderWay& under_way = under_way_[kind];
    // It may be of targets that are gone.
    if (under_way.batches.empty() || under_way.batches.front().first != applied.request) return;
    std::vector<Order> orders = std::move(under_way.batches.front().second);
    under_way.batches.pop_front();
    std::vector<bool> is_failed(orders.size());
    for (const Failure& failure : applied.failed) {
        is_failed[failure.index] = true;
        if (failure.full)
            refused_by_full_set(orders[failure.index], failure.error, now, report);
        else
            failed(std::move(orders[failure.index]), failure.error, now, report);
    }
    for (std::size_t i = 0; i < orders.size(); ++i) {
        fetch_ban_of(orders, i + in_time);
        if (!is_failed[i]) acknowledged(orders[i], applied.request, report);
    }
    if (under_way.batches.empty() && queued_[kind] == 0 &&
        std::exchange(under_way.overflowed, false))
        order_put_off(kind);
}

void Dispatch::on_completion(const Completion& completion, Instant now, Report& report) {
    if (completion.target >= targets_.size()) {
        if (completion.error) report.failed.push_back(*completion.error);
        return;
    }
    TargetStatus& status = targets_[completion.target];
    const Ban* ban = bans_.find(completion.ban);
    if (completion.error) {
        Order order{completion.kind, completion.target, completion.ban.prefix, forever, {}};
        // Over meanwhile: there is nothing left to try again.
        if (ban == nullptr) order.kind = Order::Kind::remove;
        if (ban != nullptr) order.ban = std::make_shared<const Ban>(*ban);
        failed(std::move(order), *completion.error, now, report);
        return;
    }
    ++status.applied;
    if (status.error && retries_[completion.target].orders.empty()) {
        recovered(completion.target, report);
        retries_[completion.target].pause = Duration{0};
    }
    if (completion.kind == Order::Kind::add) in_force(completion.ban, report);
}

std::optional<Instant> Dispatch::next_deadline() const {
    Instant next = check_at_;
    for (const Touches& touches : touches_) next = std::min(next, touches.due);
    for (const Retry& retry : retries_) next = std::min(next, retry.due);
    if (!rearm_.empty()) next = std::min(next, rearm_.begin()->first);
    if (next == never) return {};
    return next;
}

void Dispatch::clear(Instant now, Duration longest) {
    Report ignored;
    for (const Ban& ban : bans_)
        for (TargetId target : by_jail_[ban.key.jail])
            if (enforces(target) && !carrier_of(target).traits(target).ours)
                queue({Order::Kind::remove, target, ban.key.prefix, forever, {}});
    flush(now, ignored, longest);
    send_all(now, ignored);
    for (auto& carrier : carriers_)
        if (carrier) carrier->clear();
    wait_for_all(longest);
}

void Dispatch::finish(Instant now, Report& report, Duration longest) {
    flush(now, report, longest);
    send_all(now, report);
    wait_for_all(longest);
}

}  // namespace bandd
