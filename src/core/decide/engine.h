// SPDX-License-Identifier: GPL-2.0-or-later
// The second half of a line's way: hits to decisions. All of bandd's memory of attackers is here.
//
// One thread. Deterministic: the same calls give the same outcome, so that a replay of a log
// decides as the live daemon did. Time is an argument.
#pragma once

#include <deque>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/base/result.h"
#include "core/decide/access.h"
#include "core/decide/ban_table.h"
#include "core/decide/conversation.h"
#include "core/decide/decision.h"
#include "core/decide/kept_lines.h"
#include "core/decide/log_time.h"
#include "core/decide/rules.h"
#include "core/decide/waiting.h"
#include "core/decide/window.h"

namespace bandd {

// How often an address was banned; `jail` is `any_jail` for the count over all of them.
inline constexpr JailIndex any_jail = UINT16_MAX;
struct Offences {
    std::uint32_t count = 0;
    Instant last;
};

// A key's window as a checkpoint keeps it; no times: the key is to be forgotten.
struct WindowChange {
    BanKey key;
    std::vector<Instant> times;
    std::vector<std::uint64_t> values;  // of a jail that counts distinct values
};
// An account as a checkpoint keeps it; without a use: to be forgotten.
struct AccountChange {
    JailIndex jail = any_jail;  // whose table; any_jail: the one of logins
    std::string user;
    std::optional<AccountUse> use;
};
struct JailCounts {
    std::uint64_t hits = 0, ignored = 0, too_old = 0, already_banned = 0, bans = 0, unbans = 0;
    bool operator==(const JailCounts&) const = default;
};

// What changed since the last call, for the checkpoint.
struct Changes {
    std::vector<WindowChange> windows;
    std::vector<Ban> bans;
    std::vector<Unbanned> ended_bans;  // in the order in which they ended, before `bans` began
    std::vector<std::pair<BanKey, Offences>> offences;  // count 0: forgotten
    std::vector<std::pair<JailIndex, JailCounts>> counts;
    std::vector<AccountChange> accounts;
    bool empty() const {
        return windows.empty() && bans.empty() && ended_bans.empty() && offences.empty() &&
               counts.empty() && accounts.empty();
    }
};

struct EngineLimits {
    std::size_t bans = 2'000'000;
    std::size_t offences = 2'000'000;
    std::size_t kept_lines = 20'000;  // matched lines of addresses that are not banned yet
    Duration offence_memory = std::chrono::days(30);  // dbpurgeage
};

// A line is read some time after it was written. Whether it was written during a ban is told by its
// own time, so bans that expired are remembered this long. Otherwise a decision would depend on how
// busy we were.
inline constexpr Duration lateness = std::chrono::seconds(60);
// A line may be written after its turn's time was taken and still be read in that turn; its own
// time is right then.
inline constexpr Duration future_tolerance = std::chrono::seconds(1);
inline constexpr std::size_t most_remembered = 100'000;

class Engine {
  public:
    explicit Engine(EngineLimits limits = {}) : limits_(limits), lines_(limits.kept_lines) {}

    // Replaces the rules. A jail keeps its bans by name, and its windows too unless maxretry,
    // findtime or ban_prefix changed (then they are counted anew from the kept times). Bans of
    // jails that are gone end.
    void set_rules(std::vector<JailRules> rules, Instant now, Outcome& outcome);
    // Must outlive the engine, or the next call. None: nothing is known of any address.
    void set_facts(const Facts* facts) { facts_ = facts; }
    void set_own_addresses(PrefixSet addresses) { own_addresses_ = std::move(addresses); }

    void set_access(AccessRules rules);
    // Somebody asks whether a login is to be let in, or tells of one (`proven`).
    Decision on_login(const LoginRequest& request, Outcome& outcome);
    // One that was refused, or whose password was wrong: a hit of the jails that `source: access`
    // feeds. `why`: their pattern.
    void on_failed_login(const LoginRequest& request, std::string_view why, Outcome& outcome);
    void mark_account(std::string_view user, Mark mark, Instant now);
    bool forget_account(std::string_view user) { return accounts_.forget(user); }
    const AccountTable& accounts() const { return accounts_; }
    const AccessRules& access() const { return access_; }

    // `arrival`: now, or of a backlog what LogTime says.
    void on_hit(const Hit& hit, Instant arrival, Outcome& outcome);
    void on_hits(std::span<const Hit> hits, Instant now, Outcome& outcome,
                 LogTime* backlog = nullptr);
    // To be called before each `on_hit` with its number among `hits`: has memory fetch what is
    // known of an address that comes soon, as it lies in another place for each.
    void look_ahead(std::span<const Hit> hits, std::size_t number) const;
    void on_answer(const Answer& answer, Instant now, Outcome& outcome);
    void on_time(Instant now, Outcome& outcome);

    struct BanOrder {
        JailIndex jail = 0;
        Prefix prefix;
        std::optional<Duration> bantime;  // the jail's own if absent
        std::string reason;
        bool even_if_ignored = false;
    };
    Result<> ban_by_hand(const BanOrder& order, Instant now, Outcome& outcome);
    // Ends every ban that covers `prefix` or lies within it, of one jail or all. Returns how many.
    std::size_t unban(std::optional<JailIndex> jail, const Prefix& prefix, Instant now,
                      Outcome& outcome);
    std::size_t unban_all(std::optional<JailIndex> jail, Unbanned::Why why, Instant now,
                          Outcome& outcome);
    // The sets acknowledged a ban, or lost it again.
    void set_state(const BanKey& key, BanState state);

    std::optional<Instant> next_deadline() const;
    Changes take_changes();

    // From a checkpoint, before the first turn. Bans that are over by `now` end at once, so that
    // their unban is heard.
    void restore_ban(Ban ban);
    void restore_window(const WindowChange& window);
    // A ban that ended less than `lateness` ago.
    void restore_ended(const Unbanned& ended) { remember(ended); }
    void restore_offences(const BanKey& key, const Offences& offences);
    void restore_counts(JailIndex jail, const JailCounts& counts);
    void restore_account(AccountChange account);
    // Lines of connections that are not over; opaque, for a checkpoint.
    std::string conversations() const { return conversations_.dump(); }
    void restore_conversations(std::string_view dump) { conversations_.restore(dump); }
    // Hits that wait for an answer; opaque, too. After a restore, `questions` are to be asked
    // again.
    std::string waiting_hits() const { return waiting_.dump(jail_names()); }
    void restore_waiting_hits(std::string_view dump) { waiting_.restore(dump, jail_names()); }
    std::vector<Question> questions() const { return waiting_.questions(); }
    void expect_bans(std::size_t count) { bans_.reserve(count); }

    const std::vector<JailRules>& rules() const { return rules_; }
    std::vector<std::string> jail_names() const;
    const JailCounts& counts(JailIndex jail) const { return jails_[jail].counts; }
    const WindowTable& windows(JailIndex jail) const { return jails_[jail].windows; }
    const BanTable& bans() const { return bans_; }
    std::optional<JailIndex> find_jail(std::string_view name) const;
    Prefix key_for(JailIndex jail, const Address& address) const;
    bool is_ignored(JailIndex jail, const Address& address) const;
    bool is_own(JailIndex jail, const Address& address) const;
    std::optional<Offences> offences(JailIndex jail, const Prefix& prefix) const;
    // The matched lines of a key that is not banned yet, oldest first.
    std::vector<Match> kept_lines(JailIndex jail, const Prefix& key) const;
    std::uint64_t refused_bans() const { return refused_bans_; }
    std::uint64_t hits_of_names() const { return hits_of_names_; }
    const WaitingHits& waiting() const { return waiting_; }
    std::uint64_t conversations_evicted() const { return conversations_.evicted(); }

  private:
    struct Jail {
        WindowTable windows;
        AccountTable attacked;  // by user, if the jail counts so
        JailCounts counts;
        JailCounts stored_counts;  // as of the last checkpoint
    };
    struct Deadline {
        Instant at;
        std::uint32_t slot = 0;  // in bans_
        bool operator>(const Deadline& other) const { return at > other.at; }
    };
    // What of a hit one jail counts.
    struct Counted {
        Address address;
        Instant time, arrival;
        std::string_view pattern;
        std::string_view line;
        const Fields& fields;
        bool asked = false;  // the world has said that it is not exempt
    };
    void count_hits(const Hit& hit, Instant arrival, Outcome& outcome);
    void count_hit(JailIndex jail, const Counted& hit, Outcome& outcome);
    static WaitingHit waiting(JailIndex jail, const Counted& hit, Instant at);
    bool would_ban(JailIndex jail, const Prefix& prefix, Instant at, std::uint64_t value) const;
    // What of a hit must be distinct; none if it does not have it.
    std::optional<std::string> distinct_value(const DistinctCount& count,
                                              const Subject& subject) const;
    Instant window_start(const JailRules& rules, Instant at) const;
    void count_login(JailIndex jail, const Counted& hit, Instant at, Outcome& outcome);
    void count_by_user(JailIndex jail, const Counted& hit, Instant at, Outcome& outcome);
    static Instant counted_time(const Counted& hit);
    void ban_for(JailIndex jail, const Prefix& prefix, const Address& address, const Counted& hit,
                 std::uint32_t hits, std::shared_ptr<const Story> story, Outcome& outcome);
    void ask(Question question, WaitingHit hit, Outcome& outcome);
    void remember(const Unbanned& ended);
    bool was_banned(const BanKey& key, Instant at);
    void decide(Ban ban, Outcome& outcome);
    void end(const BanKey& key, Unbanned::Why why, Instant at, Outcome& outcome);
    Duration bantime_of(const JailRules& rules, const Prefix& prefix, Instant from,
                        std::uint32_t offence) const;
    std::uint32_t next_offence(JailIndex jail, const Prefix& prefix, Instant from);
    void push_deadline(const Ban& ban);
    void mark_changed(std::uint32_t slot);

    EngineLimits limits_;
    std::vector<JailRules> rules_;
    std::vector<Jail> jails_;
    PrefixSet own_addresses_;
    AccessRules access_;
    AccountTable accounts_;
    const Facts* facts_ = nullptr;
    BanTable bans_;
    std::vector<Deadline> deadlines_;  // heap; an entry whose ban moved or went is skipped
    std::unordered_map<BanKey, Offences, BanKeyHash> offences_;
    KeptLines lines_;  // a window's note is the number of its last line
    // Slots of bans that changed since the last checkpoint, each once; a ban may have left one.
    std::vector<std::uint32_t> changed_slots_;
    std::vector<bool> is_changed_;                             // by slot
    std::vector<Unbanned> ended_bans_;                         // since the last checkpoint
    std::unordered_map<BanKey, Unbanned, BanKeyHash> recent_;  // expired less than `lateness` ago
    std::deque<std::pair<Instant, BanKey>> recent_order_;
    std::unordered_set<BanKey, BanKeyHash> changed_offences_;
    std::uint64_t refused_bans_ = 0;
    Conversations conversations_;
    WaitingHits waiting_;
    std::uint64_t hits_of_names_ = 0;  // hits of host names that are not looked up
    std::vector<Hit> joined_;
    Hit joined_hit_;
};

}  // namespace bandd
