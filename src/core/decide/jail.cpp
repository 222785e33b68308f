// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/jail.h"

namespace bandd {
namespace {

// Of a jail that counts by user; maxretry is the first number that is too many.
AccountLimits limits_of(const JailRules& rules) {
    AccountLimits limits;
    limits.findtime = rules.findtime;
    limits.accounts = rules.track_limit;
    limits.notice_every = Duration{0};  // of these nobody is told
    bool by_country = rules.distinct && rules.distinct->of == DistinctCount::Of::country;
    (by_country ? limits.countries : limits.addresses) = rules.maxretry - 1;
    return limits;
}

}  // namespace

Jail::Jail(const JailRules& from, const std::shared_ptr<WindowMemory>& memory)
    : rules(from),
      windows(from.maxretry, from.findtime, from.track_limit, from.distinct.has_value(), memory),
      escalation(from, memory),
      attacked(limits_of(from)) {}

void Jail::set_rules(JailRules fresh) {
    const JailRules& was = rules;
    bool same_keys = was.v4_length == fresh.v4_length && was.v6_length == fresh.v6_length &&
                     was.distinct == fresh.distinct;
    if (!same_keys) windows.clear();
    if (!same_keys || was.maxretry != fresh.maxretry || was.findtime != fresh.findtime ||
        was.track_limit != fresh.track_limit)
        windows.resize(fresh.maxretry, fresh.findtime, fresh.track_limit,
                       fresh.distinct.has_value());
    escalation.set_rules(fresh);
    if (was.distinct != fresh.distinct) attacked.clear();
    attacked.set_limits(limits_of(fresh));
    rules = std::move(fresh);
    configured = true;
}

Instant Jail::window_start(Instant at) const {
    if (!rules.today) return at - rules.findtime;
    CivilTime midnight = rules.today->to_civil(at);
    midnight.hour = midnight.minute = midnight.second = midnight.microsecond = 0;
    return rules.today->to_instant(midnight, at);
}

std::optional<std::string> Jail::distinct_value(const Subject& subject) const {
    const DistinctCount& count = *rules.distinct;
    using Of = DistinctCount::Of;
    if (count.of == Of::ip) {
        // A /64 is one attacker, however many addresses of it he shows.
        return to_string(host_prefix(subject.address));
    }
    if (count.of == Of::field) {
        auto value = subject.fields.find(count.field);
        if (!value || value->empty()) return {};
        return count.field == "user" ? account_name(*value) : std::string(*value);
    }
    if (subject.facts == nullptr) return {};
    Origin origin = subject.facts->origin(subject.address);
    if (count.of == Of::asn && origin.asn == 0) return {};
    if (count.of == Of::asn) return std::to_string(origin.asn);
    bool nowhere = origin.country == private_country || origin.country == unknown_country;
    if (nowhere || origin.country.empty()) return {};
    return origin.country;
}

void Jail::count_ignored(Ignored::Why why) {
    switch (why) {
        case Ignored::Why::too_old:
            ++counts.too_old;
            return;
        case Ignored::Why::already_banned:
            ++counts.already_banned;
            return;
        case Ignored::Why::ignoreip:
        case Ignored::Why::own_address:
        case Ignored::Why::exempt:
        case Ignored::Why::where:
        case Ignored::Why::nothing_to_count:
        case Ignored::Why::same_attempt:
            ++counts.ignored;
            return;
    }
}

}  // namespace bandd
