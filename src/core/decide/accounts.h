// SPDX-License-Identifier: GPL-2.0-or-later
// Who logged on from where: for each account the addresses and countries of its last logins.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/address.h"
#include "core/base/instant.h"
#include "core/decide/account_name.h"

namespace bandd {

// ISO 3166-1, two letters; none: private or not known, which counts as no country.
struct CountryCode {
    std::array<char, 2> letters{};
    static CountryCode from(std::string_view text);
    bool known() const { return letters[0] != '\0'; }
    std::string_view view() const { return {letters.data(), known() ? 2U : 0U}; }
    bool operator==(const CountryCode&) const = default;
};

struct AddressSeen {
    Address address;  // of IPv6 the /64, whose hosts are one
    CountryCode country;
    std::uint32_t count = 0;
    Instant first, last;
};
struct CountrySeen {
    CountryCode country;
    std::uint32_t count = 0;
    Instant first, last;
};
// What an administrator said of an account; it stays until he says otherwise.
enum class Mark : std::uint8_t { none, blocked, allowed };
// Whether it has more places than it may, and whether that was said since it has. The numbers are
// those of a dump.
enum class Over : std::uint8_t { no, told, held, told_as_simulated };

struct AccountUse {
    std::string user;
    Mark mark = Mark::none;
    Over over = Over::no;
    Instant noticed{INT64_MIN};          // when that was said last
    std::uint64_t count = 0;             // of logins
    Instant first, last;                 // of them
    std::vector<AddressSeen> addresses;  // the newest last; not all, if they are very many
    std::vector<CountrySeen> countries;  // the same; all
};

// What one user may, where it is not what all may.
struct UserLimits {
    std::optional<std::uint32_t> countries, addresses;
    bool operator==(const UserLimits&) const = default;
};

struct AccountLimits {
    std::uint32_t countries = 0;  // different ones within findtime; more is too many. 0: any number
    std::uint32_t addresses = 0;  // the same
    Duration findtime = std::chrono::hours(24);
    std::size_t accounts = 100'000;
    bool simulate = false;                          // what is over them is only told
    Duration notice_every = std::chrono::hours(1);  // of one account that is over it, at most
    std::map<std::string, UserLimits, std::less<>> users;  // by `account_name`
    std::set<std::string, std::less<>> exempt;             // the same; these are never over
    bool operator==(const AccountLimits&) const = default;
};

enum class Standing : std::uint8_t {
    good,
    too_many_countries,
    too_many_addresses,
    blocked,  // by hand
};

// Exact: a login counts from its time until findtime later, both included; of an account at least
// so many of the newest addresses are kept that more than the limit can be told. Names are those of
// `account_name`.
//
// Memory: some 200 bytes an account, 40 for each address (the newest 100, or limit + 1 if that is
// more), 24 for each country. Over `accounts` one goes and is counted: of those with the fewest
// addresses and countries the one that was heard of longest ago; never a marked one.
class AccountTable {
  public:
    static constexpr std::size_t kept_addresses = 100;

    explicit AccountTable(AccountLimits limits = {}) : limits_(limits) {}
    const AccountLimits& limits() const { return limits_; }
    bool is_exempt(std::string_view name) const { return limits_.exempt.contains(name); }
    // What is kept is judged by the new limits from now on.
    void set_limits(AccountLimits limits);

    struct Login {
        std::string_view user;
        Address address;
        CountryCode country;
        Instant at;
        bool again = false;  // the same login as the last one: looked at, but not counted twice
    };
    struct Counted {
        Standing standing = Standing::good;
        bool notice = false;  // that it is over is to be said
        std::uint32_t countries = 0, addresses = 0;
    };
    Counted add(const Login& login);
    // How it would stand if this login were added.
    Counted judge(const Login& login) const;

    void mark(std::string_view user, Mark mark, Instant at);
    // Forgets logins and mark. False: there was nothing.
    bool forget(std::string_view user);
    void clear();
    // Forgets accounts whose last login is older than findtime by `now`, and than `notice_every`.
    void expire(Instant now);

    const AccountUse* find(std::string_view user) const;
    // What of it lies within findtime of `at`.
    Counted counts(const AccountUse& account, Instant at) const;
    template <class Visitor>
    void for_each(Visitor&& visit) const {
        for (const auto& [name, entry] : accounts_) visit(entry.account);
    }
    std::size_t size() const { return accounts_.size(); }
    std::uint64_t evicted() const { return evicted_; }
    // Times that an account went over its limits and that was not said at once.
    std::uint64_t held_notices() const { return held_notices_; }

    // For a checkpoint: accounts that changed and were not visited since; null: it is forgotten.
    // Each takes one of `most`, which counts down.
    template <class Visitor>
    void take_changes(Visitor&& visit, std::size_t& most) {
        for (; most > 0 && !changed_.empty(); --most, changed_.pop_back()) {
            const std::string& name = changed_.back();
            auto found = accounts_.find(name);
            if (found == accounts_.end()) {
                visit(name, static_cast<const AccountUse*>(nullptr));
                continue;
            }
            found->second.changed = false;
            visit(name, &found->second.account);
        }
    }
    std::size_t waiting_changes() const { return changed_.size(); }
    void mark_all_changed() {
        for (auto at = accounts_.begin(); at != accounts_.end(); ++at) changed(at);
    }
    // As text, and back; nothing: it is no dump.
    static std::string dump(const AccountUse& account);
    static std::optional<AccountUse> undump(std::string_view name, std::string_view dump);
    void restore(AccountUse account);

  private:
    static constexpr std::size_t groups = 8;
    struct Entry {
        AccountUse account;
        std::size_t group = 0;
        std::list<const std::string*>::iterator place;  // in order_[group]
        bool changed = false;
    };
    using Accounts = std::map<std::string, Entry, std::less<>>;
    Accounts::iterator insert(std::string name);
    void touch(Accounts::iterator at);
    void changed(Accounts::iterator at);
    void erase(Accounts::iterator at);
    void make_room();
    void drop_old(AccountUse& account, Instant at) const;
    UserLimits limits_of(std::string_view name) const;  // both are there
    std::size_t most_addresses(std::string_view name) const;
    bool wants_notice(AccountUse& account, bool over, Instant at);
    Standing standing(std::string_view name, Mark mark, std::uint32_t countries,
                      std::uint32_t addresses) const;

    AccountLimits limits_;
    Accounts accounts_;  // a tree: whoever chooses the names must not make it slow
    std::array<std::list<const std::string*>, groups> order_;  // heard of longest ago first
    std::vector<std::string> changed_;
    std::uint64_t evicted_ = 0;
    std::uint64_t held_notices_ = 0;
};

}  // namespace bandd
