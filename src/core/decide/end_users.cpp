// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/end_users.h"

#include <algorithm>

#include "core/base/reserved.h"
#include "core/decide/broadband.h"

namespace bandd {
namespace {

bool is_name(std::string_view text) { return !text.empty() && text != "unknown"; }

}  // namespace

std::string_view name_of(const MailClient& client) {
    if (is_name(client.name)) return client.name;
    return is_name(client.reverse) ? client.reverse : std::string_view();
}

std::optional<std::string> end_user_reason(const EndUserRules& rules, const MailClient& client) {
    if (is_private(client.address) || rules.except.contains(client.address)) return {};
    auto is_client = [&](const std::string& name) { return matches_wildcard(client.name, name); };
    if (is_name(client.name) && std::ranges::any_of(rules.except_names, is_client)) return {};
    return is_broadband(name_of(client), client.address, rules.words);
}

}  // namespace bandd
