// SPDX-License-Identifier: GPL-2.0-or-later
// Decisions to orders, orders to backends, once a turn; what fails is tried again with growing
// pauses until it holds or is not wanted any more. The only caller of carriers, and so of backends.
// It sees the bans and changes none: what the sets acknowledge is in its reports, for the engine.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "action/carrier.h"
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
    std::vector<Trouble> troubles;                    // a target began or ceased to fail
    std::vector<Error> failed;                        // of targets that a reload took away
    std::vector<TargetId> repaired;                   // what somebody had taken away was put back
    std::vector<std::pair<TargetId, Error>> remarks;  // on what a target's sets can't hold
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
    // Bans that are put back, or left out, in one turn when a set is made right.
    static constexpr std::uint32_t repair_slice = 512;
    // Somebody who touches our sets more often than this is not a person but a program that wants
    // something else (a second bandd): then repairs wait for each other, or both would do nothing
    // else.
    static constexpr int most_quick_repairs = 500;
    static constexpr Duration quick = std::chrono::seconds(10);
    // Orders kept for another try, by target; beyond that, the target is reconciled instead.
    static constexpr std::size_t most_retries = 10'000;
    // Orders in one request to a backend. It takes the kernel some 2 ms, which is how long a ban
    // waits that comes meanwhile. Larger ones do not bring more orders a second
    // (bench_kernel_orders).
    static constexpr std::size_t most_in_a_request = 512;
    // Requests that wait for their answer. What is ordered meanwhile becomes one request: the
    // kernel takes as long for one order as for a hundred.
    static constexpr std::size_t most_requests = 2;
    // Orders that wait to be sent, by kind. What is more is put off: of such bans a bit is kept,
    // and they are ordered once these are done.
    static constexpr std::size_t most_queued = 131'072;
    // Elements that are taken out of sets after one look. What is more is found by the next one.
    static constexpr std::size_t most_removals = 262'144;
    // Whoever wants to know what became of a ban at once waits at most so long.
    static constexpr Duration patience = std::chrono::milliseconds(100);

    // By kind; null where no jail needs one.
    using Carriers = std::array<std::unique_ptr<Carrier>, action_kinds>;
    // `bans` must live as long.
    Dispatch(const BanTable& bans, Carriers carriers)
        : bans_(bans), carriers_(std::move(carriers)) {}

    // The actions of all jails, at start and on reload. `make_right` must follow. What goes on for
    // jails whose actions are the same goes on, where the kernel tells of what others do to their
    // sets: so a reload does not make all bans pending, and reads no set of 100,000.
    void set_targets(std::vector<JailActions> jails);
    // What our own sets hold, as bans: for a daemon whose state was lost.
    // Waits for it, at most so long a target.
    std::vector<Ban> bans_in_sets(Instant now, Report& report, Duration longest = patience);
    // Prepares and reconciles the targets that are new, whatever is in the kernel. Waits for what
    // is done soon.
    void make_right(Instant now, Report& report, Duration longest = patience);
    // While a backlog is read, what sets hold and no ban wants is left there: the ban may follow
    // from lines that are yet to be read again, and its packets must not pass meanwhile.
    void hold_removals() { holding_removals_ = true; }
    void release_removals();
    // Bans come back from a large state little by little, and are put into the sets as they come;
    // `make_right` looks at no set meanwhile. It is told the slots of each part, and then the end:
    // sets that can be listed are looked at then.
    void begin_restoring() { restoring_ = true; }
    void on_restored(std::span<const std::uint32_t> slots);
    void end_restoring();
    void add_carrier(std::size_t kind, std::unique_ptr<Carrier> carrier) {
        carriers_[kind] = std::move(carrier);
    }
    bool has_carrier(std::size_t kind) const { return carriers_[kind] != nullptr; }

    void on_events(std::span<const Event> events, Instant now);
    // End of a turn: one batch for each backend. Waits for answers only as long as it is told.
    void flush(Instant now, Report& report, Duration longest = Duration{0});
    // A set is being made right, and there is more of it to do in the next turn.
    bool busy() const;
    void on_notice(std::size_t kind, Instant now, Report& report);
    void on_time(Instant now, Report& report);
    // The wall clock was set: the kernel's timeouts did not see that, and are made right.
    void on_clock_change(Instant now, Report& report);
    std::optional<Instant> next_deadline() const;

    // Takes every ban out of the kernel again, for `stop: flush`; waits for it.
    void clear(Instant now, Duration longest = patience);
    // Sends and waits for all, and for what follows from it: a ban that is acknowledged only now is
    // told of, by its other actions, too.
    void finish(Instant now, Report& report, Duration longest = patience);

    const std::vector<TargetStatus>& targets() const { return targets_; }
    // Bans that its set, which is full or cannot be used, does not hold.
    std::size_t missing(TargetId target) const;
    // How often a backend was lost, with what it had been asked for.
    std::uint64_t losses() const { return losses_; }
    // Orders that were too many to keep until a backend answered.
    std::uint64_t overflows() const { return overflows_; }

  private:
    // A ban that is not in force yet; or it is one of `unproven_`.
    struct Progress {
        // Targets that have not acknowledged it: bits by place among the jail's actions.
        std::uint64_t outstanding = 0;
        bool announce = true;
        RequestId since = 0;  // earlier requests say nothing of it
    };
    struct Retry {
        std::map<Prefix, Order> orders;
        bool reconcile = false;  // more failed than are kept
        Duration pause{0};
        Instant due = never;
        bool lost = false;  // the target's error is that its backend was lost
        bool full = false;  // its set is: bans wait for one look instead of being tried again
        // What was said since the target worked last: two faults by turns are said once each.
        std::set<std::string> said;
    };
    static constexpr std::size_t most_said = 16;  // then they may be said again
    // Why a target is looked at: to have it prepared; whether it holds as many as it should; what
    // it holds, as bans; to make it right.
    enum class Purpose : std::uint8_t { prepare, count, find, repair };
    // A target's set is read; then bans that were not in it are added, slice by slice.
    struct Repairing {
        enum class Stage : std::uint8_t { none, looking, adding };
        Stage stage = Stage::none;
        RequestId look = 0;
        Purpose purpose = Purpose::repair;
        std::size_t expected = 0;           // of count
        std::vector<Ban>* found = nullptr;  // of find
        // Of repair.
        std::vector<bool> seen;  // slots of the engine's bans that the set holds as it should
        std::uint64_t listed4 = 0, listed6 = 0;  // elements that stay there
        std::uint32_t next = 0;
        bool left_out = false;  // a ban, as there was no room
        bool lost = false;      // a ban that it had acknowledged
        bool renew = false;     // some elements are there with a wrong end
        bool say = false;       // if something was missing
        bool again = false;     // somebody touched it since the look began
        std::size_t changes = 0;
    };
    // What a kind's backend was asked for, and has not answered.
    struct UnderWay {
        std::deque<std::pair<RequestId, std::vector<Order>>> batches;
        bool lost = false;
        bool loss_said = false;   // and that it is over is to be said once, too
        bool overflowed = false;  // orders were put off
    };
    // How often somebody touched the sets of one backend.
    struct Touches {
        Instant since{INT64_MIN};
        int count = 0;
        Duration pause{0};
        Instant due = never;  // of the repair that was put off
    };
    // Notices.
    void collect(Instant now, Report& report);
    void hear(std::size_t kind, Notice notice, Instant now, Report& report);
    void on_elements(const Elements& elements, Instant now, Report& report);
    void on_looked(const Looked& looked, Instant now, Report& report);
    void on_applied(std::size_t kind, const Applied& applied, Instant now, Report& report);
    void on_touched(std::size_t kind, Instant now, Report& report);
    void fetch_ban_of(std::span<const Order> orders, std::size_t number) const;
    void on_completion(const Completion& completion, Instant now, Report& report);
    void on_lost(std::size_t kind, const Error& error, Report& report);
    void on_regained(std::size_t kind);
    // Requests.
    bool may_send(std::size_t kind) const;
    void send_queued(std::size_t kind, Instant now, Report& report);
    void send_all(Instant now, Report& report);
    std::vector<Order> take_queued(std::size_t kind);
    bool may_be_sent(TargetId target) const;
    bool has_room(std::size_t kind) const;
    Repairing& look_at(TargetId target, Look what, Purpose purpose);
    void wait_for_all(Duration longest);
    // What is to be done.
    void repair_all(std::size_t kind, bool say);
    void begin_adding(TargetId target);
    void order_put_off(std::size_t kind);
    void find_sharing();
    void make_old_right(Instant now);
    std::vector<bool> find_settled(const std::vector<TargetStatus>& fresh) const;
    void send_removals();
    void acknowledge_all(Report& report);
    void continue_repairs(Instant now, Report& report);
    void continue_repair(TargetId id, std::uint32_t& budget, Instant now, Report& report);
    void check_blind_sets(Instant now);
    void expect_checks(Instant now);
    // There is a slot to be added, or there will be none.
    bool has_more_to_add(TargetId target) const {
        const Repairing& repairing = repairs_[target];
        return repairing.stage == Repairing::Stage::adding &&
               (!restoring_ || repairing.next < repairing.seen.size());
    }
    bool enforces(TargetId target) const { return carrier_of(target).enforces(); }
    bool completes_later(TargetId target) const { return carrier_of(target).completes_later(); }
    static Duration longer(Duration pause) {
        return pause == Duration{0} ? first_pause : std::min(pause * 2, longest_pause);
    }
    void retry(TargetId target, Instant now);
    void send_again(std::map<Prefix, Order> orders, Instant now);
    void keep(Order order);
    Carrier& carrier_of(TargetId target) const;
    std::size_t kind_of(TargetId target) const { return targets_[target].spec.action.index(); }
    void enforce(const Ban& ban, Instant now);
    void lift(const Unbanned& event, Instant now);
    void announce(Order::Kind kind, const Ban& ban);
    void queue(Order order);
    void acknowledged(const Order& order, RequestId request, Report& report);
    void failed(Order order, Error error, Instant now, Report& report);
    void say_failure(TargetId target, const Error& error, Report& report);
    void refused_by_full_set(const Order& order, const Error& error, Instant now, Report& report);
    void drop_queued(TargetId target);
    void lacks(TargetId target, const Prefix& prefix, Report& report);
    bool is_lacking(TargetId target, const BanKey& key) const;
    std::size_t lacking(TargetId target) const;
    bool has_room_in_set(TargetId target, const Prefix& prefix);
    void end_adding(TargetId target, Instant now, Report& report);
    void not_ready(TargetId target, const Error& error, Instant now, Report& report);
    void recovered(TargetId target, Report& report);
    void reconcile_target(TargetId target, bool say);
    void judge_element(TargetId target, const Present& present, Instant now, Report& report);
    void end_repair(TargetId target);
    std::uint64_t enforcing_bits(JailIndex jail) const;
    std::uint64_t bit_of(TargetId target) const;
    void holds(TargetId target, const Prefix& prefix, RequestId request, Report& report);
    void in_force(const BanKey& key, Report& report);
    void give_back_progress();
    Instant wanted_until(TargetId target, const Prefix& prefix) const;
    // The same of a ban that is there, and not simulated: it need not be looked up.
    Instant wanted_until(TargetId target, const Ban& ban) const;
    void arm(TargetId target, const Prefix& prefix, Instant until, Instant now);

    const BanTable& bans_;
    Carriers carriers_;
    RequestId next_request_ = 1;
    std::array<UnderWay, action_kinds> under_way_;
    std::uint64_t losses_ = 0, overflows_ = 0;
    std::vector<TargetStatus> targets_;
    std::vector<std::vector<TargetId>> by_jail_;
    std::vector<std::vector<TargetId>>
        sharing_;  // targets that write to the same set, itself included
    std::vector<Retry> retries_;
    std::vector<Repairing> repairs_;
    std::size_t adding_ = 0;  // how many of them are at that stage
    int checks_ = 0;
    std::array<Touches, action_kinds> touches_;
    // What waits to be sent: by set, so that what many bans of one jail wait for holds up no other
    // jail. A set's orders stay in their order; the set is called by its first target.
    std::vector<std::deque<Order>> queues_;
    // Slots of bans whose orders were put off, by target.
    std::vector<std::vector<bool>> put_off_;
    std::array<std::size_t, action_kinds> queued_{};  // how many, by kind
    TargetId first_served_ = 0;
    std::unordered_map<BanKey, Progress, BanKeyHash> progress_;
    // Since the last `set_targets`: nothing is new; jails whose targets hold all that they should.
    bool same_targets_ = false;
    std::vector<bool> settled_;
    // Slots of bans that were there when targets were set, and that no target has acknowledged
    // since. They wait for all targets of their jail, and are no news to anybody.
    std::vector<bool> unproven_;
    std::multimap<Instant, std::pair<TargetId, Prefix>> rearm_;  // timeouts shorter than the ban
    Instant check_at_ = never;
    bool holding_removals_ = false;
    bool restoring_ = false;
    std::set<TargetId> held_;  // targets whose sets hold more than is wanted
};

}  // namespace bandd
