// SPDX-License-Identifier: GPL-2.0-or-later
// The second half of a line's way: hits to decisions. All of bandd's memory of attackers is here.
//
// One thread. Deterministic: the same calls give the same outcome, so that a replay of a log
// decides as the live daemon did. Time is an argument.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/decide/access.h"
#include "core/decide/ban_ledger.h"
#include "core/decide/changes.h"
#include "core/decide/conversation.h"
#include "core/decide/decision.h"
#include "core/decide/jail.h"
#include "core/decide/jail_numbers.h"
#include "core/decide/kept_lines.h"
#include "core/decide/log_time.h"
#include "core/decide/rules.h"
#include "core/decide/sessions.h"
#include "core/decide/waiting.h"

namespace bandd {

struct EngineLimits {
    std::size_t bans = LedgerLimits{}.bans;
    std::size_t offences = LedgerLimits{}.offences;
    std::size_t windows_memory = std::size_t{64} << 20;  // bytes, of all jails together
    std::size_t kept_lines = 20'000;  // matched lines of addresses that are not banned yet
    Duration offence_memory = LedgerLimits{}.offence_memory;  // dbpurgeage
};

// How much later than the turn's time a line's own time may be and still be believed: a line can be
// written after the turn began, and be read in the same turn.
inline constexpr Duration future_tolerance = std::chrono::seconds(1);

class Engine {
  public:
    explicit Engine(EngineLimits limits = {})
        : memory_(std::make_shared<WindowMemory>(limits.windows_memory)),
          ledger_({limits.bans, limits.offences, limits.offence_memory}),
          lines_(limits.kept_lines) {}

    // An error if not all of these jails can get a number: see JailNumbers::most.
    Result<> check_room(const std::vector<JailRules>& rules) const;
    // Of bans and windows there may be more than new limits allow: bans hold until they end,
    // windows make room as others are counted. `offences` and `kept_lines` stay as they were at
    // first.
    void set_limits(const EngineLimits& limits);
    // Replaces the rules, for which there must be room. A jail keeps its number, and with it all
    // that is known of it; where maxretry, findtime or track_limit changed, windows are counted
    // anew from the kept times; where ban_prefix or `count` changed, they are forgotten. What a hit
    // weighed when it came it weighs on. Of a jail
    // that is gone the bans end; all else stays, in case it comes back: what its logs said before
    // is not read again.
    void set_rules(std::vector<JailRules> rules, Instant now, Outcome& outcome);
    // `facts` must outlive the engine, or live until `set_facts` is called again. Null: nothing is
    // known of any address.
    void set_facts(const Facts* facts) { facts_ = facts; }
    void set_own_addresses(PrefixSet addresses) { own_addresses_ = std::move(addresses); }
    const PrefixSet& own_addresses() const { return own_addresses_; }

    void set_access(AccessRules rules);
    // Somebody asks whether a login is to be let in, or tells of one (`proven`). One that is
    // refused by its place is a hit of the jails that `source: access` feeds.
    Decision on_login(const LoginRequest& login, Outcome& outcome);
    // One whose password was wrong is a hit of these jails, too. `why`: its pattern.
    void on_failed_login(const LoginRequest& request, std::string_view why, Outcome& outcome);
    void mark_account(std::string_view user, Mark mark, Instant now);
    bool forget_account(std::string_view user) { return accounts_.forget(user); }
    const AccountTable& accounts() const { return accounts_; }
    const AccessRules& access() const { return access_; }

    // `arrival`: when the line was written, as far as we know. Live, that is now; for a backlog it
    // is what LogTime says.
    void on_hit(const Hit& hit, Instant arrival, Outcome& outcome);
    // The same for a line that is a hit only together with those before it.
    void on_line(const LineToJoin& line, Instant arrival, Outcome& outcome);
    // All of them, in the order of their lines.
    void on_hits(const Hits& hits, Instant now, Outcome& outcome, LogTime* backlog = nullptr);
    // A hit that another machine read and judged: what it weighs, and what of it must be distinct,
    // is known. It arrives at its time.
    struct Weighed {
        Address address;
        Instant time;
        std::uint32_t weight = 1;
        std::uint64_t value = 0;
    };
    void on_weighed_hit(JailIndex jail, const Weighed& hit, Outcome& outcome);
    // To be called before each `on_hit`, with its number among `hits`. Tells the processor to fetch
    // what is known of an address that comes soon: each one's is at another place in memory.
    void look_ahead(std::span<const Hit> hits, std::size_t number) const;
    void on_answer(const Answer& answer, Instant now, Outcome& outcome);
    // `read_until`: lines that were written before were read; the others may be late. Of bans that
    // end all at once it ends `most_ended`; the next deadline is then one that has passed.
    static constexpr std::size_t most_ended = 512;
    void on_time(Instant now, Outcome& outcome, Instant read_until = never);

    struct BanOrder {
        JailIndex jail = 0;
        Prefix prefix;
        std::optional<Duration> bantime;  // the jail's own if absent
        std::string reason;
        bool even_if_ignored = false;
        // What is known of a ban that was listed, and is to be made again as it was.
        struct Past {
            Instant from;
            std::uint32_t offence = 1, hits = 0;
            bool by_hand = false;
        };
        std::optional<Past> past = {};
    };
    // How many more bans there may be.
    std::size_t room_for_bans() const { return ledger_.room(); }
    // Whether ban_by_hand would take it.
    Result<> check_ban(const BanOrder& order) const;
    Result<> ban_by_hand(const BanOrder& order, Instant now, Outcome& outcome);
    // A ban that another program made, as it wrote it down. `from` of one call are not before those
    // of the call before, for an address.
    struct Inherited {
        JailIndex jail = 0;
        Prefix prefix;  // an address means what the jail bans as one
        Instant from;
        std::optional<Duration> bantime;  // the jail's own if absent
        bool ended = false;               // it was lifted before its time, or made anew later
        std::uint32_t offence = 1;        // which ban of the address it was
        // It counts as an offence for so many times its length, and `offence_memory`.
        std::uint32_t remembered_times = 1;
        std::uint32_t hits = 0;
        std::shared_ptr<const Story> story;  // not null
    };
    // What it came to. One that is over counts as an offence, and for jails that count bans.
    enum class Heritage {
        banned,  // it goes on
        shared,  // the address was banned here already, now until the later of both ends
        over,    // it is remembered
        known,   // it was inherited before
        exempt,  // ignoreip, or an address of this machine
        no_room  // `ban_limit`
    };
    Heritage inherit(const Inherited& past, Instant now, Outcome& outcome);
    // A ban as a fleet of machines has it, which this one is in (fleet/member.h). It counts neither
    // as a hit nor for jails that count bans.
    struct Adopted {
        BanKey key;
        Instant from, until;
        std::uint32_t offence = 1;
        std::uint32_t hits = 0;
        std::string reason;
    };
    enum class Adoption {
        begun,    // it is banned here from now on
        changed,  // it was banned here, and ends at another time
        same,
        exempt,  // ignoreip, or an address of this machine
        no_room  // `ban_limit`
    };
    Adoption adopt(const Adopted& told, Outcome& outcome);
    // The fleet lifted it, or never had it. False: it was not banned.
    bool drop(const BanKey& key, Instant now, Outcome& outcome);
    // Ends every ban within `prefix`, of one jail or all, and with `covering` also those of wider
    // blocks. An address means what a jail bans as one. Returns how many.
    enum class Wider { stay, covering };
    std::size_t unban(std::optional<JailIndex> jail, const Prefix& prefix, Instant now,
                      Outcome& outcome, Wider wider = Wider::covering);
    std::size_t unban_all(std::optional<JailIndex> jail, Unbanned::Why why, Instant now,
                          Outcome& outcome);
    // The same but for bans that are narrower than `prefix`, which have to be looked for.
    std::size_t unban_over(std::optional<JailIndex> jail, const Prefix& prefix, Instant now,
                           Outcome& outcome, Wider wider);
    // What is to be lifted: of one jail or all; with a block, what is in it and narrower.
    struct Lifting {
        std::optional<JailIndex> jail;
        std::optional<Prefix> inside;
        Unbanned::Why why = Unbanned::Why::by_hand;
    };
    // Some of it: bans from `slot` of the table on, which moves. False: there are no more.
    bool unban_some(const Lifting& lifting, std::uint32_t& slot, Instant now, Outcome& outcome);
    // Ends the bans of what is exempt: by ignoreip or as an address of our own, and of blocks that
    // hold such an address. Not one that was made by hand all the same. Returns how many.
    std::size_t lift_exempt(Instant now, Outcome& outcome);
    // The same of bans in these slots.
    std::size_t lift_exempt(std::span<const std::uint32_t> slots, Instant now, Outcome& outcome);
    // The actions' sets have a ban, or lost it again.
    void on_acknowledged(const Acknowledged& one) { ledger_.set_state(one.ban, one.state); }

    std::optional<Instant> next_deadline() const { return ledger_.next_deadline(); }
    // What changed and was not taken since: about `most` pieces of it. What changes meanwhile comes
    // again. So pieces that are put down one after the other make the one moment at which nothing
    // waited.
    Changes take_changes(std::size_t most = SIZE_MAX);
    std::size_t waiting_changes() const;
    // The changes that were taken are on disk, with what led to bans: memory need not hold it any
    // more, but for these jails. Looks at `most` bans; false: there are no more.
    bool forget_details(std::size_t most, std::span<const JailIndex> but);
    // The state was lost: all that is remembered is a change.
    void mark_all_changed();

    // From a checkpoint, before the first turn, or with `set_recall`. Bans that are over meanwhile
    // are restored, too: the first `on_time` ends them, so that their unban is told as any other.
    std::uint32_t restore_ban(Ban ban);  // its slot
    void restore_window(const WindowChange& window);
    // A ban that ended less than `lateness` ago.
    void restore_ended(const Unbanned& ended) { ledger_.restore_ended(ended); }
    void restore_offences(const BanKey& key, const Offences& offences) {
        ledger_.restore_offences(key, offences);
    }
    void restore_counts(JailIndex jail, const JailCounts& counts);
    void restore_account(AccountChange account);
    // Lines of connections that are not over; opaque, for a checkpoint.
    std::string conversations() const { return conversations_.dump(); }
    void restore_conversations(std::string_view dump) { conversations_.restore(dump); }
    // Sessions of clients that are not over; opaque, too.
    std::string sessions() const { return sessions_.dump(); }
    void restore_sessions(std::string_view dump) { sessions_.restore(dump); }
    // Hits that wait for an answer; opaque, too. After a restore, `questions` are to be asked
    // again.
    std::string waiting_hits() const { return waiting_.dump(jail_names()); }
    void restore_waiting_hits(std::string_view dump) { waiting_.restore(dump, jail_names()); }
    std::vector<Question> questions() const { return waiting_.questions(); }
    void expect_bans(std::size_t count) { ledger_.expect(count); }
    // Of a checkpoint that comes little by little, while hits are decided: is called with each key
    // that is looked at, before that, and restores what there is of it. Empty: all is there. What
    // is not asked for by an address (accounts, bans that ended) must be there before, and until
    // all is there only hits, answers and logins may be told.
    using Recall = std::function<void(const BanKey&)>;
    void set_recall(Recall recall);

    // The jails that have rules, in the order in which `set_rules` got these.
    const std::vector<JailIndex>& jails() const { return order_; }
    // Of a jail that is gone: its last ones.
    const JailRules& rules(JailIndex jail) const { return jails_[jail].rules; }
    // By number; those of jails that are gone, too.
    const std::vector<std::string>& jail_names() const { return numbers_.names(); }
    // Of a jail that has rules.
    std::optional<JailIndex> find_jail(std::string_view name) const;
    const JailCounts& counts(JailIndex jail) const { return jails_[jail].counts; }
    const WindowTable& windows(JailIndex jail) const { return jails_[jail].windows; }
    const Escalation& escalation(JailIndex jail) const { return jails_[jail].escalation; }
    const BanTable& bans() const { return ledger_.bans(); }
    // The bans that hold the whole of `prefix`, the narrowest first. There may be millions of bans,
    // so each block that could be banned is looked up: some microseconds a jail.
    std::vector<const Ban*> bans_over(const Prefix& prefix) const;
    Prefix key_for(JailIndex jail, const Address& address) const;
    bool is_ignored(JailIndex jail, const Address& address) const;
    bool is_own(JailIndex jail, const Address& address) const;
    // Whether an ignored address or one of our own is in it: then it is never banned as a whole.
    bool holds_exempt(JailIndex jail, const Prefix& prefix) const;
    std::optional<Offences> offences(JailIndex jail, const Prefix& prefix) const {
        return ledger_.offences({jail, prefix});
    }
    // The matched lines of a key that is not banned yet, oldest first.
    std::vector<Match> kept_lines(JailIndex jail, const Prefix& key) const;
    // Windows of all jails, of addresses and of wider prefixes, in bytes.
    std::size_t windows_memory() const { return memory_->used(); }
    // Of all that were evicted: those that gave way as the windows took more than they may.
    std::uint64_t evicted_for_memory() const { return evicted_for_memory_; }
    std::uint64_t refused_bans() const { return ledger_.refused(); }
    std::uint64_t hits_of_names() const { return hits_of_names_; }
    const WaitingHits& waiting() const { return waiting_; }
    std::uint64_t conversations_evicted() const { return conversations_.evicted(); }
    std::uint64_t sessions_evicted() const { return sessions_.evicted(); }

  private:
    void recall(JailIndex jail, const Address& address, Instant now, Outcome& outcome);
    // Most that one hit makes give way, so that it does not hold up others.
    static constexpr std::size_t most_evictions = 1000;
    void make_room();
    // A hit as one jail counts it.
    struct Counted {
        Address address;
        Instant time, arrival;
        std::string_view pattern;
        std::string_view line;
        const Fields& fields;
        std::uint32_t times = 1;               // so many hits it stands for
        bool answered = false;                 // ignorecommand and names said: not exempt
        std::span<const Address> exempt = {};  // and which addresses are, by names in ignoreip
        const Weighed* weighed = nullptr;      // another machine judged it
    };
    void count_hit(JailIndex jail, const Counted& hit, Outcome& outcome);
    std::string reason_of(JailIndex jail, const Counted& hit, std::uint32_t failures,
                          std::optional<std::uint32_t> lines) const;
    void count_by_address(JailIndex jail, const Counted& hit, Instant at, const Subject& subject,
                          Outcome& outcome);
    void count_by_user(JailIndex jail, const Counted& hit, Instant at, Outcome& outcome);
    Decision decide_login(const LoginRequest& login, Outcome& outcome);
    void count_login(JailIndex jail, const Counted& hit, Instant at, Outcome& outcome);
    void ban_for_hits(JailIndex jail, const Prefix& prefix, const Counted& hit, std::uint64_t note,
                      std::uint32_t hits, const Subject& subject, Outcome& outcome);
    bool count_to_ban(JailIndex jail, const Prefix& prefix, Instant at, const Counted& hit,
                      Outcome& outcome);
    bool count_to_late_ban(const BanKey& key, Instant at, const Counted& hit, Outcome& outcome);
    bool count_to_wider_ban(JailIndex jail, const Prefix& key, Instant at, const Counted& hit,
                            Outcome& outcome);
    std::optional<Instant> extended_until(const Ban& ban, Instant at) const;
    bool is_banned(JailIndex jail, const Prefix& key, Instant at) const;
    void escalate(JailIndex jail, const Prefix& key, const Counted& hit, Instant at,
                  std::uint64_t note, Outcome& outcome);
    std::shared_ptr<const Story> story_of(JailIndex jail, const Escalation::Reached& reached,
                                          const Counted& hit) const;
    std::optional<Match> last_match(JailIndex jail, const Prefix& offender) const;
    void ignore(JailIndex jail, const Address& address, Instant at, Ignored::Why why,
                Outcome& outcome);
    static Instant counted_time(const Counted& hit);
    void ban_account(JailIndex jail, const Counted& hit, std::string_view user,
                     std::uint32_t distinct, Outcome& outcome);
    void ban_for(JailIndex jail, const Prefix& prefix, const Address& address, const Counted& hit,
                 std::uint32_t hits, std::shared_ptr<const Story> story, Outcome& outcome);
    void ask(Question question, WaitingHit hit, Outcome& outcome);
    void ask_if_exempt(JailIndex jail, const Counted& hit, Instant at, Outcome& outcome);
    static WaitingHit waiting(JailIndex jail, const Counted& hit, Instant at);
    void feed_with_ban(const BanKey& ban, Counted hit, Outcome& outcome);
    void begin(Ban ban, Outcome& outcome);
    void end(const BanKey& key, Unbanned::Why why, Instant at, Outcome& outcome);
    void tell_end(Unbanned ended, Outcome& outcome);

    JailNumbers numbers_;
    std::shared_ptr<WindowMemory> memory_;
    std::uint64_t evicted_for_memory_ = 0;
    std::vector<Jail> jails_;  // by number
    std::vector<JailIndex> order_;
    PrefixSet own_addresses_;
    AccessRules access_;
    AccountTable accounts_;
    const Facts* facts_ = nullptr;
    Recall recall_;
    BanLedger ledger_;
    KeptLines lines_;  // a window's note is the number of its last line
    Conversations conversations_;
    Sessions sessions_;
    WaitingHits waiting_;
    std::uint64_t hits_of_names_ =
        0;  // hits of host names that gave no address: usedns is no, or the look-up failed
    std::vector<Hit> joined_;
    Hit joined_hit_;
};

}  // namespace bandd
