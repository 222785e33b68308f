// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/references.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/base/suggest.h"

namespace bandd {

void check_remote_jails(const Config& config, const std::set<std::string>& names,
                        std::vector<Error>& errors) {
    std::vector<std::string_view> enabled;
    for (const JailConfig& jail : config.jails) enabled.push_back(jail.rules.name);
    auto check = [&](const std::string& name, const std::string& what, const Place& where) {
        if (std::ranges::find(enabled, name) != enabled.end()) return;
        errors.push_back({what + ": jail \"" + name + "\"",
                          names.contains(name) ? "is not enabled" : "there is no such jail",
                          did_you_mean(name, enabled), where});
    };
    const RemoteConfig& remote = config.remote;
    for (const PeerConfig& peer : remote.peers)
        check(peer.jail, "peer \"" + peer.name + "\"", peer.where);
    if (!remote.listen.empty()) check(remote.text_jail, "\"text_jail\"", remote.where);
}

namespace {

void check_lists(const JailConfig& jail, const FilterConfig& filter, std::vector<Error>& errors) {
    for (const auto& [list, words] : jail.lists) {
        if (filter.lists.contains(list)) continue;
        std::vector<std::string_view> known;
        for (const auto& [name, unused] : filter.lists) known.push_back(name);
        errors.push_back({"list \"" + list + "\"",
                          "filter \"" + jail.filter + "\" has no such list",
                          did_you_mean(list, known), jail.where});
    }
}

void check_modes(const JailConfig& jail, const FilterConfig& filter, std::vector<Error>& errors) {
    if (jail.modes.empty()) return;
    std::set<std::string_view> known{"aggressive", "normal"};
    for (const auto& pattern : filter.failregex)
        if (!pattern.mode.empty()) known.insert(pattern.mode);
    for (const std::string& mode : jail.modes)
        if (!known.contains(mode))
            errors.push_back({"mode \"" + mode + "\"",
                              "filter \"" + jail.filter + "\" has no such mode",
                              fmt::format("it has {}", fmt::join(known, ", ")), jail.where});
}

}  // namespace

void check_lists_and_modes(const Config& config, std::vector<Error>& errors) {
    for (const JailConfig& jail : config.jails) {
        auto filter = config.filters.find(jail.filter);
        if (filter == config.filters.end()) continue;
        check_lists(jail, filter->second, errors);
        check_modes(jail, filter->second, errors);
    }
}

void check_databases(const Config& config, std::vector<Error>& errors) {
    if (!config.geoip.empty()) return;
    auto lacks = [&](const char* key, const Place& where) {
        errors.push_back({"\"" + std::string(key) + "\"",
                          "no database tells countries and networks",
                          "name one in bandd.yaml: geoip: /var/lib/GeoIP/NAME.mmdb", where});
    };
    const AccessConfig& access = config.access;
    if (!access.rules.everywhere) lacks("access", access.where);
    for (const GeoblockConfig& block : config.geoblocks) lacks("geoblock", block.where);
    if (access.rules.accounts.countries > 0) lacks("accounts: countries", access.accounts_where);
    for (const JailConfig& jail : config.jails) {
        if (jail.rules.where && jail.rules.where->needs_database())
            lacks("where", jail.condition_where);
        using Of = DistinctCount::Of;
        const auto& distinct = jail.rules.distinct;
        if (distinct && (distinct->of == Of::country || distinct->of == Of::asn))
            lacks("count", jail.where);
    }
}

void take_logins(Config& config, std::vector<Error>& errors) {
    for (JailConfig& jail : config.jails) {
        auto filter = config.filters.find(jail.filter);
        if (filter == config.filters.end() || !filter->second.finds_logins) continue;
        jail.rules.logins = true;
        jail.needed_fields.push_back({"finds: logins", "user", jail.where});
        if (jail.rules.distinct && !jail.rules.distinct->by_user)
            errors.push_back({"\"count\"",
                              "filter \"" + jail.filter + "\" finds logins, not attacks",
                              "write \"count: distinct country by user\", or nothing", jail.where});
        jail.rules.distinct.reset();
    }
}

}  // namespace bandd
