// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/keys.h"

#include <fmt/format.h>

#include "config/access.h"
#include "config/actions.h"
#include "config/filter_file.h"
#include "config/fleet.h"
#include "config/geoblock.h"
#include "config/jail.h"
#include "config/jail_sources.h"
#include "config/program.h"
#include "config/root.h"
#include "config/servers.h"

namespace bandd {
namespace {

template <class T>
void add(const Table<T>& table, std::vector<KeyHelp>& all) {
    T unread{};
    for (const Key<T>& key : table.keys())
        all.push_back({table.name(), key.name, key.values, key.default_value(unread), key.help});
}

std::string markdown_cell(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (c == '|') out += '\\';
        out += c;
    }
    return out;
}

// Hyphens are not broken at, and a backquoted word is bold.
std::string man_text(std::string_view text) {
    std::string out;
    bool bold = false;
    for (char c : text) {
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else if (c == '`')
            out += std::exchange(bold, !bold) ? "\\fR" : "\\fB";
        else
            out += c;
    }
    return out;
}

}  // namespace

std::vector<KeyHelp> all_keys() {
    std::vector<KeyHelp> all;
    add(root_keys(), all);
    add(log_keys(), all);
    add(jail_keys(), all);
    add(journal_keys(), all);
    add(syslog_keys(), all);
    add(service_keys(), all);
    add(increment_keys(), all);
    add(ban_prefix_keys(), all);
    add(ignorecommand_keys(), all);
    add(access_keys(), all);
    add(accounts_keys(), all);
    add(login_syslog_keys(), all);
    add(user_limits_keys(), all);
    add(accounts_action_keys(), all);
    add(geoblock_keys(), all);
    add(policy_keys(), all);
    add(end_user_keys(), all);
    add(http_keys(), all);
    add(auth_keys(), all);
    add(remote_keys(), all);
    add(fleet_keys(), all);
    add(peer_keys(), all);
    add(nftables_keys(), all);
    add(ipset_keys(), all);
    add(exec_keys(), all);
    add(syslog_action_keys(), all);
    add(filter_keys(), all);
    add(json_keys(), all);
    add(pattern_keys(), all);
    add(sample_keys(), all);
    add(action_file_keys(), all);
    return all;
}

std::string keys_markdown() {
    std::string page =
        "# Configuration reference\n\n"
        "Made by `bandctl keys` from the tables that `bandctl check` uses; do not edit.\n\n"
        "Durations: `90`, `10m`, `1d12h`, `2w`, `forever`. Times without a zone are read in the\n"
        "log's `timezone`.\n";
    std::string_view section;
    for (const KeyHelp& key : all_keys()) {
        if (key.section != section) {
            section = key.section;
            page += fmt::format(
                "\n## {}\n\n| key | value | default | meaning |\n|---|---|---|---|\n", section);
        }
        std::string fallback =
            key.default_value.empty() ? "" : fmt::format("`{}`", markdown_cell(key.default_value));
        page += fmt::format("| `{}` | {} | {} | {} |\n", key.name, markdown_cell(key.values),
                            fallback, markdown_cell(key.help));
    }
    return page;
}

std::string keys_man() {
    std::string page =
        ".SH KEYS\n"
        ".\\\" Made by `bandctl keys --man`, put here by packaging/man/update; do not edit.\n"
        "Each key with what it takes, and its default in brackets.\n";
    std::string_view section;
    for (const KeyHelp& key : all_keys()) {
        if (key.section != section) {
            section = key.section;
            page += fmt::format(".SS {}\n", man_text(section));
        }
        std::string fallback =
            key.default_value.empty() ? "" : fmt::format(" [{}]", man_text(key.default_value));
        page += fmt::format(".TP\n\\fB{}\\fR: {}{}\n{}.\n", man_text(key.name),
                            man_text(key.values), fallback, man_text(key.help));
    }
    return page;
}

}  // namespace bandd
