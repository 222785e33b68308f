// SPDX-License-Identifier: GPL-2.0-or-later
// The engine's part that counts by account: logins, and jails with `count: … by user`.
#include <fmt/format.h>

#include "core/decide/engine.h"

namespace bandd {

void Engine::set_access(AccessRules rules) {
    access_ = std::move(rules);
    accounts_.set_limits(access_.accounts);
}

Decision Engine::on_login(const LoginRequest& login, Outcome& outcome) {
    Decision decision = decide_login(login, outcome);
    // An account that is refused says nothing against whoever uses it: its owner's programs go on
    // trying with the right password, and no guess is told from it.
    if (decision.permit == Permit::country && !login.again)
        on_failed_login(login, "country", outcome);
    return decision;
}

Decision Engine::decide_login(const LoginRequest& login, Outcome& outcome) {
    LoginRequest request = login;
    request.own = own_addresses_.contains(request.address);
    accounts_.expire(request.at);
    Decision decision = decide_access(access_, accounts_, facts_, request);
    if (decision.notice)
        outcome.events.emplace_back(
            AccountOver{account_name(request.user), request.address, decision.origin.country,
                        standing_reason(decision, access_), decision.countries, decision.addresses,
                        request.at, access_.accounts.simulate});
    return decision;
}

void Engine::on_failed_login(const LoginRequest& request, std::string_view why, Outcome& outcome) {
    Fields fields{{"user", std::string(request.user)}, {"protocol", std::string(request.protocol)}};
    std::string line = fmt::format("login of {} by {} from {}: {}", request.user, request.protocol,
                                   to_string(request.address), why);
    for (JailIndex jail : order_)
        if (jails_[jail].rules.fed_by_access)
            count_hit(jail, {request.address, request.at, request.at, why, line, fields}, outcome);
}

void Engine::mark_account(std::string_view user, Mark mark, Instant now) {
    accounts_.mark(user, mark, now);
}

// A login, as a log tells it: the password was right.
void Engine::count_login(JailIndex index, const Counted& hit, Instant at, Outcome& outcome) {
    auto user = hit.fields.find("user");
    if (!user || user->empty())
        return ignore(index, hit.address, at, Ignored::Why::nothing_to_count, outcome);
    ++jails_[index].counts.hits;
    outcome.events.emplace_back(LoggedIn{index, std::string(*user), hit.address, at});
    LoginRequest request{hit.pattern, *user, hit.address, at};
    request.proven = true;
    decide_login(request, outcome);
}

// All addresses that tried one account, once they are too many, and then each further one.
void Engine::count_by_user(JailIndex index, const Counted& hit, Instant at, Outcome& outcome) {
    Jail& jail = jails_[index];
    auto user = hit.fields.find("user");
    if (!user || user->empty())
        return ignore(index, hit.address, at, Ignored::Why::nothing_to_count, outcome);
    if (jail.rules.asks && !hit.answered) return ask_if_exempt(index, hit, at, outcome);
    BanKey key{index, key_for(index, hit.address)};
    if (const Ban* found = bans().find(key); found != nullptr && found->until <= at)
        end(key, Unbanned::Why::expired, found->until, outcome);
    bool banned = bans().find(key) != nullptr || ledger_.count_late_hit(key, at);
    ++jail.counts.hits;
    std::string country;
    if (facts_ != nullptr) country = facts_->origin(hit.address).country;
    jail.attacked.expire(hit.arrival);
    auto counted = jail.attacked.add({*user, hit.address, CountryCode::from(country), at});
    if (banned) return ignore(index, hit.address, at, Ignored::Why::already_banned, outcome);
    bool by_country = jail.rules.distinct->of == DistinctCount::Of::country;
    std::uint32_t distinct = by_country ? counted.countries : counted.addresses;
    outcome.events.emplace_back(Found{index, hit.address, std::string(hit.pattern), at, distinct});
    if (counted.standing != Standing::good) ban_account(index, hit, *user, distinct, outcome);
}

void Engine::ban_account(JailIndex index, const Counted& hit, std::string_view user,
                         std::uint32_t distinct, Outcome& outcome) {
    const JailRules& rules = jails_[index].rules;
    Instant at = counted_time(hit);
    bool by_country = rules.distinct->of == DistinctCount::Of::country;
    auto story = std::make_shared<Story>();
    story->reason =
        fmt::format("{}: account tried from {} {} in {}", hit.pattern, distinct,
                    by_country ? "countries" : "addresses", format_duration(rules.findtime));
    story->matches.push_back(
        {at, std::string(hit.pattern), std::string(hit.line.substr(0, longest_kept_line))});
    story->fields = hit.fields;
    // Bans feed other jails, which may change the table.
    std::vector<Address> addresses;
    for (const AddressSeen& seen : jails_[index].attacked.find(user)->addresses)
        if (seen.last >= at - rules.findtime) addresses.push_back(seen.address);
    for (const Address& address : addresses) {
        // Of an IPv6 /64 only the network is known; the hit's own address is.
        bool is_its_host = !hit.address.is_v4() && contains(host_prefix(hit.address), address);
        const Address& host = is_its_host ? hit.address : address;
        recall(index, host, hit.arrival, outcome);
        Prefix prefix = key_for(index, host);
        if (is_own(index, host) || is_ignored(index, host) ||
            bans().find({index, prefix}) != nullptr)
            continue;
        ban_for(index, prefix, host, hit, distinct, story, outcome);
    }
}

}  // namespace bandd
