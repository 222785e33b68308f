// SPDX-License-Identifier: GPL-2.0-or-later
// How sets are made right: at start and on reload, when somebody touched them, when orders failed,
// and where the kernel tells nothing, now and then.
#include <algorithm>

#include "action/dispatch.h"

namespace bandd {

void Dispatch::make_right(Instant now, Report& report) {
    std::size_t known = report.acknowledged.size();
    // Whatever is not proven to be in the kernel is pending until reconciliation says otherwise.
    unproven_.assign(bans_.slots(), false);
    for (std::uint32_t slot = 0; slot < bans_.slots(); ++slot)
        if (const Ban* ban = bans_.at(slot); ban != nullptr && ban->state != BanState::simulated)
            unproven_[slot] = enforcing_bits(ban->key.jail) != 0;
    for (const TargetStatus& target : targets_)
        if (enforces(target.spec.id)) reconcile_target(target.spec.id, now, report, false);
    flush(now, report);
    // All is told at once instead of one by one.
    report.acknowledged.resize(known);
    acknowledge_all(report);
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

bool Dispatch::prepare_target(TargetId id, Instant now, Report& report) {
    TargetStatus& target = targets_[id];
    auto ready = backend_of(id).prepare(id);
    // If it was prepared before, its error is an order's.
    bool was_prepared = std::exchange(target.prepared, ready.has_value());
    if (ready) {
        if (target.error && !was_prepared && retries_[id].orders.empty()) {
            report.troubles.push_back({id, *target.error, true});
            target.error.reset();
        }
        return true;
    }
    bool news = !target.error || to_line(*target.error) != to_line(ready.error());
    target.error = ready.error();
    ++target.failures;
    if (news) report.troubles.push_back({id, ready.error(), false});
    Retry& retry = retries_[id];
    retry.pause = longer(retry.pause);
    retry.due = now + retry.pause;
    return false;
}

void Dispatch::reconcile_target(TargetId id, Instant now, Report& report, bool repair) {
    if (!prepare_target(id, now, report)) return;
    TargetStatus& target = targets_[id];
    JailIndex jail = target.spec.jail;
    // In a set that several jails write to, each sees to its own elements only.
    SetTraits traits = backend_of(id).traits(id);
    if (sharing_[id].size() > 1) traits.ours = false;
    Repairing repairing{true, std::vector<bool>(bans_.slots()), 0, false, repair, 0};
    // Too many to look at each: all are added, which changes nothing where they are there.
    bool too_many = bans_.size() > backend_of(id).most_listed();
    auto listed = too_many ? Result<>{} : backend_of(id).list(id, [&](const Present& present) {
        std::uint32_t slot = bans_.slot_of({jail, present.prefix});
        const Ban* ban = bans_.at(slot);
        bool wanted = ban != nullptr && ban->state != BanState::simulated && ban->until > now;
        switch (judge(wanted ? std::optional(wanted_until(id, present.prefix)) : std::nullopt,
                      present, traits, now)) {
            case Repair::keep:
                if (!wanted) break;
                // It is there already: as good as acknowledged.
                repairing.seen[slot] = true;
                arm(id, present.prefix, ban->until, now);
                holds(id, present.prefix, report);
                break;
            case Repair::renew:
                repairing.renew = true;
                break;
            case Repair::remove:
                if (holding_removals_)
                    held_.insert(id);
                else
                    queue({Order::Kind::remove, id, present.prefix, forever, {}});
                break;
        }
    });
    if (!listed) {
        target.prepared = false;
        failed({Order::Kind::remove, id, {}, forever, {}}, listed.error(), now, report);
        retries_[id].orders.erase(Prefix{});
        return;
    }
    retries_[id].reconcile = false;
    if (!repairs_[id].active) ++repairing_;
    repairs_[id] = std::move(repairing);
}

void Dispatch::release_removals(Instant now, Report& report) {
    holding_removals_ = false;
    for (TargetId id : std::exchange(held_, {}))
        if (id < targets_.size() && enforces(id)) reconcile_target(id, now, report, false);
}

void Dispatch::continue_repairs(Instant now, Report& report) {
    std::uint32_t budget = repair_slice;
    for (TargetId id = 0; id < repairs_.size(); ++id) {
        Repairing& repairing = repairs_[id];
        if (!repairing.active) continue;
        const TargetStatus& target = targets_[id];
        // Bans of later slots were decided since, and went their own way.
        while (target.prepared && repairing.next < repairing.seen.size() && budget > 0) {
            std::uint32_t slot = repairing.next++;
            const Ban* ban = bans_.at(slot);
            if (repairing.seen[slot] || ban == nullptr || ban->key.jail != target.spec.jail ||
                ban->state == BanState::simulated || ban->until <= now)
                continue;
            Instant until = wanted_until(id, ban->key.prefix);
            queue({repairing.renew ? Order::Kind::renew : Order::Kind::add,
                   id,
                   ban->key.prefix,
                   until - now,
                   {}});
            arm(id, ban->key.prefix, until, now);
            ++repairing.changes;
            --budget;
        }
        if (target.prepared && repairing.next < repairing.seen.size()) return;
        if (target.prepared && repairing.repair && repairing.changes > 0) {
            ++targets_[id].repairs;
            report.repaired.push_back(id);
        }
        repairing = {};
        --repairing_;
    }
}

void Dispatch::check_blind_sets(Instant now, Report& report) {
    std::vector<std::size_t> bans(by_jail_.size());
    for (const Ban& ban : bans_)
        if (ban.state != BanState::simulated && ban.until > now) ++bans[ban.key.jail];
    bool full = ++checks_ % full_check_every == 0;
    for (const TargetStatus& target : targets_) {
        TargetId id = target.spec.id;
        if (!enforces(id) || backend_of(id).notice_fd() >= 0 || !target.prepared) continue;
        if (!full && prepare_target(id, now, report)) {
            auto count = backend_of(id).count(id);
            if (count && *count >= bans[target.spec.jail]) continue;
        }
        reconcile_target(id, now, report, true);
    }
}

void Dispatch::on_notice(std::size_t kind, Instant now, Report& report) {
    Backend::Notices notices = backends_[kind]->read_notices();
    for (const Completion& completion : notices.completions) on_completion(completion, now, report);
    if (!notices.touched) return;
    Touches& touches = touches_[kind];
    if (touches.due != never) return;
    if (now >= touches.since + quick || now < touches.since) {
        if (touches.count <= most_quick_repairs) touches.pause = Duration{0};
        touches.since = now;
        touches.count = 0;
    }
    if (++touches.count <= most_quick_repairs) {
        repair_all(kind, now, report);
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

void Dispatch::repair_all(std::size_t kind, Instant now, Report& report) {
    for (const TargetStatus& target : targets_)
        if (target.spec.action.index() == kind) reconcile_target(target.spec.id, now, report, true);
    flush(now, report);
}

void Dispatch::on_clock_change(Instant now, Report& report) {
    for (const TargetStatus& target : targets_)
        if (enforces(target.spec.id)) reconcile_target(target.spec.id, now, report, false);
    flush(now, report);
}

void Dispatch::on_time(Instant now, Report& report) {
    for (std::size_t kind = 0; kind < touches_.size(); ++kind) {
        if (touches_[kind].due > now) continue;
        touches_[kind].due = never;
        repair_all(kind, now, report);
    }
    for (TargetId target = 0; target < targets_.size(); ++target)
        if (retries_[target].due <= now) retry(target, now, report);
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
        check_blind_sets(now, report);
    }
    flush(now, report);
    for (TargetStatus& target : targets_) {
        Retry& retry = retries_[target.spec.id];
        if (retry.orders.empty() && target.prepared) retry.pause = Duration{0};
        target.waiting = retry.orders.size();
        target.retry_at = retry.due;
    }
}

void Dispatch::retry(TargetId id, Instant now, Report& report) {
    Retry& retry = retries_[id];
    retry.due = never;
    auto orders = std::exchange(retry.orders, {});
    if (!enforces(id)) {
        for (auto& [prefix, order] : orders)
            if (progress_.contains(order.ban->key)) queue(std::move(order));
        return;
    }
    if (!targets_[id].prepared) {
        // Reconciliation sends all that is wanted, the waiting orders among it.
        reconcile_target(id, now, report, true);
        bool prepared = targets_[id].prepared;
        if (prepared) retry.pause = Duration{0};
        for (auto& [prefix, order] : orders)
            if (!prepared)
                retry.orders.emplace(prefix, std::move(order));
            else if (order.kind == Order::Kind::remove)
                queue(std::move(order));
        return;
    }
    if (retry.reconcile)
        reconcile_target(id, now, report, true);
    else [[maybe_unused]]
        bool ready = prepare_target(id, now, report);
    for (auto& [prefix, order] : orders) {
        if (order.kind != Order::Kind::remove) {
            Instant until = wanted_until(id, prefix);
            if (until <= now) continue;
            order.timeout = until - now;
            order.kind = Order::Kind::renew;
        }
        queue(std::move(order));
    }
}

}  // namespace bandd
