// SPDX-License-Identifier: GPL-2.0-or-later
#include "protocols/postfix.h"

namespace bandd {

std::size_t policy_request_size(std::string_view bytes) {
    if (bytes.starts_with('\n')) return 1;
    auto end = bytes.find("\n\n");
    return end == std::string_view::npos ? 0 : end + 2;
}

std::optional<PolicyRequest> parse_policy_request(std::string_view text) {
    PolicyRequest out;
    std::optional<std::string_view> kind, user, instance, state, address;
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
    }
    if (kind != "smtpd_access_policy") return {};
    out.user = user.value_or("");
    out.instance = instance.value_or("");
    out.state = state.value_or("");
    if (address) out.address = parse_address(*address);
    return out;
}

std::string policy_reply(std::string_view action) {
    return "action=" + std::string(action) + "\n\n";
}

}  // namespace bandd
