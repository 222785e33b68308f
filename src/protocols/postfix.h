// SPDX-License-Identifier: GPL-2.0-or-later
// Postfix's policy delegation (SMTPD_POLICY_README): requests and replies.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/address.h"
#include "core/decide/access.h"

namespace bandd {

struct PolicyRequest {
    std::string_view user;      // sasl_username; empty if nobody logged in
    std::string_view instance;  // the same for all requests about one message
    std::string_view state;     // RCPT, DATA, …
    std::optional<Address> address;
};

// Bytes of the first whole request in `bytes`, with the empty line that ends it; 0 if it is not
// whole.
std::size_t policy_request_size(std::string_view bytes);
// Empty if it is no request of smtpd's. Attributes may come in any order; the first of a name
// counts; unknown ones do not. The views point into `text`.
std::optional<PolicyRequest> parse_policy_request(std::string_view text);

// "action=…\n\n".
std::string policy_reply(std::string_view action);

}  // namespace bandd
