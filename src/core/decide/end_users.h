// SPDX-License-Identifier: GPL-2.0-or-later
// Mail from end-user hosts: a customer's line sends its mail by its provider's mail server. One
// that comes to ours is mostly a machine that somebody else has taken over.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/address.h"
#include "core/base/prefix_set.h"

namespace bandd {

struct EndUserRules {
    // Of these mail is taken all the same.
    PrefixSet except;
    std::vector<std::string> except_names;  // with wildcards
    std::vector<std::string> words;         // besides `broadband_words`
};

struct MailClient {
    Address address;
    std::string_view name;     // that leads back to the address; empty, or "unknown"
    std::string_view reverse;  // that whoever owns the address gave to it; the same
};

// Why the client is an end user's host: as `is_broadband` says. None if it is not, or if nothing is
// known of it. A name that does not lead back to the address can be anything, so it makes nobody an
// exception; but who calls his host a customer's line may be believed.
std::optional<std::string> end_user_reason(const EndUserRules& rules, const MailClient& client);

// The name that was judged; empty if there is none.
std::string_view name_of(const MailClient& client);

}  // namespace bandd
