// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/escalation.h"

#include <algorithm>
#include <utility>

namespace bandd {
namespace {

// No prefix that is counted here is longer, so that this is all of it: nobody can choose two
// offenders that are taken for one.
constexpr int longest_offender = 64;

std::uint64_t value_of(const Prefix& offender) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof value; ++i) value = value << 8 | offender.network.bytes[i];
    return value;
}

Prefix offender_of(std::uint64_t value, int length) {
    Address network;
    for (std::size_t i = sizeof value; i-- > 0; value >>= 8)
        network.bytes[i] = static_cast<std::uint8_t>(value);
    return make_prefix(network, length);
}

std::vector<Prefix> offenders_of(std::span<const std::uint64_t> values, int length) {
    std::vector<Prefix> offenders;
    for (std::uint64_t value : values) offenders.push_back(offender_of(value, length));
    return offenders;
}

std::vector<EscalationStep> steps_of(const JailRules& rules) {
    if (rules.distinct || rules.logins || rules.asks_program || rules.v6_length > longest_offender)
        return {};
    if (rules.ipv6_escalation) return *rules.ipv6_escalation;
    if (rules.v6_length != ipv6_host_length) return {};
    std::vector<EscalationStep> steps(default_escalation.begin(), default_escalation.end());
    steps.front().offenders = std::max(steps.front().offenders, rules.maxretry);
    return steps;
}

}  // namespace

void Escalation::set_rules(const JailRules& rules) {
    std::vector<Step> before = std::exchange(steps_, {});
    key_length_ = rules.v6_length;
    int offender_length = rules.v6_length;
    for (const EscalationStep& wanted : steps_of(rules)) {
        if (wanted.length >= offender_length) continue;
        std::uint32_t needed = wanted.offenders;
        int bits = offender_length - wanted.length;
        if (bits < 32 && needed > std::uint32_t{1} << bits) break;  // it has not so many
        auto same = std::ranges::find_if(before, [&](const Step& step) {
            return step.length == wanted.length && step.offender_length == offender_length;
        });
        if (same != before.end()) {
            if (same->needed != needed || findtime_ != rules.findtime ||
                limit_ != rules.track_limit)
                same->windows.resize(needed, rules.findtime, rules.track_limit, true);
            same->needed = needed;
            steps_.push_back(std::move(*same));
            before.erase(same);
        } else {
            steps_.push_back(
                {wanted.length, offender_length, needed,
                 WindowTable(needed, rules.findtime, rules.track_limit, true, memory_)});
        }
        offender_length = wanted.length;
    }
    findtime_ = rules.findtime;
    limit_ = rules.track_limit;
    for (Step& step : before) {
        evicted_before_ += step.windows.evicted();
        step.windows.clear();
        std::size_t all = step.windows.waiting_changes();
        step.windows.take_changes(
            [&](const Prefix& prefix, const WindowTable::View&) { gone_.push_back(prefix); }, all);
    }
}

std::vector<Escalation::Reached> Escalation::add(const Prefix& key, Instant at,
                                                 std::optional<Instant> from, std::uint64_t note) {
    std::vector<Reached> reached;
    Prefix offender = key;
    for (Step& step : steps_) {
        Prefix wider = make_prefix(key.network, step.length);
        if (from) step.windows.forget_before(wider, *from);
        auto added = step.windows.add(wider, at, note, value_of(offender));
        if (!added.full) break;
        Reached& one = reached.emplace_back();
        one.prefix = wider;
        one.offenders = offenders_of(added.others, step.offender_length);
        one.offenders.push_back(offender);
        offender = wider;
    }
    return reached;
}

bool Escalation::would_reach(const Prefix& key, Instant at, Instant from) const {
    if (!escalates(key)) return false;
    const Step& first = steps_.front();
    return first.windows.would_fill(make_prefix(key.network, first.length), at, from,
                                    value_of(key));
}

void Escalation::expire(Instant now) {
    for (Step& step : steps_) step.windows.expire(now);
}

void Escalation::forget(const Prefix& prefix) {
    if (prefix.is_v4()) return;
    for (Step& step : steps_)
        if (step.length <= prefix.length)
            step.windows.erase(make_prefix(prefix.network, step.length));
}

void Escalation::fetch(const Prefix& key) const {
    if (escalates(key))
        steps_.front().windows.fetch(make_prefix(key.network, steps_.front().length));
}

std::vector<Prefix> Escalation::offenders(const Prefix& wider) const {
    for (const Step& step : steps_)
        if (step.length == wider.length)
            if (auto view = step.windows.find(wider))
                return offenders_of(view->values, step.offender_length);
    return {};
}

bool Escalation::restore(const Prefix& prefix, std::span<const Instant> times,
                         std::span<const std::uint64_t> values) {
    if (prefix.is_v4()) return false;
    for (Step& step : steps_)
        if (step.length == prefix.length) {
            step.windows.restore(prefix, times, values, true);
            return true;
        }
    return false;
}

std::size_t Escalation::size() const {
    std::size_t sum = 0;
    for (const Step& step : steps_) sum += step.windows.size();
    return sum;
}

std::uint64_t Escalation::evicted() const {
    std::uint64_t sum = evicted_before_;
    for (const Step& step : steps_) sum += step.windows.evicted();
    return sum;
}

}  // namespace bandd
