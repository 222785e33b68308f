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

void check_guessing(const Config& config, std::vector<Error>& warnings) {
    bool is_watched = std::ranges::any_of(
        config.jails, [](const JailConfig& jail) { return jail.rules.fed_by_access; });
    if (!config.http.auth || is_watched) return;
    warnings.push_back({"http: auth",
                        "nobody who guesses passwords is banned",
                        "enable the jail \"refused-logons\"",
                        {}});
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

// What is wrong with a pattern that the jail names; nothing if it can match.
std::optional<std::pair<std::string, std::string>> fault_of(const JailConfig& jail,
                                                            const FilterConfig& filter,
                                                            const NeededName& named) {
    auto pattern = std::ranges::find(filter.failregex, named.name, &PatternConfig::id);
    if (pattern == filter.failregex.end()) {
        std::vector<std::string_view> known;
        for (const PatternConfig& one : filter.failregex) known.push_back(one.id);
        std::string hint = did_you_mean(named.name, known);
        if (hint.empty()) hint = fmt::format("it has {}", fmt::join(known, ", "));
        return {{"filter \"" + jail.filter + "\" has no such pattern", hint}};
    }
    auto has = [](const std::vector<std::string>& names, std::string_view name) {
        return std::ranges::find(names, name) != names.end();
    };
    const std::string& mode = pattern->mode;
    if (!mode.empty() && !has(jail.modes, mode) && !has(jail.modes, "aggressive"))
        return {{"is used only with mode " + mode, "write \"mode: " + mode + "\""}};
    if (!jail.patterns.empty() && !has(jail.patterns, named.name))
        return {{"\"patterns\" leaves it out", "add it there, or drop its weight"}};
    return {};
}

void check_patterns(const JailConfig& jail, const FilterConfig& filter,
                    std::vector<Error>& errors) {
    for (const NeededName& named : jail.needed_patterns)
        if (auto fault = fault_of(jail, filter, named))
            errors.push_back({"\"" + named.key + "\": pattern \"" + named.name + "\"", fault->first,
                              fault->second, named.where});
    if (jail.rules.weights.empty()) return;
    auto fault = [&](const char* reason, const char* hint) {
        auto key = std::ranges::find(jail.needed_patterns, "weights", &NeededName::key);
        errors.push_back({"\"weights\"", reason, hint, key->where});
    };
    if (jail.rules.distinct)
        fault("\"count: distinct\" counts values, not hits", "take one of the two");
    if (filter.finds_logins) fault("its filter finds logins, not attacks", "take it out");
}

// A jail that reads nothing has no filter.
void check_no_patterns(const JailConfig& jail, std::vector<Error>& errors) {
    if (!jail.is_fed() || jail.needed_patterns.empty()) return;
    const NeededName& named = jail.needed_patterns.front();
    errors.push_back({"\"" + named.key + "\"", "the jail reads no log, so it has no patterns",
                      "take it out", named.where});
}

}  // namespace

void check_filter_uses(const Config& config, std::vector<Error>& errors) {
    for (const JailConfig& jail : config.jails) {
        auto filter = config.filters.find(jail.filter);
        if (jail.filter.empty()) check_no_patterns(jail, errors);
        if (filter == config.filters.end()) continue;
        check_lists(jail, filter->second, errors);
        check_modes(jail, filter->second, errors);
        check_patterns(jail, filter->second, errors);
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
    const AccountLimits& limits = access.rules.accounts;
    auto has_countries = [](const auto& user) { return user.second.countries.value_or(0) > 0; };
    if (limits.countries > 0 || std::ranges::any_of(limits.users, has_countries))
        lacks("accounts: countries", access.accounts_where);
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
