// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/accounts.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "core/base/dump.h"

namespace bandd {

CountryCode CountryCode::from(std::string_view text) {
    CountryCode code;
    if (text.size() == 2) code.letters = {text[0], text[1]};
    return code;
}

namespace {

Address host_of(const Address& address) { return host_prefix(address).network; }

template <class Seen>
std::uint32_t count_since(const std::vector<Seen>& seen, Instant from) {
    std::uint32_t count = 0;
    for (const Seen& one : seen) count += one.last >= from ? 1 : 0;
    return count;
}

// Counts one more of it, and keeps the order by last time. True: it is new.
template <class Seen>
bool see(std::vector<Seen>& all, Seen fresh, auto is_it, bool again) {
    auto found = std::ranges::find_if(all, is_it);
    bool is_new = found == all.end();
    if (!is_new) {
        fresh.count = found->count + (again ? 0 : 1);
        fresh.first = std::min(found->first, fresh.first);
        fresh.last = std::max(found->last, fresh.last);
        all.erase(found);
    }
    auto place = std::ranges::upper_bound(all, fresh.last, {}, &Seen::last);
    all.insert(place, std::move(fresh));
    return is_new;
}

}  // namespace

UserLimits AccountTable::limits_of(std::string_view name) const {
    UserLimits limits{limits_.countries, limits_.addresses};
    auto own = limits_.users.find(name);
    if (own == limits_.users.end()) return limits;
    if (own->second.countries) limits.countries = own->second.countries;
    if (own->second.addresses) limits.addresses = own->second.addresses;
    return limits;
}

std::size_t AccountTable::most_addresses(std::string_view name) const {
    return std::max<std::size_t>(kept_addresses, *limits_of(name).addresses + 1);
}

void AccountTable::set_limits(AccountLimits limits) {
    limits_ = std::move(limits);
    while (accounts_.size() > limits_.accounts) {
        std::size_t before = accounts_.size();
        make_room();
        if (accounts_.size() == before) break;
    }
}

Standing AccountTable::standing(std::string_view name, Mark mark, std::uint32_t countries,
                                std::uint32_t addresses) const {
    if (mark == Mark::blocked) return Standing::blocked;
    if (mark == Mark::allowed || is_exempt(name)) return Standing::good;
    UserLimits limits = limits_of(name);
    if (*limits.countries != 0 && countries > *limits.countries)
        return Standing::too_many_countries;
    if (*limits.addresses != 0 && addresses > *limits.addresses)
        return Standing::too_many_addresses;
    return Standing::good;
}

void AccountTable::drop_old(AccountUse& account, Instant at) const {
    Instant from = at - limits_.findtime;
    auto old = [&](const auto& seen) { return seen.last < from; };
    std::erase_if(account.addresses, old);
    std::erase_if(account.countries, old);
}

AccountTable::Counted AccountTable::counts(const AccountUse& account, Instant at) const {
    Counted counted;
    Instant from = at - limits_.findtime;
    counted.countries = count_since(account.countries, from);
    counted.addresses = count_since(account.addresses, from);
    counted.standing = standing(account.user, account.mark, counted.countries, counted.addresses);
    return counted;
}

AccountTable::Counted AccountTable::judge(const Login& login) const {
    static const AccountUse nobody;
    std::string name = account_name(login.user);
    auto found = accounts_.find(name);
    const AccountUse& account = found == accounts_.end() ? nobody : found->second.account;
    Counted counted = counts(account, login.at);
    Instant from = login.at - limits_.findtime;
    Address host = host_of(login.address);
    auto is_there = [&](const auto& seen, const auto& what, auto member) {
        return std::ranges::any_of(
            seen, [&](const auto& one) { return one.last >= from && one.*member == what; });
    };
    if (login.country.known() && !is_there(account.countries, login.country, &CountrySeen::country))
        ++counted.countries;
    if (!is_there(account.addresses, host, &AddressSeen::address)) ++counted.addresses;
    counted.standing = standing(name, account.mark, counted.countries, counted.addresses);
    return counted;
}

AccountTable::Counted AccountTable::add(const Login& login) {
    auto at = insert(account_name(login.user));
    AccountUse& account = at->second.account;
    Instant newest = std::max(login.at, account.last);
    drop_old(account, newest);
    if (account.count == 0) account.first = login.at;
    if (!login.again || account.count == 0) ++account.count;
    account.last = newest;
    Address host = host_of(login.address);
    see(
        account.addresses, {host, login.country, 1, login.at, login.at},
        [&](const AddressSeen& seen) { return seen.address == host; }, login.again);
    if (account.addresses.size() > most_addresses(account.user))
        account.addresses.erase(account.addresses.begin());
    if (login.country.known())
        see(
            account.countries, {login.country, 1, login.at, login.at},
            [&](const CountrySeen& seen) { return seen.country == login.country; }, login.again);
    Counted counted = counts(account, newest);
    bool over = counted.standing == Standing::too_many_countries ||
                counted.standing == Standing::too_many_addresses;
    counted.notice = wants_notice(account, over, newest);
    touch(at);
    changed(at);
    return counted;
}

// Once, when it goes over; an hour later at the earliest, if it went over before. What was said
// while it was only tried is said again in earnest.
bool AccountTable::wants_notice(AccountUse& account, bool over, Instant at) {
    Over before = std::exchange(account.over, over ? account.over : Over::no);
    if (!over || before == Over::told) return false;
    if (before == Over::told_as_simulated && limits_.simulate) return false;
    if (before != Over::told_as_simulated && account.noticed > at - limits_.notice_every) {
        account.over = Over::held;
        if (before == Over::no) ++held_notices_;
        return false;
    }
    account.over = limits_.simulate ? Over::told_as_simulated : Over::told;
    account.noticed = at;
    return true;
}

void AccountTable::mark(std::string_view user, Mark mark, Instant at) {
    auto found = insert(account_name(user));
    AccountUse& account = found->second.account;
    if (account.count == 0) account.last = std::max(account.last, at);
    account.mark = mark;
    if (mark != Mark::none) account.over = Over::no;
    touch(found);
    changed(found);
}

bool AccountTable::forget(std::string_view user) {
    auto found = accounts_.find(account_name(user));
    if (found == accounts_.end()) return false;
    erase(found);
    return true;
}

void AccountTable::clear() {
    while (!accounts_.empty()) erase(accounts_.begin());
}

const AccountUse* AccountTable::find(std::string_view user) const {
    auto found = accounts_.find(account_name(user));
    return found == accounts_.end() ? nullptr : &found->second.account;
}

AccountTable::Accounts::iterator AccountTable::insert(std::string name) {
    auto found = accounts_.find(name);
    if (found != accounts_.end()) return found;
    if (accounts_.size() >= limits_.accounts) make_room();
    found = accounts_.emplace(std::move(name), Entry{}).first;
    found->second.account.user = found->first;
    found->second.place = order_[0].insert(order_[0].end(), &found->first);
    return found;
}

// To the end of the line of those that are as near to a limit.
void AccountTable::touch(Accounts::iterator at) {
    Entry& entry = at->second;
    std::size_t seen = entry.account.addresses.size() + entry.account.countries.size();
    std::size_t group = std::min<std::size_t>(std::bit_width(seen), groups - 1);
    order_[group].splice(order_[group].end(), order_[entry.group], entry.place);
    entry.group = group;
}

void AccountTable::changed(Accounts::iterator at) {
    if (at->second.changed) return;
    at->second.changed = true;
    changed_.push_back(at->first);
}

void AccountTable::erase(Accounts::iterator at) {
    changed(at);
    order_[at->second.group].erase(at->second.place);
    accounts_.erase(at);
}

void AccountTable::make_room() {
    for (auto& line : order_)
        for (const std::string* name : line) {
            auto found = accounts_.find(*name);
            if (found->second.account.mark != Mark::none) continue;
            ++evicted_;
            return erase(found);
        }
}

void AccountTable::expire(Instant now) {
    Instant from = now - std::max(limits_.findtime, limits_.notice_every);
    for (auto& line : order_)
        for (auto it = line.begin(); it != line.end();) {
            auto found = accounts_.find(**it++);
            if (found->second.account.last >= from) break;
            if (found->second.account.mark == Mark::none) erase(found);
        }
}

std::string AccountTable::dump(const AccountUse& account) {
    std::string out;
    put(out, static_cast<std::int64_t>(account.mark));
    put(out, static_cast<std::int64_t>(account.over));
    put(out, static_cast<std::int64_t>(account.count));
    put(out, account.first.us);
    put(out, account.last.us);
    put(out, static_cast<std::int64_t>(account.addresses.size()));
    for (const AddressSeen& seen : account.addresses) {
        put(out, to_string(seen.address));
        put(out, seen.country.view());
        put(out, seen.count);
        put(out, seen.first.us);
        put(out, seen.last.us);
    }
    put(out, static_cast<std::int64_t>(account.countries.size()));
    for (const CountrySeen& seen : account.countries) {
        put(out, seen.country.view());
        put(out, seen.count);
        put(out, seen.first.us);
        put(out, seen.last.us);
    }
    put(out, account.noticed.us);
    return out;
}

namespace {
Over over_from(std::int64_t number) {
    return number >= 0 && number <= static_cast<std::int64_t>(Over::told_as_simulated)
               ? static_cast<Over>(number)
               : Over::told;
}
}  // namespace

std::optional<AccountUse> AccountTable::undump(std::string_view name, std::string_view dump) {
    DumpReader reader{dump};
    AccountUse account;
    account.user = account_name(name);
    auto mark = reader.number();
    account.mark = mark == 1 ? Mark::blocked : mark == 2 ? Mark::allowed : Mark::none;
    account.over = over_from(reader.number());
    account.count = static_cast<std::uint64_t>(reader.number());
    account.first = {reader.number()};
    account.last = {reader.number()};
    for (std::size_t left = reader.count(); left > 0 && reader.good; --left) {
        AddressSeen seen;
        auto address = parse_address(reader.text());
        if (!address) reader.good = false;
        seen.address = address.value_or(Address{});
        seen.country = CountryCode::from(reader.text());
        seen.count = static_cast<std::uint32_t>(reader.number());
        seen.first = {reader.number()};
        seen.last = {reader.number()};
        account.addresses.push_back(seen);
    }
    for (std::size_t left = reader.count(); left > 0 && reader.good; --left) {
        CountrySeen seen;
        seen.country = CountryCode::from(reader.text());
        seen.count = static_cast<std::uint32_t>(reader.number());
        seen.first = {reader.number()};
        seen.last = {reader.number()};
        account.countries.push_back(seen);
    }
    // A dump of old ends here.
    if (!reader.rest.empty()) account.noticed = {reader.number()};
    if (!reader.good) return {};
    std::ranges::stable_sort(account.addresses, {}, &AddressSeen::last);
    std::ranges::stable_sort(account.countries, {}, &CountrySeen::last);
    return account;
}

void AccountTable::restore(AccountUse account) {
    auto at = insert(account.user);
    at->second.account = std::move(account);
    touch(at);
}

}  // namespace bandd
