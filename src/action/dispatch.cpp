// SPDX-License-Identifier: GPL-2.0-or-later
// A ban is in force when all targets that enforce have acknowledged it; only then is it announced
// (syslog, exec). A jail that only announces is in force when that was done.
#include "action/dispatch.h"

#include <algorithm>

namespace bandd {
namespace {

constexpr std::size_t most_actions = 64;  // of one jail: the bits of Progress::outstanding

}  // namespace

Backend& Dispatch::backend_of(TargetId target) const {
    return *backends_[targets_[target].spec.action.index()];
}

bool Dispatch::enforces(TargetId target) const { return backend_of(target).enforces(); }

bool Dispatch::is_exec(TargetId target) const {
    return std::holds_alternative<ExecAction>(targets_[target].spec.action);
}

void Dispatch::set_targets(const std::vector<std::vector<ActionConfig>>& actions, Instant now,
                           Report& report, bool adopt) {
    held_.clear();
    const auto& rules = engine_.rules();
    targets_.clear();
    by_jail_.assign(rules.size(), {});
    for (std::size_t jail = 0; jail < rules.size(); ++jail)
        for (const ActionConfig& action : actions[jail]) {
            if (!backends_[action.index()] || by_jail_[jail].size() == most_actions) continue;
            auto id = static_cast<TargetId>(targets_.size());
            TargetStatus status;
            status.spec = {id, static_cast<JailIndex>(jail), rules[jail].name, action};
            targets_.push_back(std::move(status));
            by_jail_[jail].push_back(id);
        }
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
    retries_.assign(targets_.size(), {});
    for (auto& orders : queued_) orders.clear();
    progress_.clear();
    rearm_.clear();
    for (std::size_t kind = 0; kind < backends_.size(); ++kind) {
        if (!backends_[kind]) continue;
        std::vector<TargetSpec> specs;
        for (const TargetStatus& target : targets_)
            if (target.spec.action.index() == kind) specs.push_back(target.spec);
        backends_[kind]->set_targets(std::move(specs));
    }
    repairs_.assign(targets_.size(), {});
    repairing_ = 0;
    if (adopt)
        for (const TargetStatus& target : targets_)
            if (enforces(target.spec.id) && prepare_target(target.spec.id, now, report))
                adopt_bans(target.spec.id, now);
    // Whatever is not proven to be in the kernel is pending until reconciliation says otherwise.
    std::vector<BanState> state_of(rules.size(), BanState::active);
    for (std::size_t jail = 0; jail < rules.size(); ++jail)
        if (enforcing_bits(static_cast<JailIndex>(jail)) != 0) state_of[jail] = BanState::pending;
    for (const Ban& ban : engine_.bans())
        if (ban.state != BanState::simulated) engine_.set_state(ban.key, state_of[ban.key.jail]);
    for (const TargetStatus& target : targets_)
        if (enforces(target.spec.id)) reconcile_target(target.spec.id, now, report, false);
    flush(now, report);
}

void Dispatch::adopt_bans(TargetId id, Instant now) {
    if (!backend_of(id).traits(id).ours) return;  // what is the user's own can't be told from ours
    auto story = std::make_shared<Story>();
    story->reason = "found in the kernel";
    JailIndex jail = targets_[id].spec.jail;
    [[maybe_unused]] auto listed = backend_of(id).list(id, [&](const Present& present) {
        BanKey key{jail, present.prefix};
        if (engine_.bans().find(key) != nullptr) return;
        Ban ban;
        ban.key = key;
        ban.from = now;
        ban.until = present.remaining ? now + *present.remaining : never;
        ban.story = story;
        engine_.restore_ban(std::move(ban));
    });
}

std::uint64_t Dispatch::enforcing_bits(JailIndex jail) const {
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < by_jail_[jail].size(); ++i)
        if (enforces(by_jail_[jail][i])) bits |= std::uint64_t{1} << i;
    return bits;
}

// One target has acknowledged its part of a ban.
void Dispatch::holds(TargetId target, const Prefix& prefix, Report& report) {
    JailIndex jail = targets_[target].spec.jail;
    BanKey key{jail, prefix};
    auto place = std::ranges::find(by_jail_[jail], target) - by_jail_[jail].begin();
    std::uint64_t mine = std::uint64_t{1} << place;
    auto progress = progress_.find(key);
    if (progress == progress_.end()) {
        const Ban* ban = engine_.bans().find(key);
        if (ban == nullptr || ban->state != BanState::pending) return;
        std::uint64_t others = enforcing_bits(jail) & ~mine;
        if (others == 0)
            engine_.set_state(key, BanState::active);
        else
            progress_.emplace(key, Progress{others, false});
        return;
    }
    progress->second.outstanding &= ~mine;
    if (progress->second.outstanding == 0) in_force(key, report);
}

Instant Dispatch::wanted_until(TargetId target, const Prefix& prefix) const {
    Instant latest{INT64_MIN};
    for (TargetId other : sharing_[target]) {
        const Ban* ban = engine_.bans().find({targets_[other].spec.jail, prefix});
        if (ban != nullptr && ban->state != BanState::simulated)
            latest = std::max(latest, ban->until);
    }
    return latest;
}

void Dispatch::queue(Order order) {
    queued_[targets_[order.target].spec.action.index()].push_back(std::move(order));
}

void Dispatch::arm(TargetId target, const Prefix& prefix, Instant until, Instant now) {
    SetTraits traits = backend_of(target).traits(target);
    if (!traits.timed || traits.longest == forever) return;
    if (until == never) return;  // such elements have no timeout
    if (until - now <= traits.longest) return;
    constexpr Duration margin = std::chrono::hours(1);
    rearm_.emplace(now + (traits.longest - margin), std::pair{target, prefix});
}

void Dispatch::enforce(const Ban& ban, Instant now) {
    if (ban.state == BanState::simulated) return;
    Progress progress{enforcing_bits(ban.key.jail)};
    for (TargetId target : by_jail_[ban.key.jail]) {
        if (!enforces(target)) continue;
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
    for (TargetId target : by_jail_[ban.key.jail]) {
        if (!enforces(target)) continue;
        retries_[target].orders.erase(ban.key.prefix);
        Instant until = wanted_until(target, ban.key.prefix);
        if (until > now) {  // another jail wants it in the same set
            queue({Order::Kind::renew, target, ban.key.prefix, until - now, {}});
        } else if (event.why != Unbanned::Why::expired ||
                   !backend_of(target).traits(target).timed) {
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

void Dispatch::in_force(const BanKey& key, Report& report) {
    auto progress = progress_.find(key);
    if (progress == progress_.end()) return;
    bool tell = progress->second.announce;
    progress_.erase(progress);
    engine_.set_state(key, BanState::active);
    const Ban* ban = engine_.bans().find(key);
    if (ban == nullptr || !tell) return;
    report.in_force.push_back(*ban);
    bool enforced =
        std::ranges::any_of(by_jail_[key.jail], [&](TargetId target) { return enforces(target); });
    if (enforced) announce(Order::Kind::add, *ban);
}

void Dispatch::acknowledged(const Order& order, Report& report) {
    TargetStatus& status = targets_[order.target];
    ++status.applied;
    // A program was only started: its end is what tells.
    if (!is_exec(order.target) && status.error && retries_[order.target].orders.empty()) {
        report.troubles.push_back({order.target, *status.error, true});
        status.error.reset();
    }
    if (!enforces(order.target)) {
        // exec acknowledges by a completion; syslog has done it already.
        if (order.kind == Order::Kind::add && enforcing_bits(status.spec.jail) == 0 &&
            !is_exec(order.target))
            in_force(order.ban->key, report);
        return;
    }
    if (order.kind == Order::Kind::remove) return;
    holds(order.target, order.prefix, report);
}

void Dispatch::failed(Order order, Error error, Instant now, Report& report) {
    TargetStatus& status = targets_[order.target];
    ++status.failures;
    bool news = !status.error || to_line(*status.error) != to_line(error);
    status.error = error;
    if (news) report.troubles.push_back({order.target, std::move(error), false});
    // What was only to be told is not told later; but a program may be all that enforces a ban.
    bool holds_ban =
        enforces(order.target) || (order.kind == Order::Kind::add && is_exec(order.target) &&
                                   enforcing_bits(status.spec.jail) == 0);
    if (!holds_ban) return;
    Retry& retry = retries_[order.target];
    Prefix prefix = order.prefix;
    if (retry.orders.size() < most_retries || !enforces(order.target))
        retry.orders.insert_or_assign(prefix, std::move(order));
    else
        retry.reconcile = true;
    if (retry.due == never) {
        retry.pause =
            retry.pause == Duration{0} ? first_pause : std::min(retry.pause * 2, longest_pause);
        retry.due = now + retry.pause;
    }
}

void Dispatch::flush(Instant now, Report& report) {
    if (repairing_ > 0) continue_repairs(now, report);
    // Announcements follow from acknowledgements, so they come in a second round.
    for (int round = 0; round < 2; ++round) {
        for (std::size_t kind = 0; kind < backends_.size(); ++kind) {
            if (!backends_[kind] || queued_[kind].empty()) continue;
            std::vector<Order> orders = std::exchange(queued_[kind], {});
            std::vector<Order> possible;
            for (Order& order : orders) {
                if (!enforces(order.target) || targets_[order.target].prepared) {
                    possible.push_back(std::move(order));
                } else {
                    Error error =
                        targets_[order.target].error.value_or(Error{"not ready", {}, {}, {}});
                    failed(std::move(order), std::move(error), now, report);
                }
            }
            std::vector<Failure> failures;
            backends_[kind]->apply(possible, failures);
            std::vector<const Error*> errors(possible.size(), nullptr);
            for (const Failure& failure : failures) errors[failure.index] = &failure.error;
            for (std::size_t i = 0; i < possible.size(); ++i) {
                if (errors[i] != nullptr)
                    failed(std::move(possible[i]), *errors[i], now, report);
                else
                    acknowledged(possible[i], report);
            }
        }
    }
    bool blind = false;
    for (const TargetStatus& target : targets_)
        if (enforces(target.spec.id) && backend_of(target.spec.id).notice_fd() < 0) blind = true;
    if (!blind || engine_.bans().empty())
        check_at_ = never;
    else if (check_at_ == never)
        check_at_ = now + check_interval;
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
    retry.pause =
        retry.pause == Duration{0} ? first_pause : std::min(retry.pause * 2, longest_pause);
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
    Repairing repairing{true, std::vector<bool>(engine_.bans().slots()), 0, false, repair, 0};
    // Too many to look at each: all are added, which changes nothing where they are there.
    bool too_many = engine_.bans().size() > backend_of(id).most_listed();
    auto listed = too_many ? Result<>{} : backend_of(id).list(id, [&](const Present& present) {
        std::uint32_t slot = engine_.bans().slot_of({jail, present.prefix});
        const Ban* ban = engine_.bans().at(slot);
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
            const Ban* ban = engine_.bans().at(slot);
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
    for (const Ban& ban : engine_.bans())
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
    for (Completion& completion : notices.completions) {
        if (completion.target >= targets_.size()) continue;
        TargetStatus& status = targets_[completion.target];
        const Ban* ban = engine_.bans().find(completion.ban);
        if (completion.error) {
            Order order{completion.kind, completion.target, completion.ban.prefix, forever, {}};
            // Over meanwhile: there is nothing left to try again.
            if (ban == nullptr) order.kind = Order::Kind::remove;
            if (ban != nullptr) order.ban = std::make_shared<const Ban>(*ban);
            failed(std::move(order), *completion.error, now, report);
            continue;
        }
        if (status.error && retries_[completion.target].orders.empty()) {
            report.troubles.push_back({completion.target, *status.error, true});
            status.error.reset();
            retries_[completion.target].pause = Duration{0};
        }
        if (completion.kind == Order::Kind::add) in_force(completion.ban, report);
    }
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
    touches.pause =
        touches.pause == Duration{0} ? first_pause : std::min(touches.pause * 2, longest_pause);
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
    for (TargetStatus& target : targets_) {
        TargetId id = target.spec.id;
        Retry& retry = retries_[id];
        if (retry.due > now) continue;
        retry.due = never;
        auto orders = std::exchange(retry.orders, {});
        if (!enforces(id)) {
            for (auto& [prefix, order] : orders)
                if (progress_.contains(order.ban->key)) queue(std::move(order));
            continue;
        }
        if (!target.prepared) {
            // Reconciliation sends all that is wanted, the waiting orders among it.
            reconcile_target(id, now, report, true);
            if (target.prepared) retry.pause = Duration{0};
            for (auto& [prefix, order] : orders)
                if (order.kind == Order::Kind::remove) {
                    if (target.prepared)
                        queue(std::move(order));
                    else
                        retry.orders.emplace(prefix, std::move(order));
                } else if (!target.prepared) {
                    retry.orders.emplace(prefix, std::move(order));
                }
            continue;
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

std::optional<Instant> Dispatch::next_deadline() const {
    Instant next = check_at_;
    for (const Touches& touches : touches_) next = std::min(next, touches.due);
    for (const Retry& retry : retries_) next = std::min(next, retry.due);
    if (!rearm_.empty()) next = std::min(next, rearm_.begin()->first);
    if (next == never) return {};
    return next;
}

void Dispatch::clear(Instant now) {
    Report ignored;
    for (const Ban& ban : engine_.bans())
        for (TargetId target : by_jail_[ban.key.jail])
            if (enforces(target) && !backend_of(target).traits(target).ours)
                queue({Order::Kind::remove, target, ban.key.prefix, forever, {}});
    flush(now, ignored);
    for (auto& backend : backends_)
        if (backend) backend->clear();
}

}  // namespace bandd
