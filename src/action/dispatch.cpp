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
                           Report& report) {
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
    // Whatever is not proven to be in the kernel is pending until reconciliation says otherwise.
    std::vector<BanKey> no_enforcer;
    for (const auto& [key, ban] : engine_.bans()) {
        if (ban.state == BanState::simulated) continue;
        if (std::uint64_t enforcing = enforcing_bits(key.jail); enforcing != 0)
            progress_[key] = {enforcing, false};
        else
            no_enforcer.push_back(key);
    }
    for (const BanKey& key : no_enforcer) engine_.set_state(key, BanState::active);
    for (const auto& [key, waiting] : progress_) engine_.set_state(key, BanState::pending);
    for (const TargetStatus& target : targets_)
        if (enforces(target.spec.id)) reconcile_target(target.spec.id, now, report, false);
    flush(now, report);
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
    auto progress = progress_.find({jail, prefix});
    if (progress == progress_.end()) return;
    auto place = std::ranges::find(by_jail_[jail], target) - by_jail_[jail].begin();
    progress->second.outstanding &= ~(std::uint64_t{1} << place);
    if (progress->second.outstanding == 0) in_force({jail, prefix}, report);
}

Instant Dispatch::wanted_until(TargetId target, const Prefix& prefix) const {
    Instant latest{INT64_MIN};
    for (TargetId other : sharing_[target]) {
        auto ban = engine_.bans().find({targets_[other].spec.jail, prefix});
        if (ban != engine_.bans().end() && ban->second.state != BanState::simulated)
            latest = std::max(latest, ban->second.until);
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

void Dispatch::enforce(const Ban& ban, bool announced, Instant now) {
    if (ban.state == BanState::simulated) return;
    Progress progress{enforcing_bits(ban.key.jail), announced};
    for (TargetId target : by_jail_[ban.key.jail]) {
        if (!enforces(target)) continue;
        Instant until = wanted_until(target, ban.key.prefix);
        Duration left = until - now;
        queue({Order::Kind::renew, target, ban.key.prefix, left, ban});
        arm(target, ban.key.prefix, until, now);
    }
    progress_[ban.key] = progress;
    if (progress.outstanding == 0) announce(Order::Kind::add, ban);
}

void Dispatch::announce(Order::Kind kind, const Ban& ban) {
    for (TargetId target : by_jail_[ban.key.jail])
        if (!enforces(target)) queue({kind, target, ban.key.prefix, forever, ban});
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
            queue({Order::Kind::renew, target, ban.key.prefix, until - now, ban});
        } else if (event.why != Unbanned::Why::expired ||
                   !backend_of(target).traits(target).timed) {
            queue({Order::Kind::remove, target, ban.key.prefix, forever, ban});
        }
    }
    if (was_in_force) announce(Order::Kind::remove, ban);
}

void Dispatch::on_events(std::span<const Event> events, Instant now) {
    for (const Event& event : events) {
        if (const auto* banned = std::get_if<Banned>(&event)) {
            if (banned->ban.until > now) enforce(banned->ban, !banned->restored, now);
        } else if (const auto* extended = std::get_if<Extended>(&event)) {
            if (extended->ban.state == BanState::simulated) continue;
            bool waiting = progress_.contains(extended->ban.key);
            for (TargetId target : by_jail_[extended->ban.key.jail]) {
                if (!enforces(target) || waiting) continue;
                Instant until = wanted_until(target, extended->ban.key.prefix);
                queue({Order::Kind::renew, target, extended->ban.key.prefix, until - now,
                       extended->ban});
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
    auto ban = engine_.bans().find(key);
    if (ban == engine_.bans().end() || !tell) return;
    report.in_force.push_back(ban->second);
    bool enforced =
        std::ranges::any_of(by_jail_[key.jail], [&](TargetId target) { return enforces(target); });
    if (enforced) announce(Order::Kind::add, ban->second);
}

void Dispatch::acknowledged(const Order& order, Instant, Report& report) {
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
            in_force(order.ban.key, report);
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
    retry.orders.insert_or_assign(prefix, std::move(order));
    if (retry.due == never) {
        retry.pause =
            retry.pause == Duration{0} ? first_pause : std::min(retry.pause * 2, longest_pause);
        retry.due = now + retry.pause;
    }
}

void Dispatch::flush(Instant now, Report& report) {
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
                    acknowledged(possible[i], now, report);
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
    auto present = backend_of(id).list(id);
    if (!present) {
        target.prepared = false;
        failed({Order::Kind::remove, id, {}, forever, {}}, present.error(), now, report);
        retries_[id].orders.erase(Prefix{});
        return;
    }
    std::vector<Wanted> wanted;
    for (const auto& [key, ban] : engine_.bans())
        if (ban.state != BanState::simulated && key.jail == target.spec.jail && ban.until > now)
            wanted.push_back({key.prefix, wanted_until(id, key.prefix)});
    // In a set that several jails write to, each sees to its own elements only.
    SetTraits traits = backend_of(id).traits(id);
    if (sharing_[id].size() > 1) traits.ours = false;
    Plan plan = reconcile(wanted, *present, traits, now);
    std::size_t changes = plan.add.size() + plan.renew.size();
    std::unordered_map<Prefix, bool, PrefixHash> touched;
    auto order = [&](Order::Kind kind, const Wanted& want) {
        touched[want.prefix] = true;
        const Ban& ban = engine_.bans().at({target.spec.jail, want.prefix});
        queue({kind, id, want.prefix, want.until - now, ban});
    };
    for (const Wanted& want : plan.add) order(Order::Kind::add, want);
    for (const Wanted& want : plan.renew) order(Order::Kind::renew, want);
    for (const Prefix& prefix : plan.remove) {
        Ban nobody;
        nobody.key = {target.spec.jail, prefix};
        queue({Order::Kind::remove, id, prefix, forever, nobody});
    }
    for (const Wanted& want : wanted) {
        arm(id, want.prefix, want.until, now);
        if (touched.contains(want.prefix)) continue;
        // It is there already: as good as acknowledged.
        holds(id, want.prefix, report);
    }
    if (repair && changes > 0) {
        ++target.repairs;
        report.repaired.push_back(id);
    }
}

void Dispatch::on_notice(std::size_t kind, Instant now, Report& report) {
    Backend::Notices notices = backends_[kind]->read_notices();
    for (Completion& completion : notices.completions) {
        if (completion.target >= targets_.size()) continue;
        TargetStatus& status = targets_[completion.target];
        auto ban = engine_.bans().find(completion.ban);
        if (completion.error) {
            Order order{completion.kind, completion.target, completion.ban.prefix, forever, {}};
            // Over meanwhile: there is nothing left to try again.
            if (ban == engine_.bans().end()) order.kind = Order::Kind::remove;
            if (ban != engine_.bans().end()) order.ban = ban->second;
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
    for (const TargetStatus& target : targets_)
        if (target.spec.action.index() == kind) reconcile_target(target.spec.id, now, report, true);
    flush(now, report);
}

void Dispatch::on_time(Instant now, Report& report) {
    for (TargetStatus& target : targets_) {
        TargetId id = target.spec.id;
        Retry& retry = retries_[id];
        if (retry.due > now) continue;
        retry.due = never;
        auto orders = std::exchange(retry.orders, {});
        if (!enforces(id)) {
            for (auto& [prefix, order] : orders)
                if (progress_.contains(order.ban.key)) queue(std::move(order));
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
        [[maybe_unused]] bool ready = prepare_target(id, now, report);
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
        auto ban = engine_.bans().find({targets_[target].spec.jail, prefix});
        if (ban == engine_.bans().end()) continue;
        queue({Order::Kind::renew, target, prefix, until - now, ban->second});
        arm(target, prefix, until, now);
    }
    if (check_at_ <= now) {
        check_at_ = never;
        for (const TargetStatus& target : targets_)
            if (enforces(target.spec.id) && backend_of(target.spec.id).notice_fd() < 0 &&
                target.prepared)
                reconcile_target(target.spec.id, now, report, true);
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
    for (const Retry& retry : retries_) next = std::min(next, retry.due);
    if (!rearm_.empty()) next = std::min(next, rearm_.begin()->first);
    if (next == never) return {};
    return next;
}

void Dispatch::clear(Instant now) {
    Report ignored;
    for (const auto& [key, ban] : engine_.bans())
        for (TargetId target : by_jail_[key.jail])
            if (enforces(target) && !backend_of(target).traits(target).ours)
                queue({Order::Kind::remove, target, key.prefix, forever, ban});
    flush(now, ignored);
    for (auto& backend : backends_)
        if (backend) backend->clear();
}

}  // namespace bandd
