// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/overrides.h"

#include <algorithm>

#include "daemon/configuration.h"

namespace bandd {
namespace {

bool overlap(const Prefix& a, const Prefix& b) {
    return contains(a, b.network) || contains(b, a.network);
}

void change(JailRules& rules, const Overrides::Limits& limits) {
    if (limits.bantime) rules.bantime.base = *limits.bantime;
    if (limits.maxretry) rules.maxretry = *limits.maxretry;
    if (!limits.findtime) return;
    rules.findtime = *limits.findtime;
    rules.today.reset();
}

std::optional<std::int64_t> number_of(const Json& json, const char* name) {
    auto found = json.find(name);
    if (found == json.end() || !found->is_number_integer()) return {};
    return found->get<std::int64_t>();
}

std::optional<Duration> duration_of(const Json& json, const char* name) {
    auto number = number_of(json, name);
    if (!number || *number <= 0) return {};
    return Duration{*number};
}

}  // namespace

JailRules Overrides::rules_of(const JailConfig& loaded) const {
    JailRules rules = loaded.rules;
    if (const Limits* limits = this->limits(rules.name)) change(rules, *limits);
    std::vector<Prefix> more;
    for (const Allowed& one : allowed_)
        if (one.jail.empty() || one.jail == rules.name) more.push_back(one.prefix);
    if (!more.empty()) rules.ignoreip.add(more);
    return rules;
}

void Overrides::renew_rules(Config& config) const {
    for (JailConfig& jail : config.jails)
        if (const JailConfig* loaded = loaded_jail(jail.rules.name)) jail.rules = rules_of(*loaded);
}

void Overrides::put_over(const LoadedJails& loaded, Configuration& configuration) const {
    std::vector<JailConfig> jails;
    JailFilters filters;
    for (std::size_t i = 0; i < loaded.jails.size(); ++i) {
        const Limits* limits = this->limits(loaded.jails[i].rules.name);
        if (limits != nullptr && limits->stopped) continue;
        jails.push_back(loaded.jails[i]);
        jails.back().rules = rules_of(loaded.jails[i]);
        filters.push_back(loaded.filters[i]);
    }
    configuration.config.jails = std::move(jails);
    configuration.compiled.filters = std::move(filters);
}

const JailConfig* Overrides::loaded_jail(std::string_view name) const {
    auto found = std::ranges::find_if(loaded_.jails, [&](const JailConfig& jail) {
        return std::string_view(jail.rules.name) == name;
    });
    return found == loaded_.jails.end() ? nullptr : &*found;
}

const Overrides::Limits* Overrides::limits(std::string_view jail) const {
    auto found = limits_.find(jail);
    return found == limits_.end() ? nullptr : &found->second;
}

void Overrides::set_limits(const std::string& jail, const Limits& limits) {
    ++version_;
    if (limits == Limits{})
        limits_.erase(jail);
    else
        limits_[jail] = limits;
}

Result<> Overrides::allow(Allowed one) {
    auto same = std::ranges::find_if(allowed_, [&](const Allowed& other) {
        return other.prefix == one.prefix && other.jail == one.jail;
    });
    if (same == allowed_.end() && allowed_.size() >= most_allowed)
        return fail("allow " + to_string(one.prefix),
                    std::to_string(most_allowed) + " are allowed, which is the limit",
                    "write what is to stay into \"ignoreip\"");
    ++version_;
    if (same == allowed_.end())
        allowed_.push_back(std::move(one));
    else
        *same = std::move(one);
    return {};
}

bool Overrides::disallow(const Prefix& prefix, std::string_view jail) {
    auto gone = std::erase_if(allowed_, [&](const Allowed& one) {
        return one.prefix == prefix && std::string_view(one.jail) == jail;
    });
    if (gone > 0) ++version_;
    return gone > 0;
}

bool Overrides::on_time(Instant now) {
    auto gone = std::erase_if(allowed_, [&](const Allowed& one) { return one.until <= now; });
    if (gone > 0) ++version_;
    return gone > 0;
}

std::optional<Instant> Overrides::next_deadline() const {
    auto first = std::ranges::min_element(allowed_, {}, &Allowed::until);
    if (first == allowed_.end() || first->until == never) return {};
    return first->until;
}

const Overrides::Allowed* Overrides::allows(const Prefix& prefix, std::string_view jail) const {
    auto found = std::ranges::find_if(allowed_, [&](const Allowed& one) {
        return (one.jail.empty() || one.jail == jail) && overlap(one.prefix, prefix);
    });
    return found == allowed_.end() ? nullptr : &*found;
}

std::string Overrides::save() const {
    Json jails = Json::object();
    for (const auto& [name, limits] : limits_) {
        Json& jail = jails[name] = Json::object();
        if (limits.stopped) jail["stopped"] = true;
        if (limits.maxretry) jail["maxretry"] = *limits.maxretry;
        if (limits.bantime) jail["bantime"] = limits.bantime->count();
        if (limits.findtime) jail["findtime"] = limits.findtime->count();
    }
    Json allowed = Json::array();
    for (const Allowed& one : allowed_)
        allowed.push_back({{"ip", to_string(one.prefix)},
                           {"jail", one.jail},
                           {"since", one.since.us},
                           {"until", one.until.us},
                           {"reason", one.reason}});
    return Json{{"jails", jails}, {"allowed", allowed}}.dump(-1, ' ', false,
                                                             Json::error_handler_t::replace);
}

// It was written by `save`, or imported: what is not understood is left out.
void Overrides::restore(std::string_view saved) {
    Json json = Json::parse(saved, nullptr, false);
    auto part = [&](const char* name) {
        auto found = json.find(name);
        return json.is_object() && found != json.end() ? *found : Json();
    };
    const Json jails = part("jails");
    for (const auto& [name, jail] : jails.items()) {
        if (!jail.is_object()) continue;
        Limits limits;
        limits.stopped = jail.contains("stopped") && jail["stopped"] == true;
        if (auto maxretry = number_of(jail, "maxretry"))
            if (*maxretry >= 1 && *maxretry <= most_maxretry)
                limits.maxretry = static_cast<std::uint32_t>(*maxretry);
        limits.bantime = duration_of(jail, "bantime");
        limits.findtime = duration_of(jail, "findtime");
        set_limits(name, limits);
    }
    const Json allowed = part("allowed");
    for (const Json& one : allowed) {
        auto prefix = one.is_object() ? parse_prefix(text_argument(one, "ip")) : std::nullopt;
        if (!prefix) continue;
        [[maybe_unused]] auto taken = allow({*prefix,
                                             text_argument(one, "jail"),
                                             {number_of(one, "since").value_or(0)},
                                             {number_of(one, "until").value_or(never.us)},
                                             text_argument(one, "reason")});
    }
}

}  // namespace bandd
