// SPDX-License-Identifier: GPL-2.0-or-later
// Who may log in from where: one decision for Postfix, nginx and Dovecot.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/address.h"
#include "core/base/prefix_set.h"
#include "core/decide/accounts.h"
#include "core/decide/facts.h"

namespace bandd {

// From where else one user may log in.
struct UserPlaces {
    std::vector<std::string> countries;  // codes, or `unknown`
    std::vector<Prefix> addresses;
};
// By `account_name`.
using UsersPlaces = std::map<std::string, UserPlaces, std::less<>>;

// A line of a file: `user|CC` or `user|IP` (or a CIDR block), as the mail proxies of old had them.
// Blanks and control characters in it do not count. False: it is neither.
bool add_place(UsersPlaces& users, std::string_view user, std::string_view place);
struct BadLine {
    int number = 0;
    std::string text;
};
std::vector<BadLine> read_places(std::string_view text, UsersPlaces& users);

struct AccessRules {
    bool everywhere = true;              // no list of countries
    bool simulate = false;               // who is somewhere else is only told of
    std::vector<std::string> countries;  // from where everybody may
    UsersPlaces users;                   // of the configuration, and of its file
    AccountLimits accounts;
    // Logins from there are no part of an account's addresses; nor are those from private ones:
    // 22 desks of an office are not 22 places.
    PrefixSet not_counted;
};

enum class Permit : std::uint8_t { yes, country, account };

struct LoginRequest {
    std::string_view protocol;  // imap, pop3, smtp, sieve …
    std::string_view user;
    Address address;
    Instant at;
    bool proven = false;     // the password was right: it counts
    bool again = false;      // the same login as the last one of this user
    bool own = false;        // from this machine itself, as webmail does
    bool asks_only = false;  // how the login went is told later: that it may go on is no news yet
};

struct Decision {
    Permit permit = Permit::yes;
    Permit simulated = Permit::yes;  // what it would be, if `simulate` did not let it in
    Standing standing = Standing::good;
    bool notice = false;  // that the account is over its limits is to be said
    std::uint32_t countries = 0, addresses = 0;  // of the account
    Origin origin;
    std::string reason;  // for people: "country DE", "6 countries in 1d"

    // What is told: of a login that is let in by `simulate` only, why it would be refused.
    Permit verdict() const { return permit != Permit::yes ? permit : simulated; }
    bool only_simulated() const { return permit == Permit::yes && simulated != Permit::yes; }
};

// Private addresses may always: no list of countries speaks of them.
bool is_permitted_place(const AccessRules& rules, std::string_view user, const Address& address,
                        const Origin& origin);
Decision decide_access(const AccessRules& rules, AccountTable& accounts, const Facts* facts,
                       const LoginRequest& request);

// Why an account is refused, for people: "6 countries in 1d". Empty, if it is not.
std::string standing_reason(const Decision& decision, const AccessRules& rules);

// "bob@example.org : AUTHFAILED|imap 192.0.2.1|DE|Germany". The user's name, which the client said,
// is cut to 255 bytes, and a "|" in it is written \x7c.
std::string login_line(const LoginRequest& request, std::string_view verdict, const Origin& origin);
// "bob@example.org : COUNTRYFAILED|imap 192.0.2.1|DE|Germany", with " (simulate)" if it is let in
// all the same.
std::string access_line(const LoginRequest& request, const Decision& decision);

}  // namespace bandd
