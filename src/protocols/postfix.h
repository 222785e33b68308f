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
    std::string_view client_name, reverse_client_name;  // "unknown" if it has none
    std::string_view server_port;                       // that the client connected to
};

// Bytes of the first whole request in `bytes`, with the empty line that ends it; 0 if it is not
// whole.
std::size_t policy_request_size(std::string_view bytes);
// Empty if it is no request of smtpd's. Attributes may come in any order; the first of a name
// counts; unknown ones do not. The views point into `text`.
std::optional<PolicyRequest> parse_policy_request(std::string_view text);

// Whether another server hands in mail, or may: nobody logged in, nobody will for this message, and
// the port is none that users send by.
bool is_mail_from_server(const PolicyRequest& request);
// `text` with <ip> and <hostname> replaced. What is no host name is "unknown".
std::string client_message(std::string_view text, const Address& address, std::string_view name);

// "action=…\n\n".
std::string policy_reply(std::string_view action);

}  // namespace bandd
