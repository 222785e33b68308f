// SPDX-License-Identifier: GPL-2.0-or-later
#include "protocols/postfix.h"

#include "core/base/tags.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace bandd {

std::size_t policy_request_size(std::string_view bytes) {
    if (bytes.starts_with('\n')) return 1;
    auto end = bytes.find("\n\n");
    return end == std::string_view::npos ? 0 : end + 2;
}

std::optional<PolicyRequest> parse_policy_request(std::string_view text) {
    PolicyRequest out;
    std::optional<std::string_view> kind, user, instance, state, address, client, reverse, port;
    auto take = [](auto& target, std::string_view value) {
        if (!target) target = value;
    };
    while (!text.empty()) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        auto equals = line.find('=');
        if (line.empty()) continue;
        // What is no attribute is of another protocol: of a browser that was sent here.
        constexpr std::string_view of_names = "abcdefghijklmnopqrstuvwxyz0123456789_";
        if (equals == std::string_view::npos || equals == 0 ||
            line.substr(0, equals).find_first_not_of(of_names) != std::string_view::npos)
            return {};
        std::string_view name = line.substr(0, equals);
        std::string_view value = line.substr(equals + 1);
        if (name == "request")
            take(kind, value);
        else if (name == "sasl_username")
            take(user, value);
        else if (name == "instance")
            take(instance, value);
        else if (name == "protocol_state")
            take(state, value);
        else if (name == "client_address")
            take(address, value);
        else if (name == "client_name")
            take(client, value);
        else if (name == "reverse_client_name")
            take(reverse, value);
        else if (name == "server_port")
            take(port, value);
    }
    if (kind != "smtpd_access_policy") return {};
    out.user = user.value_or("");
    out.instance = instance.value_or("");
    out.state = state.value_or("");
    out.client_name = client.value_or("");
    out.reverse_client_name = reverse.value_or("");
    out.server_port = port.value_or("");
    if (address) out.address = parse_address(*address);
    return out;
}

bool is_mail_from_server(const PolicyRequest& request) {
    // Before MAIL, a user may still log in.
    constexpr std::string_view states[] = {"MAIL", "RCPT", "DATA", "BDAT", "END-OF-MESSAGE"};
    bool late = std::ranges::find(states, request.state) != std::end(states);
    bool for_users = request.server_port == "587" || request.server_port == "465";
    return request.user.empty() && late && !for_users;
}

std::string client_message(std::string_view text, const Address& address, std::string_view name) {
    constexpr std::string_view of_names =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    constexpr std::size_t longest = 253;
    bool good = !name.empty() && name.size() <= longest &&
                name.find_first_not_of(of_names) == std::string_view::npos;
    return fill_in_tags(text, [&](std::string_view tag) -> std::optional<std::string> {
        if (tag == "ip") return to_string(address);
        if (tag == "hostname") return std::string(good ? name : "unknown");
        return {};
    });
}

std::string policy_reply(std::string_view action) {
    return "action=" + std::string(action) + "\n\n";
}

}  // namespace bandd
