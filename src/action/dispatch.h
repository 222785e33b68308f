// SPDX-License-Identifier: GPL-2.0-or-later
// Decisions to orders, orders to backends, once a turn; what fails is tried again with growing
// pauses until it holds or is not wanted any more. The only caller of backends. It sees the bans
// and changes none: what the sets acknowledge is in its reports, for the engine.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "action/backend.h"
#include "core/decide/ban_table.h"
#include "core/decide/decision.h"

namespace bandd {

struct TargetStatus {
    TargetSpec spec;
    bool prepared = false;
    std::optional<Error> error;  // the last failure, until one succeeds
    std::size_t waiting = 0;     // orders to be tried again
    Instant retry_at;
    std::uint64_t applied = 0, failures = 0, repairs = 0;
};

// The actions of one jail.
struct JailActions {
    JailIndex jail = 0;
    std::string name;
    std::vector<ActionConfig> actions;
};

// What a call led to.
struct Report {
    // For the engine.
    std::vector<Acknowledged> acknowledged;
    // The rest is for people.
    std::vector<Ban> in_force;  // acknowledged just now; restored ones are not among them
    struct Trouble {
        TargetId target = 0;
        Error error;
        bool recovered = false;
    };
    std::vector<Trouble> troubles;   // a target began or ceased to fail
    std::vector<Error> failed;       // of targets that a reload took away
    std::vector<TargetId> repaired;  // what somebody had taken away was put back
};

class Dispatch {
  public:
    static constexpr Duration first_pause = std::chrono::seconds(1);
    static constexpr Duration longest_pause = std::chrono::seconds(60);
    // Kernel sets that can't tell us when they are touched are looked at this often, while they
    // hold bans.
    static constexpr Duration check_interval = std::chrono::seconds(30);
    // Mostly by their number of elements; every so many times, each element is looked at.
    static constexpr int full_check_every = 20;
    // Bans that are put back in one turn when a set is made right.
    static constexpr std::uint32_t repair_slice = 32768;
    // Somebody who touches our sets more often than this is not a person but a program that wants
    // something else (a second bandd): then repairs wait for each other, or both would do nothing
    // else.
    static constexpr int most_quick_repairs = 500;
    static constexpr Duration quick = std::chrono::seconds(10);
    // Orders kept for another try, by target; beyond that, the target is reconciled instead.
    static constexpr std::size_t most_retries = 10'000;

    // By kind; null where no jail needs one.
    using Backends = std::array<std::unique_ptr<Backend>, action_kinds>;
    // `bans` must live as long.
    Dispatch(const BanTable& bans, Backends backends)
        : bans_(bans), backends_(std::move(backends)) {}

    // The actions of all jails, at start and on reload. `make_right` must follow.
    void set_targets(std::vector<JailActions> jails);
    // What our own sets hold, as bans: for a daemon whose state was lost.
    std::vector<Ban> bans_in_sets(Instant now, Report& report);
    // Prepares and reconciles all targets, whatever is in the kernel.
    void make_right(Instant now, Report& report);
    // While a backlog is read, what sets hold and no ban wants is left there: the ban may follow
    // from lines that are yet to be read again, and its packets must not pass meanwhile.
    void hold_removals() { holding_removals_ = true; }
    void release_removals(Instant now, Report& report);
    void add_backend(std::size_t kind, std::unique_ptr<Backend> backend) {
        backends_[kind] = std::move(backend);
    }
    bool has_backend(std::size_t kind) const { return backends_[kind] != nullptr; }

    void on_events(std::span<const Event> events, Instant now);
    // End of a turn: one batch for each backend.
    void flush(Instant now, Report& report);
    // A set is being made right, and there is more of it to do in the next turn.
    bool busy() const { return repairing_ > 0; }
    void on_notice(std::size_t kind, Instant now, Report& report);
    void on_time(Instant now, Report& report);
    // The wall clock was set: the kernel's timeouts did not see that, and are made right.
    void on_clock_change(Instant now, Report& report);
    std::optional<Instant> next_deadline() const;

    // Takes every ban out of the kernel again, for `stop: flush`.
    void clear(Instant now);

    const std::vector<TargetStatus>& targets() const { return targets_; }

  private:
    // A ban that is not in force yet; or it is one of `unproven_`.
    struct Progress {
        // Targets that have not acknowledged it: bits by place among the jail's actions.
        std::uint64_t outstanding = 0;
        bool announce = true;
    };
    struct Retry {
        std::map<Prefix, Order> orders;
        bool reconcile = false;  // more failed than are kept
        Duration pause{0};
        Instant due = never;
    };
    // A target's set was read; bans that were not in it are added, slice by slice.
    struct Repairing {
        bool active = false;
        std::vector<bool> seen;  // slots of the engine's bans that the set holds as it should
        std::uint32_t next = 0;
        bool renew = false;  // some elements are there with a wrong end
        bool repair = false;
        std::size_t changes = 0;
    };
    // How often somebody touched the sets of one backend.
    struct Touches {
        Instant since{INT64_MIN};
        int count = 0;
        Duration pause{0};
        Instant due = never;  // of the repair that was put off
    };
    void repair_all(std::size_t kind, Instant now, Report& report);
    void find_sharing();
    void acknowledge_all(Report& report);
    void continue_repairs(Instant now, Report& report);
    void check_blind_sets(Instant now, Report& report);
    bool enforces(TargetId target) const;
    bool completes_later(TargetId target) const;
    void on_completion(const Completion& completion, Instant now, Report& report);
    static Duration longer(Duration pause) {
        return pause == Duration{0} ? first_pause : std::min(pause * 2, longest_pause);
    }
    void retry(TargetId target, Instant now, Report& report);
    Backend& backend_of(TargetId target) const;
    void enforce(const Ban& ban, Instant now);
    void lift(const Unbanned& event, Instant now);
    void announce(Order::Kind kind, const Ban& ban);
    void queue(Order order);
    void acknowledged(const Order& order, Report& report);
    void failed(Order order, Error error, Instant now, Report& report);
    void reconcile_target(TargetId target, Instant now, Report& report, bool repair);
    bool prepare_target(TargetId target, Instant now, Report& report);
    std::uint64_t enforcing_bits(JailIndex jail) const;
    void holds(TargetId target, const Prefix& prefix, Report& report);
    void in_force(const BanKey& key, Report& report);
    Instant wanted_until(TargetId target, const Prefix& prefix) const;
    void arm(TargetId target, const Prefix& prefix, Instant until, Instant now);

    const BanTable& bans_;
    Backends backends_;
    std::vector<TargetStatus> targets_;
    std::vector<std::vector<TargetId>> by_jail_;
    std::vector<std::vector<TargetId>>
        sharing_;  // targets that write to the same set, itself included
    std::vector<Retry> retries_;
    std::vector<Repairing> repairs_;
    std::size_t repairing_ = 0;  // how many of them are active
    int checks_ = 0;
    std::array<Touches, action_kinds> touches_;
    std::array<std::vector<Order>, action_kinds> queued_;
    std::unordered_map<BanKey, Progress, BanKeyHash> progress_;
    // Slots of bans that were there when targets were set, and that no target has acknowledged
    // since. They wait for all targets of their jail, and are no news to anybody.
    std::vector<bool> unproven_;
    std::multimap<Instant, std::pair<TargetId, Prefix>> rearm_;  // timeouts shorter than the ban
    Instant check_at_ = never;
    bool holding_removals_ = false;
    std::set<TargetId> held_;  // targets whose sets hold more than is wanted
};

}  // namespace bandd
