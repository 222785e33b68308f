// SPDX-License-Identifier: GPL-2.0-or-later
// How sets are made right: at start and on reload, when somebody touched them, when orders failed,
// and where the kernel tells nothing, now and then.
#include <algorithm>

#include "action/dispatch.h"
#include "action/ipset_fitness.h"

namespace bandd {

void Dispatch::make_right(Instant now, Report& report, Duration longest) {
    if (same_targets_) {
        make_old_right(now);
        flush(now, report, longest);
        return;
    }
    std::size_t known = report.acknowledged.size();
    // Whatever is not proven to be in the kernel is pending until reconciliation says otherwise.
    unproven_.assign(bans_.slots(), false);
    auto is_settled = [&](JailIndex jail) { return jail < settled_.size() && settled_[jail]; };
    for (std::uint32_t slot = 0; slot < bans_.slots(); ++slot)
        if (const Ban* ban = bans_.at(slot); ban != nullptr && ban->state != BanState::simulated)
            unproven_[slot] = enforcing_bits(ban->key.jail) != 0 && !is_settled(ban->key.jail);
    for (const TargetStatus& target : targets_) {
        TargetId id = target.spec.id;
        if (!enforces(id)) continue;
        if (is_settled(target.spec.jail))
            look_at(id, Look::prepare, Purpose::prepare);
        else
            reconcile_target(id, false);
    }
    wait_for_all(longest);
    flush(now, report, longest);
    // All is told at once instead of one by one.
    report.acknowledged.resize(known);
    acknowledge_all(report);
}

// Who reloads has mended something, perhaps.
void Dispatch::make_old_right(Instant now) {
    for (const TargetStatus& target : targets_) {
        TargetId id = target.spec.id;
        if (!enforces(id)) continue;
        if (!target.prepared || target.error)
            retry(id, now);
        else if (!carrier_of(id).sees_touches())
            reconcile_target(id, false);
    }
}

void Dispatch::on_restored(std::span<const std::uint32_t> slots) {
    unproven_.resize(bans_.slots());
    for (std::uint32_t slot : slots)
        if (const Ban* ban = bans_.at(slot); ban != nullptr && ban->state != BanState::simulated)
            unproven_[slot] = enforcing_bits(ban->key.jail) != 0;
    for (Repairing& repairing : repairs_) {
        if (repairing.stage == Repairing::Stage::none || repairing.purpose != Purpose::repair)
            continue;
        repairing.seen.resize(bans_.slots());
        // One may have got the place of a ban that has ended since.
        for (std::uint32_t slot : slots) {
            repairing.seen[slot] = false;
            repairing.next = std::min(repairing.next, slot);
        }
    }
}

void Dispatch::end_restoring() {
    restoring_ = false;
    for (const TargetStatus& target : targets_) {
        TargetId id = target.spec.id;
        bool is_new = repairs_[id].stage == Repairing::Stage::none;
        if (enforces(id) && (is_new || bans_.size() <= carrier_of(id).most_listed()))
            reconcile_target(id, false);
    }
}

// What has changed of the state of bans since they had other targets.
void Dispatch::acknowledge_all(Report& report) {
    for (std::uint32_t slot = 0; slot < bans_.slots(); ++slot) {
        const Ban* ban = bans_.at(slot);
        if (ban == nullptr || ban->state == BanState::simulated) continue;
        bool waits = unproven_[slot] || progress_.contains(ban->key);
        BanState state = waits ? BanState::pending : BanState::active;
        if (state != ban->state) report.acknowledged.push_back({ban->key, state});
    }
}

std::vector<Ban> Dispatch::bans_in_sets(Instant now, Report& report, Duration longest) {
    std::vector<Ban> found;
    // All at once: each answer that is waited for takes as long as a busy machine makes it.
    for (const TargetStatus& target : targets_)
        if (enforces(target.spec.id))
            look_at(target.spec.id, Look::list, Purpose::find).found = &found;
    wait_for_all(longest);
    collect(now, report);
    // A set that is not read by now is said when it is made right.
    for (const TargetStatus& target : targets_)
        if (enforces(target.spec.id)) end_repair(target.spec.id);
    return found;
}

Dispatch::Repairing& Dispatch::look_at(TargetId id, Look what, Purpose purpose) {
    end_repair(id);
    Repairing& repairing = repairs_[id];
    repairing.stage = Repairing::Stage::looking;
    repairing.purpose = purpose;
    repairing.look = next_request_++;
    carrier_of(id).look(repairing.look, id, what);
    return repairing;
}

void Dispatch::end_repair(TargetId id) {
    if (repairs_[id].stage == Repairing::Stage::adding) --adding_;
    repairs_[id] = {};
}

// `say`: if something was missing, somebody took it away.
void Dispatch::reconcile_target(TargetId id, bool say) {
    if (under_way_[kind_of(id)].lost) return;  // once it is back
    Repairing& current = repairs_[id];
    if (current.stage != Repairing::Stage::none && current.purpose == Purpose::repair) {
        current.again = true;
        current.say = current.say || say;
        return;
    }
    // Too many to look at each, or not all known: all are added, which changes nothing where they
    // are there.
    bool too_many = restoring_ || bans_.size() > carrier_of(id).most_listed();
    Repairing& repairing = look_at(id, too_many ? Look::prepare : Look::list, Purpose::repair);
    repairing.seen.assign(bans_.slots(), false);
    repairing.say = say;
}

// What the target needs cannot be made or read. What it held, it may have lost.
void Dispatch::not_ready(TargetId id, const Error& error, Instant now, Report& report) {
    if (std::exchange(targets_[id].prepared, false))
        for (const Ban& ban : bans_)
            if (ban.key.jail == targets_[id].spec.jail) lacks(id, ban.key.prefix, report);
    ++targets_[id].failures;
    say_failure(id, error, report);
    Retry& retry = retries_[id];
    retry.pause = longer(retry.pause);
    retry.due = now + retry.pause;
}

void Dispatch::on_looked(const Looked& looked, Instant now, Report& report) {
    TargetId id = looked.target;
    if (id >= repairs_.size() || repairs_[id].stage != Repairing::Stage::looking ||
        repairs_[id].look != looked.request)
        return;
    Repairing& repairing = repairs_[id];
    if (!looked.result) {
        end_repair(id);
        return not_ready(id, looked.result.error(), now, report);
    }
    TargetStatus& target = targets_[id];
    Retry& retry = retries_[id];
    bool was_prepared = std::exchange(target.prepared, true);
    if (!was_prepared) {
        for (const Error& remark : looked.remarks) report.remarks.emplace_back(id, remark);
        if (target.error && retry.orders.empty()) recovered(id, report);
        retry.pause = Duration{0};
        retry.due = never;
        send_again(std::exchange(retry.orders, {}), now);
    }
    switch (repairing.purpose) {
        case Purpose::prepare:
        case Purpose::find:
            return end_repair(id);
        case Purpose::count: {
            bool full = looked.count && *looked.count >= repairing.expected;
            end_repair(id);
            if (!full) reconcile_target(id, true);
            return;
        }
        case Purpose::repair:
            retry.reconcile = false;
            begin_adding(id);
    }
}

void Dispatch::begin_adding(TargetId id) {
    repairs_[id].stage = Repairing::Stage::adding;
    ++adding_;
}

// What was put off is added as in a repair, but nobody has to look at the set for it.
void Dispatch::order_put_off(std::size_t kind) {
    for (const TargetStatus& target : targets_) {
        TargetId id = target.spec.id;
        bool must_look = retries_[id].reconcile;
        if (kind_of(id) != kind || !enforces(id) || (put_off_[id].empty() && !must_look)) continue;
        std::vector<bool> put_off = std::exchange(put_off_[id], {});
        if (must_look || repairs_[id].stage != Repairing::Stage::none || !target.prepared ||
            retries_[id].full) {
            reconcile_target(id, false);
            continue;
        }
        put_off.flip();
        repairs_[id].seen = std::move(put_off);
        repairs_[id].renew = true;  // also bans that were extended
        begin_adding(id);
    }
}

void Dispatch::on_elements(const Elements& elements, Instant now, Report& report) {
    TargetId id = elements.target;
    if (id >= repairs_.size() || repairs_[id].stage != Repairing::Stage::looking ||
        repairs_[id].look != elements.request)
        return;
    Repairing& repairing = repairs_[id];
    if (repairing.purpose == Purpose::repair)
        for (const Present& present : elements.elements) {
            ++(present.prefix.is_v4() ? repairing.listed4 : repairing.listed6);
            judge_element(id, present, now, report);
        }
    // The user's own elements can't be told from ours.
    if (repairing.purpose != Purpose::find || !carrier_of(id).traits(id).ours) return;
    auto story = std::make_shared<Story>();
    story->reason = "found in the kernel";
    for (const Present& present : elements.elements) {
        Ban ban;
        ban.key = {targets_[id].spec.jail, present.prefix};
        ban.from = now;
        ban.until = present.remaining ? now + *present.remaining : never;
        ban.story = story;
        repairing.found->push_back(std::move(ban));
    }
}

void Dispatch::judge_element(TargetId id, const Present& present, Instant now, Report& report) {
    Repairing& repairing = repairs_[id];
    // In a set that several jails write to, each sees to its own elements only.
    SetTraits traits = carrier_of(id).traits(id);
    if (sharing_[id].size() > 1) traits.ours = false;
    std::uint32_t slot = bans_.slot_of({targets_[id].spec.jail, present.prefix});
    const Ban* ban = bans_.at(slot);
    bool wanted = ban != nullptr && ban->state != BanState::simulated && ban->until > now;
    switch (judge(wanted ? std::optional(wanted_until(id, *ban)) : std::nullopt, present, traits,
                  now)) {
        case Repair::keep:
            if (!wanted) break;
            // It is there already: as good as acknowledged.
            if (slot < repairing.seen.size()) repairing.seen[slot] = true;
            arm(id, present.prefix, ban->until, now);
            holds(id, present.prefix, repairing.look, report);
            break;
        case Repair::renew:
            repairing.renew = true;
            --(present.prefix.is_v4() ? repairing.listed4 : repairing.listed6);  // put in its place
            break;
        case Repair::remove:
            if (holding_removals_)
                held_.insert(id);
            else if (queued_[kind_of(id)] >= most_removals)
                repairing.again = true;
            else {
                queue({Order::Kind::remove, id, present.prefix, forever, {}});
                --(present.prefix.is_v4() ? repairing.listed4 : repairing.listed6);
            }
            break;
    }
}

// Takes the place, if there is one.
bool Dispatch::has_room_in_set(TargetId id, const Prefix& prefix) {
    SetTraits traits = carrier_of(id).traits(id);
    std::uint64_t& listed = prefix.is_v4() ? repairs_[id].listed4 : repairs_[id].listed6;
    if (listed >= (prefix.is_v4() ? traits.most4 : traits.most6)) return false;
    ++listed;
    return true;
}

void Dispatch::release_removals() {
    holding_removals_ = false;
    for (TargetId id : std::exchange(held_, {}))
        if (id < targets_.size() && enforces(id)) reconcile_target(id, false);
}

bool Dispatch::busy() const {
    if (adding_ == 0) return false;
    return std::ranges::any_of(targets_, [&](const TargetStatus& target) {
        TargetId id = target.spec.id;
        return has_more_to_add(id) && has_room(kind_of(id));
    });
}

void Dispatch::continue_repairs(Instant now, Report& report) {
    std::uint32_t budget = repair_slice;
    for (TargetId id = 0; id < repairs_.size() && budget > 0; ++id)
        if (has_more_to_add(id) && has_room(kind_of(id))) continue_repair(id, budget, now, report);
}

void Dispatch::continue_repair(TargetId id, std::uint32_t& budget, Instant now, Report& report) {
    Repairing& repairing = repairs_[id];
    TargetStatus& target = targets_[id];
    // Bans of later slots were decided since, and went their own way.
    while (target.prepared && repairing.next < repairing.seen.size() && budget > 0) {
        std::uint32_t slot = repairing.next++;
        const Ban* ban = bans_.at(slot);
        if (repairing.seen[slot] || ban == nullptr || ban->key.jail != target.spec.jail ||
            ban->state == BanState::simulated || ban->until <= now)
            continue;
        if (!has_room_in_set(id, ban->key.prefix)) {
            repairing.left_out = true;
            lacks(id, ban->key.prefix, report);
            --budget;
            continue;
        }
        Instant until = wanted_until(id, *ban);
        queue({repairing.renew ? Order::Kind::renew : Order::Kind::add,
               id,
               ban->key.prefix,
               until - now,
               {}});
        arm(id, ban->key.prefix, until, now);
        ++repairing.changes;
        repairing.lost = repairing.lost || !is_lacking(id, ban->key);
        --budget;
    }
    if (target.prepared && (restoring_ || repairing.next < repairing.seen.size())) return;
    if (target.prepared && repairing.say && repairing.lost) {
        ++target.repairs;
        report.repaired.push_back(id);
    }
    bool again = repairing.again && target.prepared;
    bool say = repairing.say;
    end_adding(id, now, report);
    end_repair(id);
    if (again) reconcile_target(id, say);
}

// Whether a set is full is known once all bans were looked at.
void Dispatch::end_adding(TargetId id, Instant now, Report& report) {
    Retry& retry = retries_[id];
    if (!targets_[id].prepared) return;
    if (!repairs_[id].left_out) {
        bool was_full = std::exchange(retry.full, false);
        if (was_full && repairs_[id].changes == 0 && targets_[id].error && retry.orders.empty())
            recovered(id, report);
        return;
    }
    retry.full = true;
    SetTraits traits = carrier_of(id).traits(id);
    bool v4 = repairs_[id].listed4 >= traits.most4;
    say_failure(id, full_set(targets_[id].spec.action, v4, v4 ? traits.most4 : traits.most6),
                report);
    retry.pause = longer(retry.pause);
    retry.due = now + retry.pause;
}

void Dispatch::check_blind_sets(Instant now) {
    std::vector<std::size_t> bans(by_jail_.size());
    for (const Ban& ban : bans_)
        if (ban.state != BanState::simulated && ban.until > now) ++bans[ban.key.jail];
    bool full = ++checks_ % full_check_every == 0;
    for (const TargetStatus& target : targets_) {
        TargetId id = target.spec.id;
        if (!enforces(id) || carrier_of(id).sees_touches() || !target.prepared ||
            repairs_[id].stage != Repairing::Stage::none || retries_[id].full)
            continue;
        if (full)
            reconcile_target(id, true);
        else
            look_at(id, Look::count, Purpose::count).expected =
                bans[target.spec.jail] - std::min(bans[target.spec.jail], lacking(id));
    }
}

void Dispatch::collect(Instant now, Report& report) {
    for (bool more = true; more;) {
        more = false;
        for (std::size_t kind = 0; kind < carriers_.size(); ++kind) {
            if (!carriers_[kind] || !carriers_[kind]->has_notices()) continue;
            more = true;
            for (Notice& notice : carriers_[kind]->take_notices())
                hear(kind, std::move(notice), now, report);
        }
    }
}

void Dispatch::hear(std::size_t kind, Notice notice, Instant now, Report& report) {
    if (auto* applied = std::get_if<Applied>(&notice)) on_applied(kind, *applied, now, report);
    if (auto* elements = std::get_if<Elements>(&notice)) on_elements(*elements, now, report);
    if (auto* looked = std::get_if<Looked>(&notice)) on_looked(*looked, now, report);
    if (auto* completion = std::get_if<Completion>(&notice))
        on_completion(*completion, now, report);
    if (std::holds_alternative<Touched>(notice)) on_touched(kind, now, report);
    if (auto* lost = std::get_if<Lost>(&notice)) on_lost(kind, lost->error, report);
    if (std::holds_alternative<Regained>(notice)) on_regained(kind);
}

void Dispatch::on_notice(std::size_t kind, Instant now, Report& report) {
    carriers_[kind]->read();
    flush(now, report);
}

// What it had been asked for is not known to be done: it stays pending, and is made right once
// there is another one.
void Dispatch::on_lost(std::size_t kind, const Error& error, Report& report) {
    ++losses_;
    UnderWay& under_way = under_way_[kind];
    under_way.lost = true;
    under_way.overflowed = false;
    for (const TargetStatus& target : targets_)
        if (kind_of(target.spec.id) == kind) put_off_[target.spec.id] = {};
    for (auto& [request, orders] : std::exchange(under_way.batches, {}))
        for (Order& order : orders) keep(std::move(order));
    bool said = false;
    for (TargetStatus& target : targets_) {
        TargetId id = target.spec.id;
        if (kind_of(id) != kind) continue;
        end_repair(id);
        retries_[id].due = never;
        retries_[id].lost = true;
        target.prepared = false;
        target.error = error;
        if (!std::exchange(said, true)) report.troubles.push_back({id, error, false});
    }
    under_way.loss_said = said;
}

void Dispatch::on_regained(std::size_t kind) {
    under_way_[kind].lost = false;
    repair_all(kind, false);
}

// Until there is another backend. What the bans say is added then; the rest must not be forgotten.
void Dispatch::keep(Order order) {
    Retry& retry = retries_[order.target];
    Prefix prefix = order.prefix;
    if (retry.orders.size() < most_retries)
        retry.orders.insert_or_assign(prefix, std::move(order));
    else
        retry.reconcile = true;
}

void Dispatch::on_touched(std::size_t kind, Instant now, Report& report) {
    Touches& touches = touches_[kind];
    if (touches.due != never) return;
    if (now >= touches.since + quick || now < touches.since) {
        if (touches.count <= most_quick_repairs) touches.pause = Duration{0};
        touches.since = now;
        touches.count = 0;
    }
    if (++touches.count <= most_quick_repairs) {
        repair_all(kind, true);
        return;
    }
    touches.pause = longer(touches.pause);
    touches.due = now + touches.pause;
    for (const TargetStatus& target : targets_)
        if (target.spec.action.index() == kind) {
            report.troubles.push_back(
                {target.spec.id,
                 {std::string(action_name(target.spec.action)),
                  "somebody keeps changing bandd's sets; they are made right again in " +
                      format_duration(touches.pause),
                  "look for a second bandd, or a script that changes them",
                  {}},
                 false});
            break;
        }
}

void Dispatch::repair_all(std::size_t kind, bool say) {
    for (const TargetStatus& target : targets_)
        if (kind_of(target.spec.id) == kind) reconcile_target(target.spec.id, say);
}

void Dispatch::on_clock_change(Instant now, Report& report) {
    for (const TargetStatus& target : targets_)
        if (enforces(target.spec.id)) reconcile_target(target.spec.id, false);
    flush(now, report);
}

void Dispatch::on_time(Instant now, Report& report) {
    for (std::size_t kind = 0; kind < touches_.size(); ++kind) {
        if (touches_[kind].due > now) continue;
        touches_[kind].due = never;
        repair_all(kind, true);
    }
    for (TargetId target = 0; target < targets_.size(); ++target)
        if (retries_[target].due <= now) retry(target, now);
    while (!rearm_.empty() && rearm_.begin()->first <= now) {
        auto [target, prefix] = rearm_.begin()->second;
        rearm_.erase(rearm_.begin());
        Instant until = wanted_until(target, prefix);
        if (until <= now) continue;
        queue({Order::Kind::renew, target, prefix, until - now, {}});
        arm(target, prefix, until, now);
    }
    if (check_at_ <= now) {
        check_at_ = never;
        check_blind_sets(now);
    }
    flush(now, report);
    for (TargetStatus& target : targets_) {
        Retry& retry = retries_[target.spec.id];
        if (retry.orders.empty() && target.prepared && !retry.full) retry.pause = Duration{0};
        target.waiting = retry.orders.size();
        target.retry_at = retry.due;
    }
}

void Dispatch::retry(TargetId id, Instant now) {
    Retry& retry = retries_[id];
    retry.due = never;
    if (!enforces(id)) {
        for (auto& [prefix, order] : std::exchange(retry.orders, {}))
            if (progress_.contains(order.ban->key)) queue(std::move(order));
        return;
    }
    if (!targets_[id].prepared) return reconcile_target(id, true);  // then they are sent, too
    if (retry.full || retry.reconcile)
        reconcile_target(id, !retry.full);
    else if (repairs_[id].stage == Repairing::Stage::none)
        look_at(id, Look::prepare, Purpose::prepare);
    send_again(std::exchange(retry.orders, {}), now);
}

// As far as they are wanted still.
void Dispatch::send_again(std::map<Prefix, Order> orders, Instant now) {
    for (auto& [prefix, order] : orders) {
        Instant until = wanted_until(order.target, prefix);
        if ((order.kind == Order::Kind::remove) == (until > now)) continue;
        if (order.kind != Order::Kind::remove) {
            order.timeout = until - now;
            order.kind = Order::Kind::renew;
        }
        queue(std::move(order));
    }
}

}  // namespace bandd
