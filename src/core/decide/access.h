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
    bool proven = false;  // the password was right: it counts
    bool again = false;   // the same login as the last one of this user
    bool own = false;     // from this machine itself, as webmail does
};

struct Decision {
    Permit permit = Permit::yes;
    Standing standing = Standing::good;
    bool just_over = false;
    std::uint32_t countries = 0, addresses = 0;  // of the account
    Origin origin;
    std::string reason;  // for people: "country DE", "6 countries in 1d"
};

// Private addresses may always: no list of countries speaks of them.
bool is_permitted_place(const AccessRules& rules, std::string_view user, const Address& address,
                        const Origin& origin);
Decision decide_access(const AccessRules& rules, AccountTable& accounts, const Facts* facts,
                       const LoginRequest& request);

// Why an account is refused, for people: "6 countries in 1d". Empty, if it is not.
std::string standing_reason(const Decision& decision, const AccessRules& rules);

// "bob@example.org : COUNTRYFAILED|imap 192.0.2.1|DE|Germany"
std::string access_line(const LoginRequest& request, const Decision& decision);

}  // namespace bandd
