// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/access.h"
#include "core/base/ascii.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/reserved.h"
#include "core/decide/condition.h"

namespace bandd {

bool add_place(UsersPlaces& users, std::string_view user, std::string_view place) {
    if (user.empty() || place.empty()) return false;
    std::string country(place);
    for (char& c : country)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (is_country_code(country) || place == unknown_country) {
        users[account_name(user)].countries.push_back(place == unknown_country ? unknown_country
                                                                               : country);
        return true;
    }
    auto prefix = parse_prefix(place);
    if (!prefix) return false;
    users[account_name(user)].addresses.push_back(*prefix);
    return true;
}

std::vector<BadLine> read_places(std::string_view text, UsersPlaces& users) {
    text = without_mark(text);
    std::vector<BadLine> bad;
    for (int number = 1; !text.empty(); ++number) {
        auto end = std::min(text.find('\n'), text.size());
        std::string line;
        for (char c : text.substr(0, end))
            if (static_cast<unsigned char>(c) > ' ' && c != '\x7f') line += c;
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty() || line.starts_with('#')) continue;
        auto bar = line.find('|');
        std::string_view view = line;
        // A third field is somebody's remark.
        std::string_view place = bar == std::string::npos ? "" : view.substr(bar + 1);
        place = place.substr(0, place.find('|'));
        if (!add_place(users, view.substr(0, bar), place)) bad.push_back({number, line});
    }
    return bad;
}

bool is_permitted_place(const AccessRules& rules, std::string_view user, const Address& address,
                        const Origin& origin) {
    if (rules.everywhere || origin.country == private_country) return true;
    if (std::ranges::find(rules.countries, origin.country) != rules.countries.end()) return true;
    auto found = rules.users.find(account_name(user));
    if (found == rules.users.end()) return false;
    const UserPlaces& places = found->second;
    return std::ranges::any_of(places.addresses,
                               [&](const Prefix& prefix) { return contains(prefix, address); }) ||
           std::ranges::find(places.countries, origin.country) != places.countries.end();
}

std::string standing_reason(const Decision& decision, const AccessRules& rules) {
    std::string within = format_duration(rules.accounts.findtime);
    switch (decision.standing) {
        case Standing::too_many_countries:
            return fmt::format("{} countries in {}", decision.countries, within);
        case Standing::too_many_addresses:
            return fmt::format("{} addresses in {}", decision.addresses, within);
        case Standing::blocked:
            return "blocked by hand";
        case Standing::good:
            break;
    }
    return "";
}

Decision decide_access(const AccessRules& rules, AccountTable& accounts, const Facts* facts,
                       const LoginRequest& request) {
    Decision decision;
    if (facts != nullptr) decision.origin = facts->origin(request.address);
    if (decision.origin.country.empty())
        decision.origin.country = is_public(request.address) ? unknown_country : private_country;
    bool placed = is_permitted_place(rules, request.user, request.address, decision.origin);
    AccountTable::Login login{request.user, request.address,
                              CountryCode::from(decision.origin.country), request.at,
                              request.again};
    AccountTable::Counted counted;
    if (request.own || is_private(request.address) || rules.not_counted.contains(request.address)) {
        if (const AccountUse* account = accounts.find(request.user))
            counted = accounts.counts(*account, request.at);
    } else if (request.proven) {
        counted = accounts.add(login);
    } else {
        counted = accounts.judge(login);
    }
    decision.standing = counted.standing;
    decision.notice = counted.notice;
    decision.countries = counted.countries;
    decision.addresses = counted.addresses;
    bool good = counted.standing == Standing::good;
    // What an administrator blocked is no try.
    bool tried = rules.accounts.simulate && counted.standing != Standing::blocked;
    if (!placed && !rules.simulate)
        decision.permit = Permit::country;
    else if (!good && !tried)
        decision.permit = Permit::account;
    else if (!placed)
        decision.simulated = Permit::country;
    else if (!good)
        decision.simulated = Permit::account;
    if (decision.verdict() == Permit::country)
        decision.reason = "country " + decision.origin.country;
    else if (decision.verdict() == Permit::account)
        decision.reason = standing_reason(decision, rules);
    return decision;
}

std::string login_line(const LoginRequest& request, std::string_view verdict,
                       const Origin& origin) {
    constexpr std::size_t longest_user = 255;  // bytes
    std::string user;
    // Else a name could look like the rest of the line.
    for (char c : request.user.substr(0, longest_user))
        if (c == '|')
            user += "\\x7c";
        else
            user += c;
    return fmt::format("{} : {}|{} {}|{}|{}", user, verdict, request.protocol,
                       to_string(request.address), origin.country, origin.country_name);
}

std::string access_line(const LoginRequest& request, const Decision& decision) {
    const char* verdict = decision.verdict() == Permit::yes       ? "AUTHPASS"
                          : decision.verdict() == Permit::country ? "COUNTRYFAILED"
                                                                  : "ACCOUNTFAILED";
    std::string line = login_line(request, verdict, decision.origin);
    if (decision.verdict() == Permit::account) line += "|" + decision.reason;
    if (decision.only_simulated()) line += " (simulate)";
    return line;
}

}  // namespace bandd
