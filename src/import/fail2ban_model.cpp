// SPDX-License-Identifier: GPL-2.0-or-later
#include "import/fail2ban_model.h"

#include <algorithm>
#include <cmath>

namespace bandd::fail2ban {
namespace {

double seconds(Duration span) { return std::chrono::duration<double>(span).count(); }

}  // namespace

void JailModel::add(Counted& counted, Instant at) const {
    if (!rules_.estimates) {
        std::erase_if(counted.times, [&](Instant time) { return time < at - rules_.findtime; });
        counted.times.push_back(at);
        counted.retry = static_cast<std::int64_t>(counted.times.size());
        counted.last = at;
        return;
    }
    if (counted.retry == 0) counted.first = counted.last = at;
    if (at > counted.last) {
        if (counted.first < at - rules_.findtime) {
            double rate = static_cast<double>(counted.retry) / seconds(at - counted.first);
            // To the nearest, of two to the even one, as Python does.
            counted.retry = std::llrint(rate * seconds(rules_.findtime));
            counted.first = at - rules_.findtime;
        }
        counted.last = at;
    }
    ++counted.retry;
}

bool JailModel::is_forgotten(const Known& known, Instant at) const {
    constexpr int out_of_date = 3;  // times the ban
    if (known.until == never) return false;
    Instant old = at - rules_.purge_age;
    Instant end = known.from;
    for (int i = 0; i < out_of_date; ++i) end = end + (known.until - known.from);
    return known.from < old && end < old;
}

// By how much more than one a failure counts.
std::int64_t JailModel::weight_of_known(const Prefix& address, Instant at) const {
    constexpr std::uint32_t most_bans = 20;
    if (!rules_.counts_known_more || !rules_.bantime.increment) return 0;
    auto known = known_.find(address);
    if (known == known_.end() || is_forgotten(known->second, at) || at <= known->second.from)
        return 0;
    std::int64_t weight = (std::int64_t{1} << std::min(known->second.bans, most_bans)) / 2 + 1;
    return std::min<std::int64_t>(weight, rules_.maxretry) - 1;
}

std::optional<ModelBan> JailModel::ban(const Prefix& address, Instant at) {
    counted_.erase(address);
    Known& known = known_[address];
    if (known.bans > 0 && at < known.until) {
        // It was banned already: until the later end.
        known.until = std::max(known.until, at + rules_.bantime.base);
        return {};
    }
    known.bans = known.bans > 0 && is_forgotten(known, at) ? 1 : known.bans + 1;
    known.from = at;
    known.until = at + bantime_of(rules_.bantime, address, at, known.bans);
    return ModelBan{address, known.from, known.until, known.bans};
}

std::optional<ModelBan> JailModel::on_failure(const Prefix& address, Instant at) {
    Counted& counted = counted_[address];
    // What had no failure for findtime is cleaned up.
    if (counted.retry > 0 && counted.last <= at - rules_.findtime) counted = {};
    add(counted, at);
    auto count = [&] {
        std::uint32_t& most = most_[address];
        most = std::max(most, static_cast<std::uint32_t>(counted.retry));
        return counted.retry >= rules_.maxretry;
    };
    if (count()) return ban(address, at);
    std::int64_t more = weight_of_known(address, at);
    if (more == 0) return {};
    counted.retry += more;
    if (!rules_.estimates)
        counted.times.insert(counted.times.end(), static_cast<std::size_t>(more), at);
    return count() ? ban(address, at) : std::nullopt;
}

std::uint32_t JailModel::most_counted(const Prefix& address) const {
    auto found = most_.find(address);
    return found == most_.end() ? 0 : found->second;
}

}  // namespace bandd::fail2ban
