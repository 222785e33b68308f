// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/hash.h"
#include "core/base/reserved.h"

namespace bandd {

std::optional<JailIndex> Engine::find_jail(std::string_view name) const {
    for (std::size_t i = 0; i < rules_.size(); ++i)
        if (rules_[i].name == name) return static_cast<JailIndex>(i);
    return {};
}

std::vector<std::string> Engine::jail_names() const {
    std::vector<std::string> names;
    for (const JailRules& rules : rules_) names.push_back(rules.name);
    return names;
}

bool Engine::is_own(JailIndex jail, const Address& address) const {
    return rules_[jail].ignoreself && own_addresses_.contains(address);
}

bool Engine::is_ignored(JailIndex jail, const Address& address) const {
    return rules_[jail].ignoreip.contains(address);
}

Prefix Engine::key_for(JailIndex jail, const Address& address) const {
    const JailRules& rules = rules_[jail];
    Prefix key = make_prefix(address, address.is_v4() ? rules.v4_length : rules.v6_length);
    // A prefix with an ignored host in it is never banned as a whole.
    if (!key.is_single() &&
        (rules.ignoreip.overlaps(key) || (rules.ignoreself && own_addresses_.overlaps(key))))
        key = make_prefix(address, address.bits());
    return key;
}

namespace {

// Of a jail that counts by user; maxretry is the first number that is too many.
AccountLimits limits_of(const JailRules& rules) {
    AccountLimits limits;
    limits.findtime = rules.findtime;
    limits.accounts = rules.track_limit;
    bool by_country = rules.distinct && rules.distinct->of == DistinctCount::Of::country;
    (by_country ? limits.countries : limits.addresses) = rules.maxretry - 1;
    return limits;
}

}  // namespace

void Engine::set_rules(std::vector<JailRules> rules, Instant now, Outcome& outcome) {
    std::vector<Jail> jails;
    std::vector<std::optional<JailIndex>> moved(rules_.size());
    for (const JailRules& fresh : rules) {
        jails.push_back({WindowTable(fresh.maxretry, fresh.findtime, fresh.track_limit,
                                     fresh.distinct.has_value()),
                         AccountTable(limits_of(fresh)),
                         {},
                         {}});
        auto old = find_jail(fresh.name);
        if (!old) continue;
        moved[*old] = static_cast<JailIndex>(jails.size() - 1);
        Jail& from = jails_[*old];
        Jail& to = jails.back();
        const JailRules& was = rules_[*old];
        to.counts = from.counts;
        to.stored_counts = from.stored_counts;
        if (was.distinct && was.distinct->by_user && was.distinct == fresh.distinct) {
            to.attacked = std::move(from.attacked);
            to.attacked.set_limits(limits_of(fresh));
        }
        if (was.maxretry == fresh.maxretry && was.findtime == fresh.findtime &&
            was.track_limit == fresh.track_limit && was.distinct == fresh.distinct &&
            was.v4_length == fresh.v4_length && was.v6_length == fresh.v6_length) {
            to.windows = std::move(from.windows);
        } else if (was.v4_length == fresh.v4_length && was.v6_length == fresh.v6_length &&
                   was.distinct == fresh.distinct) {
            from.windows.for_each([&](const Prefix& key, const WindowTable::View& view) {
                to.windows.restore(key, view.times, view.values, false);
            });
        }
    }
    for (std::size_t i = 0; i < moved.size(); ++i)
        if (!moved[i]) unban_all(static_cast<JailIndex>(i), Unbanned::Why::jail_gone, now, outcome);
    auto move_keys = [&](auto& map) {
        auto old = std::move(map);
        map.clear();
        for (auto& [key, value] : old) {
            BanKey at = key;
            if (key.jail != any_jail) {
                if (!moved[key.jail]) continue;
                at.jail = *moved[key.jail];
            }
            map.emplace(at, std::move(value));
        }
    };
    auto move_set = [&](auto& set) {
        auto old = std::move(set);
        set.clear();
        for (BanKey key : old) {
            if (key.jail != any_jail) {
                if (!moved[key.jail]) continue;
                key.jail = *moved[key.jail];
            }
            set.insert(key);
        }
    };
    BanTable kept;
    kept.reserve(bans_.size());
    std::vector<BanKey> changed;
    for (std::uint32_t slot = 0; slot < bans_.slots(); ++slot) {
        Ban* ban = bans_.at(slot);
        if (ban == nullptr || !moved[ban->key.jail]) continue;
        ban->key.jail = *moved[ban->key.jail];
        if (slot < is_changed_.size() && is_changed_[slot]) changed.push_back(ban->key);
        kept.put(std::move(*ban));
    }
    bans_ = std::move(kept);
    changed_slots_.clear();
    is_changed_.clear();
    for (const BanKey& key : changed) mark_changed(bans_.slot_of(key));
    move_keys(offences_);
    recent_.clear();
    recent_order_.clear();
    move_set(changed_offences_);
    waiting_.rename_jails(moved);
    rules_ = std::move(rules);
    jails_ = std::move(jails);
    deadlines_.clear();
    for (const Ban& ban : bans_) push_deadline(ban);
}

void Engine::mark_changed(std::uint32_t slot) {
    if (slot >= is_changed_.size()) is_changed_.resize(bans_.slots());
    if (is_changed_[slot]) return;
    is_changed_[slot] = true;
    changed_slots_.push_back(slot);
}

void Engine::push_deadline(const Ban& ban) {
    if (ban.until == never) return;
    deadlines_.push_back({ban.until, bans_.slot_of(ban.key)});
    std::ranges::push_heap(deadlines_, std::greater{});
    // Extensions leave entries behind; they may not outnumber the bans.
    if (deadlines_.size() > 2 * bans_.size() + 1024) {
        deadlines_.clear();
        for (std::uint32_t slot = 0; slot < bans_.slots(); ++slot)
            if (const Ban* kept = bans_.at(slot); kept != nullptr && kept->until != never)
                deadlines_.push_back({kept->until, slot});
        std::ranges::make_heap(deadlines_, std::greater{});
    }
}

std::optional<Instant> Engine::next_deadline() const {
    if (deadlines_.empty()) return {};
    return deadlines_.front().at;
}

std::vector<Match> Engine::kept_lines(JailIndex jail, const Prefix& key) const {
    auto view = jails_[jail].windows.find(key);
    if (!view) return {};
    return lines_.up_to(view->note, static_cast<std::uint32_t>(view->times.size()));
}

void Engine::count_hits(const Hit& hit, Instant arrival, Outcome& outcome) {
    const Filter& filter = *hit.rule->filter;
    Instant time = hit.dated ? hit.time : arrival;
    if (filter.converses) {
        joined_hit_ = hit;
        joined_hit_.time = time;
        if (!conversations_.merge(joined_hit_)) return;
    }
    const Hit& whole = filter.converses ? joined_hit_ : hit;
    const std::vector<JailIndex>& jails = whole.rule->jails;
    if (whole.address) {
        Counted counted{*whole.address, time, arrival, whole.pattern->id, whole.line, whole.fields};
        for (JailIndex jail : jails) count_hit(jail, counted, outcome);
    } else if (filter.looks_up_names && !whole.text.empty()) {
        Question question;
        question.name = whole.text;
        ask(std::move(question),
            {jails, time, arrival, whole.pattern->id,
             std::string(whole.line.substr(0, longest_kept_line)), whole.fields},
            outcome);
    } else {
        ++hits_of_names_;
    }
}

void Engine::ask(Question question, WaitingHit hit, Outcome& outcome) {
    if (waiting_.add(question, std::move(hit))) outcome.questions.push_back(std::move(question));
}

WaitingHit Engine::waiting(JailIndex jail, const Counted& hit, Instant at) {
    return {{jail},
            at,
            hit.arrival,
            std::string(hit.pattern),
            std::string(hit.line.substr(0, longest_kept_line)),
            hit.fields};
}

void Engine::on_answer(const Answer& answer, Instant now, Outcome& outcome) {
    const Question& question = answer.question;
    for (const WaitingHit& hit : waiting_.take(question)) {
        Counted counted{question.address, hit.time, std::min(hit.arrival, now),
                        hit.pattern,      hit.line, hit.fields};
        if (question.kind == Question::Kind::exempt) {
            if (answer.exempt) {
                ++jails_[question.jail].counts.ignored;
                outcome.events.emplace_back(
                    Ignored{question.jail, question.address, hit.time, Ignored::Why::exempt});
                continue;
            }
            counted.asked = true;
            count_hit(question.jail, counted, outcome);
            continue;
        }
        if (question.kind == Question::Kind::hostname) {
            Fields fields = hit.fields;
            fields.add("hostname", answer.hostname.empty() ? "unknown" : answer.hostname);
            Counted named{question.address, hit.time, counted.arrival,
                          hit.pattern,      hit.line, fields};
            for (JailIndex jail : hit.jails) count_hit(jail, named, outcome);
            continue;
        }
        if (answer.addresses.empty()) ++hits_of_names_;
        for (const Address& address : answer.addresses) {
            counted.address = address;
            for (JailIndex jail : hit.jails) count_hit(jail, counted, outcome);
        }
    }
}

void Engine::look_ahead(std::span<const Hit> hits, std::size_t number) const {
    // Decided one after the other, so many take about as long as memory does.
    constexpr std::size_t in_time = 6;
    if (number + in_time >= hits.size()) return;
    const Hit& hit = hits[number + in_time];
    if (!hit.address) return;
    for (JailIndex jail : hit.rule->jails) {
        Prefix prefix = key_for(jail, *hit.address);
        if (!bans_.fetch({jail, prefix})) jails_[jail].windows.fetch(prefix);
    }
}

void Engine::on_hits(std::span<const Hit> hits, Instant now, Outcome& outcome, LogTime* backlog) {
    for (std::size_t i = 0; i < hits.size(); ++i) {
        look_ahead(hits, i);
        on_hit(hits[i], backlog == nullptr ? now : backlog->arrival_of(hits[i], now), outcome);
    }
}

void Engine::on_hit(const Hit& hit, Instant arrival, Outcome& outcome) {
    if (hit.pattern != nullptr) return count_hits(hit, arrival, outcome);
    joined_.clear();
    conversations_.join(hit, joined_);
    for (const Hit& one : joined_) count_hits(one, arrival, outcome);
}

// The time before which a hit does not count together with one at `at`.
Instant Engine::window_start(const JailRules& rules, Instant at) const {
    if (!rules.today) return at - rules.findtime;
    CivilTime midnight = rules.today->to_civil(at);
    midnight.hour = midnight.minute = midnight.second = midnight.microsecond = 0;
    return rules.today->to_instant(midnight, at);
}

std::optional<std::string> Engine::distinct_value(const DistinctCount& count,
                                                  const Subject& subject) const {
    using Of = DistinctCount::Of;
    if (count.of == Of::ip) {
        // A /64 is one attacker, however many addresses of it he shows.
        return to_string(host_prefix(subject.address));
    }
    if (count.of == Of::field) {
        auto value = subject.fields.find(count.field);
        if (!value || value->empty()) return {};
        return std::string(*value);
    }
    if (facts_ == nullptr) return {};
    Origin origin = facts_->origin(subject.address);
    if (count.of == Of::asn && origin.asn == 0) return {};
    if (count.of == Of::asn) return std::to_string(origin.asn);
    bool nowhere = origin.country == private_country || origin.country == unknown_country;
    if (nowhere || origin.country.empty()) return {};
    return origin.country;
}

bool Engine::would_ban(JailIndex jail, const Prefix& prefix, Instant at,
                       std::uint64_t value) const {
    const Ban* ban = bans_.find({jail, prefix});
    if (ban != nullptr && ban->until > at) return false;
    std::size_t hits = 1;
    Instant start = window_start(rules_[jail], at);
    if (auto view = jails_[jail].windows.find(prefix))
        for (std::size_t i = 0; i < view->times.size(); ++i)
            if (view->times[i] >= start && (view->values.empty() || view->values[i] != value))
                ++hits;
    return hits >= rules_[jail].maxretry;
}

// A line from the future counts as now.
Instant Engine::counted_time(const Counted& hit) {
    return hit.time <= hit.arrival + future_tolerance ? hit.time : hit.arrival;
}

void Engine::count_hit(JailIndex index, const Counted& hit, Outcome& outcome) {
    const JailRules& rules = rules_[index];
    Jail& jail = jails_[index];
    const Address& address = hit.address;
    Instant at = counted_time(hit);
    auto ignore = [&](Ignored::Why why, std::uint64_t& counter) {
        ++counter;
        outcome.events.emplace_back(Ignored{index, address, at, why});
    };
    if (is_own(index, address)) return ignore(Ignored::Why::own_address, jail.counts.ignored);
    if (is_ignored(index, address)) return ignore(Ignored::Why::ignoreip, jail.counts.ignored);
    if (at < window_start(rules, hit.arrival))
        return ignore(Ignored::Why::too_old, jail.counts.too_old);
    Subject subject{address, hit.fields, facts_};
    if (rules.where) {
        Truth holds = rules.where->evaluate(subject);
        if (holds == Truth::unknown && rules.reverse_lookup && rules.where->needs_hostname() &&
            !hit.fields.has("hostname") && is_public(address)) {
            Question question;
            question.kind = Question::Kind::hostname;
            question.address = address;
            return ask(std::move(question), waiting(index, hit, at), outcome);
        }
        if (holds != Truth::yes) return ignore(Ignored::Why::where, jail.counts.ignored);
    }
    if (rules.logins) return count_login(index, hit, at, outcome);
    if (rules.distinct && rules.distinct->by_user) return count_by_user(index, hit, at, outcome);
    std::uint64_t value = 0;
    if (rules.distinct) {
        auto counted = distinct_value(*rules.distinct, subject);
        if (!counted) return ignore(Ignored::Why::nothing_to_count, jail.counts.ignored);
        value = hash64(*counted);
    }
    Prefix prefix = key_for(index, address);
    if (rules.asks && !hit.asked && would_ban(index, prefix, at, value)) {
        Question question;
        question.kind = Question::Kind::exempt;
        question.jail = index;
        question.address = address;
        return ask(std::move(question), waiting(index, hit, at), outcome);
    }
    ++jail.counts.hits;

    BanKey key{index, prefix};
    std::uint32_t slot = bans_.slot_of(key);
    if (Ban* found = bans_.at(slot); found != nullptr && found->until > at) {
        Ban& ban = *found;
        ++ban.hits;
        mark_changed(slot);
        ++jail.counts.already_banned;
        if (rules.bantime.extend && !ban.by_hand && ban.until != never) {
            Instant until = at + bantime_of(rules, prefix, ban.from, ban.offence);
            if (until > ban.until) {
                ban.until = until;
                push_deadline(ban);
                outcome.events.emplace_back(Extended{ban});
                return;
            }
        }
        outcome.events.emplace_back(Ignored{index, address, at, Ignored::Why::already_banned});
        return;
    } else if (found != nullptr) {
        end(key, Unbanned::Why::expired, found->until, outcome);
    }

    if (was_banned(key, at)) {
        ++jail.counts.already_banned;
        outcome.events.emplace_back(Ignored{index, address, at, Ignored::Why::already_banned});
        return;
    }

    jail.windows.expire(std::max(at, hit.arrival) - rules.findtime);
    if (rules.today) jail.windows.forget_before(prefix, window_start(rules, at));
    std::uint64_t previous = 0;
    if (auto view = jail.windows.find(prefix)) previous = view->note;
    std::uint64_t note = lines_.add(at, hit.pattern, hit.line, previous);
    auto added = jail.windows.add(prefix, at, note, value);
    outcome.events.emplace_back(Found{index, address, std::string(hit.pattern), at, added.hits});
    if (!added.full) return;

    auto story = std::make_shared<Story>();
    story->reason = hit.pattern;
    story->matches = lines_.up_to(note, std::min(rules.maxmatches, added.hits));
    story->fields = hit.fields;
    if (rules.where)
        for (const auto& [name, value] : rules.where->used_facts(subject))
            story->fields.add(name, value);
    ban_for(index, prefix, address, hit, added.hits, std::move(story), outcome);
}

void Engine::ban_for(JailIndex index, const Prefix& prefix, const Address& address,
                     const Counted& hit, std::uint32_t hits, std::shared_ptr<const Story> story,
                     Outcome& outcome) {
    const JailRules& rules = rules_[index];
    Instant at = counted_time(hit);
    Ban ban;
    ban.key = {index, prefix};
    ban.from = at;
    ban.hits = hits;
    ban.story = std::move(story);
    ban.offence = next_offence(index, prefix, at);
    ban.until = at + bantime_of(rules, prefix, at, ban.offence);
    decide(std::move(ban), outcome);

    if (rules.fed_by_bans) return;
    std::string why = fmt::format("ban of {} in jail {}", to_string(prefix), rules.name);
    for (std::size_t i = 0; i < rules_.size(); ++i)
        if (rules_[i].fed_by_bans)
            count_hit(static_cast<JailIndex>(i),
                      {address, at, hit.arrival, rules.name, why, hit.fields}, outcome);
}

// A login, as a log tells it: the password was right.
void Engine::count_login(JailIndex index, const Counted& hit, Instant at, Outcome& outcome) {
    auto user = hit.fields.find("user");
    if (!user || user->empty()) {
        ++jails_[index].counts.ignored;
        outcome.events.emplace_back(
            Ignored{index, hit.address, at, Ignored::Why::nothing_to_count});
        return;
    }
    ++jails_[index].counts.hits;
    outcome.events.emplace_back(LoggedIn{index, std::string(*user), hit.address, at});
    LoginRequest request{hit.pattern, *user, hit.address, at};
    request.proven = true;
    on_login(request, outcome);
}

// All addresses that tried one account, once they are too many, and then each further one.
void Engine::count_by_user(JailIndex index, const Counted& hit, Instant at, Outcome& outcome) {
    Jail& jail = jails_[index];
    auto ignore = [&](Ignored::Why why, std::uint64_t& counter) {
        ++counter;
        outcome.events.emplace_back(Ignored{index, hit.address, at, why});
    };
    auto user = hit.fields.find("user");
    if (!user || user->empty()) return ignore(Ignored::Why::nothing_to_count, jail.counts.ignored);
    if (rules_[index].asks && !hit.asked) {
        Question question;
        question.kind = Question::Kind::exempt;
        question.jail = index;
        question.address = hit.address;
        return ask(std::move(question), waiting(index, hit, at), outcome);
    }
    BanKey key{index, key_for(index, hit.address)};
    if (Ban* found = bans_.find(key); found != nullptr && found->until <= at)
        end(key, Unbanned::Why::expired, found->until, outcome);
    bool banned = bans_.find(key) != nullptr || was_banned(key, at);
    ++jail.counts.hits;
    std::string country;
    if (facts_ != nullptr) country = facts_->origin(hit.address).country;
    jail.attacked.expire(hit.arrival);
    auto counted = jail.attacked.add({*user, hit.address, CountryCode::from(country), at});
    if (banned) return ignore(Ignored::Why::already_banned, jail.counts.already_banned);
    bool by_country = rules_[index].distinct->of == DistinctCount::Of::country;
    std::uint32_t distinct = by_country ? counted.countries : counted.addresses;
    outcome.events.emplace_back(Found{index, hit.address, std::string(hit.pattern), at, distinct});
    if (counted.standing == Standing::good) return;
    auto story = std::make_shared<Story>();
    story->reason = fmt::format("{}: account tried from {} {} in {}", hit.pattern, distinct,
                                by_country ? "countries" : "addresses",
                                format_duration(rules_[index].findtime));
    story->matches.push_back(
        {at, std::string(hit.pattern), std::string(hit.line.substr(0, longest_kept_line))});
    story->fields = hit.fields;
    std::vector<Address> addresses;
    for (const AddressSeen& seen : jail.attacked.find(*user)->addresses)
        if (seen.last >= at - rules_[index].findtime) addresses.push_back(seen.address);
    for (const Address& address : addresses) {
        // Of an IPv6 /64 only the network is known; the hit's own address is.
        const Address& host = contains(host_prefix(hit.address), address) ? hit.address : address;
        Prefix prefix = key_for(index, host);
        if (is_own(index, host) || is_ignored(index, host) || bans_.find({index, prefix})) continue;
        ban_for(index, prefix, host, hit, distinct, story, outcome);
    }
}

void Engine::set_access(AccessRules rules) {
    access_ = std::move(rules);
    accounts_.set_limits(access_.accounts);
}

Decision Engine::on_login(const LoginRequest& request, Outcome& outcome) {
    accounts_.expire(request.at);
    Decision decision = decide_access(access_, accounts_, facts_, request);
    if (decision.just_over)
        outcome.events.emplace_back(
            AccountOver{account_name(request.user), request.address, decision.origin.country,
                        standing_reason(decision, access_), decision.countries, decision.addresses,
                        request.at});
    return decision;
}

void Engine::on_failed_login(const LoginRequest& request, std::string_view why, Outcome& outcome) {
    Fields fields{{"user", std::string(request.user)}, {"protocol", std::string(request.protocol)}};
    std::string line = fmt::format("login of {} by {} from {}: {}", request.user, request.protocol,
                                   to_string(request.address), why);
    for (std::size_t i = 0; i < rules_.size(); ++i)
        if (rules_[i].fed_by_access)
            count_hit(static_cast<JailIndex>(i),
                      {request.address, request.at, request.at, why, line, fields}, outcome);
}

void Engine::mark_account(std::string_view user, Mark mark, Instant now) {
    accounts_.mark(user, mark, now);
}

std::uint32_t Engine::next_offence(JailIndex jail, const Prefix& prefix, Instant from) {
    auto count = [&](JailIndex scope) {
        BanKey key{scope, prefix};
        auto found = offences_.find(key);
        if (found == offences_.end() && offences_.size() >= limits_.offences) {
            // Full: the history of somebody else goes. Which one hardly matters, and the map's
            // order is not one that an attacker chooses.
            changed_offences_.insert(offences_.begin()->first);
            offences_.erase(offences_.begin());
        }
        Offences& offences = offences_[key];
        if (offences.count > 0 && offences.last < from - limits_.offence_memory) offences.count = 0;
        ++offences.count;
        offences.last = from;
        changed_offences_.insert(key);
        return offences.count;
    };
    std::uint32_t over_all = count(any_jail);
    std::uint32_t here = count(jail);
    return rules_[jail].bantime.all_jails ? over_all : here;
}

std::optional<Offences> Engine::offences(JailIndex jail, const Prefix& prefix) const {
    auto found = offences_.find({jail, prefix});
    if (found == offences_.end()) return {};
    return found->second;
}

Duration Engine::bantime_of(const JailRules& rules, const Prefix& prefix, Instant from,
                            std::uint32_t offence) const {
    const BantimePolicy& policy = rules.bantime;
    if (policy.base == forever || !policy.increment) return policy.base;
    double seconds = std::chrono::duration<double>(policy.base).count();
    double most =
        policy.maximum == forever ? 1e12 : std::chrono::duration<double>(policy.maximum).count();
    seconds = std::min(seconds * std::pow(policy.factor, std::min(offence - 1, 64U)), most);
    // Random enough that many hosts are not let in at one moment, and the same in every replay.
    std::uint64_t hash =
        hash_of(prefix) ^ static_cast<std::uint64_t>(from.us) * 0x9e3779b97f4a7c15U;
    double share = static_cast<double>((hash ^ hash >> 32) & 0xffff) / 65536.0;
    seconds += share * std::chrono::duration<double>(policy.jitter).count();
    return std::chrono::seconds(std::llround(seconds));
}

void Engine::decide(Ban ban, Outcome& outcome) {
    if (bans_.size() >= limits_.bans) {
        ++refused_bans_;
        return;
    }
    if (rules_[ban.key.jail].simulate) ban.state = BanState::simulated;
    ++jails_[ban.key.jail].counts.bans;
    const Ban& put = bans_.put(std::move(ban));
    mark_changed(bans_.slot_of(put.key));
    push_deadline(put);
    outcome.events.emplace_back(Banned{put});
}

void Engine::end(const BanKey& key, Unbanned::Why why, Instant at, Outcome& outcome) {
    Ban* found = bans_.find(key);
    ++jails_[key.jail].counts.unbans;
    ended_bans_.push_back({*found, why, at});
    if (why == Unbanned::Why::expired) remember(ended_bans_.back());
    outcome.events.emplace_back(Unbanned{std::move(*found), why, at});
    bans_.erase(BanKey(key));
}

void Engine::remember(const Unbanned& ended) {
    if (recent_.size() >= most_remembered) return;
    recent_.insert_or_assign(ended.ban.key, ended);
    recent_order_.emplace_back(ended.at, ended.ban.key);
}

// A hit of a ban that is over by now, written before its end: counted to that ban.
bool Engine::was_banned(const BanKey& key, Instant at) {
    auto found = recent_.find(key);
    if (found == recent_.end()) return false;
    Unbanned& ended = found->second;
    if (at < ended.ban.from || at >= ended.ban.until) return false;
    ++ended.ban.hits;
    ended_bans_.push_back(ended);
    return true;
}

void Engine::on_time(Instant now, Outcome& outcome) {
    while (!recent_order_.empty() && recent_order_.front().first < now - lateness) {
        auto found = recent_.find(recent_order_.front().second);
        if (found != recent_.end() && found->second.at < now - lateness) recent_.erase(found);
        recent_order_.pop_front();
    }
    while (!deadlines_.empty() && deadlines_.front().at <= now) {
        std::ranges::pop_heap(deadlines_, std::greater{});
        Deadline due = deadlines_.back();
        deadlines_.pop_back();
        const Ban* found = bans_.at(due.slot);
        if (found != nullptr && found->until == due.at)
            end(BanKey(found->key), Unbanned::Why::expired, due.at, outcome);
    }
}

Result<> Engine::ban_by_hand(const BanOrder& order, Instant now, Outcome& outcome) {
    const JailRules& rules = rules_[order.jail];
    std::string what = "ban " + to_string(order.prefix);
    if (!order.even_if_ignored) {
        if (rules.ignoreip.overlaps(order.prefix))
            return fail(what, "ignoreip of jail \"" + rules.name + "\" holds it",
                        "use --force to ban it all the same");
        if (rules.ignoreself && own_addresses_.overlaps(order.prefix))
            return fail(what, "it is an address of this machine",
                        "use --force to ban it all the same");
    }
    if (bans_.size() >= limits_.bans) {
        ++refused_bans_;
        return fail(what, fmt::format("{} bans are active, which is the limit", limits_.bans),
                    "raise \"ban_limit\" in bandd.yaml");
    }
    auto story = std::make_shared<Story>();
    story->reason = order.reason.empty() ? "by hand" : "by hand: " + order.reason;
    Ban ban;
    ban.key = {order.jail, order.prefix};
    ban.from = now;
    ban.by_hand = true;
    ban.story = std::move(story);
    ban.offence = 1;
    ban.until = now + order.bantime.value_or(rules.bantime.base);
    jails_[order.jail].windows.erase(order.prefix);
    if (Ban* found = bans_.find(ban.key)) {
        found->until = ban.until;
        found->by_hand = true;
        found->story = ban.story;
        push_deadline(*found);
        mark_changed(bans_.slot_of(ban.key));
        outcome.events.emplace_back(Extended{*found});
        return {};
    }
    decide(std::move(ban), outcome);
    return {};
}

std::size_t Engine::unban(std::optional<JailIndex> jail, const Prefix& prefix, Instant now,
                          Outcome& outcome) {
    std::vector<BanKey> ending;
    auto add = [&](const BanKey& key) { ending.push_back(key); };
    for (std::size_t i = 0; i < jails_.size(); ++i)
        if (!jail || *jail == i) bans_.for_covering(static_cast<JailIndex>(i), prefix, add);
    // Those within a block have to be looked for.
    if (!prefix.is_single())
        for (const Ban& ban : bans_)
            if ((!jail || ban.key.jail == *jail) && ban.key.prefix.length > prefix.length &&
                contains(prefix, ban.key.prefix.network))
                add(ban.key);
    for (const BanKey& key : ending) end(key, Unbanned::Why::by_hand, now, outcome);
    // Pardoned is pardoned: the hits so far are forgotten, too.
    for (std::size_t i = 0; i < jails_.size(); ++i) {
        if (jail && *jail != i) continue;
        Prefix key =
            prefix.is_single() ? key_for(static_cast<JailIndex>(i), prefix.network) : prefix;
        jails_[i].windows.erase(key);
    }
    return ending.size();
}

std::size_t Engine::unban_all(std::optional<JailIndex> jail, Unbanned::Why why, Instant now,
                              Outcome& outcome) {
    std::vector<BanKey> ending;
    for (const Ban& ban : bans_)
        if (!jail || ban.key.jail == *jail) ending.push_back(ban.key);
    for (const BanKey& key : ending) end(key, why, now, outcome);
    return ending.size();
}

void Engine::set_state(const BanKey& key, BanState state) {
    if (Ban* found = bans_.find(key)) found->state = state;
}

Changes Engine::take_changes() {
    Changes changes;
    for (std::size_t i = 0; i < jails_.size(); ++i) {
        jails_[i].windows.take_changes([&](const Prefix& key, const WindowTable::View& view) {
            changes.windows.push_back({{static_cast<JailIndex>(i), key},
                                       {view.times.begin(), view.times.end()},
                                       {view.values.begin(), view.values.end()}});
        });
    }
    for (std::uint32_t slot : changed_slots_) {
        if (slot < is_changed_.size()) is_changed_[slot] = false;
        if (const Ban* found = std::as_const(bans_).at(slot)) changes.bans.push_back(*found);
    }
    changed_slots_.clear();
    changes.ended_bans = std::exchange(ended_bans_, {});
    for (std::size_t i = 0; i < jails_.size(); ++i)
        if (std::exchange(jails_[i].stored_counts, jails_[i].counts) != jails_[i].counts)
            changes.counts.emplace_back(static_cast<JailIndex>(i), jails_[i].counts);
    for (const BanKey& key : changed_offences_) {
        auto found = offences_.find(key);
        changes.offences.emplace_back(key, found == offences_.end() ? Offences{} : found->second);
    }
    changed_offences_.clear();
    auto take = [&](JailIndex jail, AccountTable& table) {
        table.take_changes([&](const std::string& user, const AccountUse* account) {
            changes.accounts.push_back(
                {jail, user, account == nullptr ? std::nullopt : std::optional(*account)});
        });
    };
    take(any_jail, accounts_);
    for (std::size_t i = 0; i < jails_.size(); ++i)
        take(static_cast<JailIndex>(i), jails_[i].attacked);
    return changes;
}

void Engine::restore_ban(Ban ban) {
    ban.state = rules_[ban.key.jail].simulate ? BanState::simulated : BanState::pending;
    push_deadline(bans_.put(std::move(ban)));
}

void Engine::restore_window(const WindowChange& window) {
    jails_[window.key.jail].windows.restore(window.key.prefix, window.times, window.values, true);
}

void Engine::restore_offences(const BanKey& key, const Offences& offences) {
    offences_.insert_or_assign(key, offences);
}

void Engine::restore_account(AccountChange account) {
    AccountTable& table = account.jail == any_jail ? accounts_ : jails_[account.jail].attacked;
    table.restore(std::move(*account.use));
}

void Engine::restore_counts(JailIndex jail, const JailCounts& counts) {
    jails_[jail].counts = jails_[jail].stored_counts = counts;
}

}  // namespace bandd
