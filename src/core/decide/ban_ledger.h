// SPDX-License-Identifier: GPL-2.0-or-later
// The ledger of bans: which there are, when they end, which have just ended, and how often each
// address was banned. It decides nothing; the engine does.
//
// One thread. Deterministic. Times are event times.
#pragma once

#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/decide/ban_table.h"
#include "core/decide/changes.h"
#include "core/decide/offence_table.h"

namespace bandd {

struct LedgerLimits {
    std::size_t bans = 2'000'000;
    std::size_t offences = 2'000'000;
    Duration offence_memory = std::chrono::days(30);  // dbpurgeage
};

// A line is read some time after it was written. Whether it was written during a ban is told by its
// own time, so bans that expired are remembered this long. Otherwise a decision would depend on how
// busy we were.
inline constexpr Duration lateness = std::chrono::seconds(60);

class BanLedger {
  public:
    // Ended bans that are remembered for late lines; of more, the newest are not.
    static constexpr std::size_t most_remembered = 100'000;

    explicit BanLedger(LedgerLimits limits = {}) : limits_(limits), offences_(limits.offences) {}
    const LedgerLimits& limits() const { return limits_; }
    // Bans that are more than that stay.
    void set_limits(std::size_t bans, Duration offence_memory) {
        limits_.bans = bans;
        limits_.offence_memory = offence_memory;
    }

    const BanTable& bans() const { return bans_; }
    std::size_t room() const {
        return limits_.bans - std::min(limits_.bans, bans_.size() + expected_);
    }
    bool full() const { return room() == 0; }
    // Null if the ledger is full: then it is counted as refused.
    const Ban* begin(Ban ban);
    std::uint64_t refused() const { return refused_; }
    void count_refused() { ++refused_; }

    // Of a ban that is there.
    void count_hit(std::uint32_t slot);
    void extend(std::uint32_t slot, Instant until);
    // The fleet says another end of it; it may be earlier.
    void adopt(std::uint32_t slot, const Ban& told);
    // An order by hand takes a ban over: its end and its story. What ignoreip does not lift stays
    // so.
    void take_over(std::uint32_t slot, const Ban& by_hand);
    void set_state(const BanKey& key, BanState state);  // nothing if it has ended
    // A story that has the reason only. Bans share those of few reasons.
    std::shared_ptr<const Story> story_of_reason(const std::string& reason);
    // What was taken for a checkpoint is on disk: looks at `most` bans of it, and those of which
    // `may` says so keep only the reason of their story in memory. False: there are no more.
    template <class May>
    bool forget_details(std::size_t most, const May& may) {
        for (; most > 0 && !taken_.empty(); --most) {
            std::uint32_t slot = taken_.back();
            taken_.pop_back();
            Ban* ban = bans_.at(slot);
            // One that has changed since comes again.
            if (ban == nullptr || is_changed_[slot] || !ban->story || !has_details(*ban->story) ||
                !may(std::as_const(*ban)))
                continue;
            ban->story = story_of_reason(ban->story->reason);
        }
        if (taken_.empty()) taken_ = {};
        return !taken_.empty();
    }
    Unbanned end(const BanKey& key, Unbanned::Why why, Instant at);
    // One that had ended before it was told of: for the history alone.
    void put_past(Unbanned ended);

    // The ban that is due first by `now`, ended; empty if none is.
    std::optional<Unbanned> end_next(Instant now);
    // Bans that expired longer than `lateness` ago are forgotten.
    void forget_ended(Instant now);
    std::optional<Instant> next_deadline() const;

    // Whether there are bans that expired of late, see `lateness`.
    bool remembers() const { return !recent_.empty(); }
    // The ban of `key` that held at `at` and has expired since, the hit counted; null if none did.
    // The pointer holds until the next call.
    const Ban* count_late_hit(const BanKey& key, Instant at);
    // Of one that `count_late_hit` gave: its end is later than it was thought to be. Over all the
    // same; or it goes on. Null: the ledger is full.
    void extend_ended(const BanKey& key, Instant until);
    const Ban* begin_again(const BanKey& key, Instant until);

    // One more ban of `prefix`, from `from` on: which one it is, in this jail or over all of them.
    // Those that ended longer than `offence_memory` ago do not count.
    std::uint32_t count_offence(JailIndex jail, const Prefix& prefix, Instant from, bool all_jails);
    // When that ban ends: it is remembered from then on.
    void set_offence_end(const BanKey& key, Instant until);
    // Bans that another program counted: `count` of this jail, and as many more over all as are
    // new here. False: they were known.
    bool raise_offences(const BanKey& key, std::uint32_t count, Instant last);
    std::optional<Offences> offences(const BanKey& key) const { return offences_.find(key); }

    // Bans, ended bans and offences of which a checkpoint does not know yet. Each takes one of
    // `most`, which counts down.
    void take_changes(Changes& changes, std::size_t& most);
    std::size_t waiting_changes() const {
        return ended_.size() + changed_slots_.size() + offences_.waiting_changes();
    }
    void mark_all_changed();
    // From a checkpoint. Those that are expected have their place.
    void expect(std::size_t bans) {
        bans_.reserve(bans);
        expected_ = bans;
    }
    void expect_no_more() { expected_ = 0; }
    std::uint32_t restore(Ban ban);  // its slot
    void restore_ended(const Unbanned& ended) { remember(ended); }
    void restore_offences(const BanKey& key, const Offences& offences) {
        offences_.restore(key, offences);
    }

  private:
    static bool has_details(const Story& story) {
        return !story.matches.empty() || !story.fields.empty();
    }
    struct Deadline {
        Instant at;
        std::uint32_t slot = 0;  // in bans_
        bool operator>(const Deadline& other) const { return at > other.at; }
    };
    bool is_due(const Deadline& deadline) const;  // false: its ban moved or went
    Deadline pop_deadline();
    void push_deadline(std::uint32_t slot);
    void mark_changed(std::uint32_t slot);
    void remember(const Unbanned& ended);
    std::uint32_t count_one(const BanKey& key, Instant from);
    void keep_until(const BanKey& key, Instant until);

    LedgerLimits limits_;
    std::size_t expected_ = 0;  // bans that are to be restored yet
    BanTable bans_;
    std::vector<Deadline> deadlines_;  // a heap; entries whose ban moved or went are skipped
    OffenceTable offences_;
    std::unordered_map<BanKey, Unbanned, BanKeyHash> recent_;  // expired less than `lateness` ago
    std::deque<std::pair<Instant, BanKey>> recent_order_;
    std::uint64_t refused_ = 0;

    // Since the last checkpoint. A slot is in the list once; its ban may have ended.
    std::vector<std::uint32_t> changed_slots_;
    std::vector<bool> is_changed_;  // by slot
    std::deque<Unbanned> ended_;
    std::vector<std::uint32_t> taken_;  // slots whose bans were taken, and have details
    static constexpr std::size_t most_reasons = 1024;
    std::unordered_map<std::string, std::shared_ptr<const Story>> reasons_;
};

}  // namespace bandd
