// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/engine.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/count_of.h"
#include "core/base/hash.h"
#include "core/base/reserved.h"

namespace bandd {

namespace {

// An IPv4 host is ignored in whichever form it comes.
bool ignores_some_of(const JailRules& rules, const Prefix& prefix) {
    auto meant = untranslated(prefix);
    return rules.ignoreip.overlaps(prefix) || (meant && rules.ignoreip.overlaps(*meant));
}

}  // namespace

std::optional<JailIndex> Engine::find_jail(std::string_view name) const {
    auto jail = numbers_.find(name);
    if (!jail || !jails_[*jail].configured) return {};
    return jail;
}

bool Engine::is_own(JailIndex jail, const Address& address) const {
    return jails_[jail].rules.ignoreself && own_addresses_.contains(address);
}

bool Engine::is_ignored(JailIndex jail, const Address& address) const {
    const PrefixSet& ignored = jails_[jail].rules.ignoreip;
    return ignored.contains(address) ||
           (address.is_translated() && ignored.contains(untranslated(address)));
}

bool Engine::holds_exempt(JailIndex jail, const Prefix& prefix) const {
    const JailRules& rules = jails_[jail].rules;
    return ignores_some_of(rules, prefix) || (rules.ignoreself && own_addresses_.overlaps(prefix));
}

std::vector<const Ban*> Engine::bans_over(const Prefix& prefix) const {
    std::vector<const Ban*> over;
    for (int length = prefix.length; length >= 0; --length) {
        Prefix block = make_prefix(prefix.network, length);
        for (JailIndex jail : order_)
            if (const Ban* ban = bans().find({jail, block})) over.push_back(ban);
    }
    return over;
}

Prefix Engine::key_for(JailIndex jail, const Address& address) const {
    const JailRules& rules = jails_[jail].rules;
    // What is beside a translated address is another host, of whom this one knows nothing.
    int length = address.is_v4()           ? rules.v4_length
                 : address.is_translated() ? address.bits()
                                           : rules.v6_length;
    Prefix key = make_prefix(address, length);
    if (!key.is_single() && holds_exempt(jail, key)) key = make_prefix(address, address.bits());
    return key;
}

Result<> Engine::check_room(const std::vector<JailRules>& rules) const {
    auto is_new = [&](const JailRules& jail) { return !numbers_.find(jail.name); };
    auto wanted = static_cast<std::size_t>(std::ranges::count_if(rules, is_new));
    if (numbers_.names().size() + wanted <= JailNumbers::most) return {};
    return fail("the configuration cannot be loaded",
                fmt::format("more than {} jails have come and gone since bandd was started",
                            JailNumbers::most),
                "restart bandd");
}

void Engine::set_limits(const EngineLimits& limits) {
    memory_->set_limit(limits.windows_memory);
    ledger_.set_limits(limits.bans, limits.offence_memory);
}

void Engine::set_rules(std::vector<JailRules> rules, Instant now, Outcome& outcome) {
    // Else a vector would copy them, and AccountTable's lists point into itself.
    static_assert(std::is_nothrow_move_constructible_v<Jail>);
    std::vector<JailIndex> before = std::exchange(order_, {});
    for (JailRules& fresh : rules) {
        JailIndex number = numbers_.number_of(fresh.name);
        order_.push_back(number);
        if (number == jails_.size())
            jails_.emplace_back(fresh, memory_);
        else
            jails_[number].set_rules(std::move(fresh));
    }
    for (JailIndex jail : before) {
        if (std::ranges::find(order_, jail) != order_.end()) continue;
        unban_all(jail, Unbanned::Why::jail_gone, now, outcome);
        jails_[jail].configured = false;
    }
}

std::vector<Match> Engine::kept_lines(JailIndex jail, const Prefix& key) const {
    auto view = jails_[jail].windows.find(key);
    if (!view) return {};
    auto hits = static_cast<std::uint32_t>(view->times.size());
    return lines_.up_to(view->note, lines_.lines_of(view->note, hits).value_or(hits));
}

void Engine::on_hit(const Hit& hit, Instant arrival, Outcome& outcome) {
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
        std::uint16_t times = sessions_.count(whole, time);
        Counted counted{*whole.address, time,         arrival, whole.pattern->id,
                        whole.line,     whole.fields, times};
        for (JailIndex jail : jails) {
            if (times > 0)
                count_hit(jail, counted, outcome);
            else
                ignore(jail, *whole.address, time, Ignored::Why::same_attempt, outcome);
        }
    } else if (filter.looks_up_names && !whole.name.empty()) {
        Question question;
        question.name = whole.name;
        ask(std::move(question),
            {jails, time, arrival, whole.pattern->id,
             std::string(whole.line.substr(0, longest_kept_line)), whole.fields, whole.times},
            outcome);
    } else {
        ++hits_of_names_;
    }
}

void Engine::ask(Question question, WaitingHit hit, Outcome& outcome) {
    if (waiting_.add(question, std::move(hit))) outcome.questions.push_back(std::move(question));
}

void Engine::ask_if_exempt(JailIndex jail, const Counted& hit, Instant at, Outcome& outcome) {
    Question question;
    question.kind = Question::Kind::exempt;
    question.jail = jail;
    question.address = hit.address;
    ask(std::move(question), waiting(jail, hit, at), outcome);
}

WaitingHit Engine::waiting(JailIndex jail, const Counted& hit, Instant at) {
    return {{jail},
            at,
            hit.arrival,
            std::string(hit.pattern),
            std::string(hit.line.substr(0, longest_kept_line)),
            hit.fields,
            hit.times};
}

void Engine::on_answer(const Answer& answer, Instant now, Outcome& outcome) {
    const Question& question = answer.question;
    auto count = [&](JailIndex jail, const Counted& hit) {
        if (jails_[jail].configured) count_hit(jail, hit, outcome);
    };
    for (const WaitingHit& hit : waiting_.take(question)) {
        Counted counted{question.address, hit.time, std::min(hit.arrival, now),
                        hit.pattern,      hit.line, hit.fields,
                        hit.times};
        if (question.kind == Question::Kind::exempt) {
            if (answer.exempt) {
                ignore(question.jail, question.address, hit.time, Ignored::Why::exempt, outcome);
                continue;
            }
            counted.answered = true;
            counted.exempt = answer.addresses;
            count(question.jail, counted);
            continue;
        }
        if (question.kind == Question::Kind::hostname) {
            Fields fields = hit.fields;
            fields.add("hostname", answer.hostname.empty() ? "unknown" : answer.hostname);
            Counted named{question.address, hit.time, counted.arrival, hit.pattern,
                          hit.line,         fields,   hit.times};
            for (JailIndex jail : hit.jails) count(jail, named);
            continue;
        }
        if (answer.addresses.empty()) ++hits_of_names_;
        for (const Address& address : answer.addresses) {
            counted.address = address;
            for (JailIndex jail : hit.jails) count(jail, counted);
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
        if (bans().fetch({jail, prefix})) continue;
        jails_[jail].windows.fetch(prefix);
        jails_[jail].escalation.fetch(prefix);
    }
}

void Engine::on_hits(const Hits& hits, Instant now, Outcome& outcome, LogTime* backlog) {
    auto arrival_of = [&](const auto& one) {
        return backlog == nullptr ? now : backlog->arrival_of(one, now);
    };
    auto line = hits.lines().begin();
    auto join_lines_before = [&](std::size_t hit) {
        for (; line != hits.lines().end() && line->hits_before <= hit; ++line)
            on_line(*line, arrival_of(*line), outcome);
    };
    for (std::size_t i = 0; i < hits.size(); ++i) {
        join_lines_before(i);
        look_ahead(hits, i);
        on_hit(hits[i], arrival_of(hits[i]), outcome);
    }
    join_lines_before(hits.size());
}

void Engine::on_line(const LineToJoin& line, Instant arrival, Outcome& outcome) {
    joined_.clear();
    conversations_.join(line, joined_);
    for (const Hit& one : joined_) on_hit(one, arrival, outcome);
}

void Engine::on_weighed_hit(JailIndex jail, const Weighed& hit, Outcome& outcome) {
    const Fields none;
    Counted counted{hit.address, hit.time, hit.time, {}, {}, none};
    counted.weighed = &hit;
    count_hit(jail, counted, outcome);
}

// A line from the future counts as now.
Instant Engine::counted_time(const Counted& hit) {
    return hit.time <= hit.arrival + future_tolerance ? hit.time : hit.arrival;
}

void Engine::ignore(JailIndex jail, const Address& address, Instant at, Ignored::Why why,
                    Outcome& outcome) {
    jails_[jail].count_ignored(why);
    outcome.events.emplace_back(Ignored{jail, address, at, why});
}

void Engine::set_recall(Recall recall) {
    recall_ = std::move(recall);
    if (!recall_) ledger_.expect_no_more();
}

void Engine::recall(JailIndex index, const Address& address, Instant now, Outcome& outcome) {
    if (!recall_) return;
    auto recall_one = [&](const Prefix& prefix) {
        BanKey key{index, prefix};
        recall_(key);
        std::uint32_t slot = bans().slot_of(key);
        lift_exempt({&slot, 1}, now, outcome);
    };
    Prefix key = key_for(index, address);
    recall_one(key);
    jails_[index].escalation.for_wider(
        key, [&](const Prefix& wider, std::uint32_t) { recall_one(wider); });
}

void Engine::count_hit(JailIndex index, const Counted& hit, Outcome& outcome) {
    const Jail& jail = jails_[index];
    const JailRules& rules = jail.rules;
    const Address& address = hit.address;
    Instant at = counted_time(hit);
    auto no = [&](Ignored::Why why) { ignore(index, address, at, why, outcome); };
    if (is_own(index, address)) return no(Ignored::Why::own_address);
    if (is_ignored(index, address)) return no(Ignored::Why::ignoreip);
    if (at < jail.window_start(hit.arrival)) return no(Ignored::Why::too_old);
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
        if (holds != Truth::yes) return no(Ignored::Why::where);
    }
    recall(index, address, hit.arrival, outcome);
    if (rules.logins) return count_login(index, hit, at, outcome);
    if (rules.distinct && rules.distinct->by_user) return count_by_user(index, hit, at, outcome);
    count_by_address(index, hit, at, subject, outcome);
}

void Engine::count_by_address(JailIndex index, const Counted& hit, Instant at,
                              const Subject& subject, Outcome& outcome) {
    Jail& jail = jails_[index];
    const JailRules& rules = jail.rules;
    const Address& address = hit.address;
    std::uint64_t value = hit.weighed != nullptr ? hit.weighed->value : 0;
    std::optional<std::string> counted;
    if (rules.distinct && hit.weighed == nullptr) {
        counted = jail.distinct_value(subject);
        if (!counted) return ignore(index, address, at, Ignored::Why::nothing_to_count, outcome);
        value = hash64(*counted);
    }
    std::uint32_t weight =
        hit.weighed != nullptr ? hit.weighed->weight : jail.weight_of(hit.pattern, hit.times);
    Prefix prefix = key_for(index, address);
    if (rules.asks && !hit.answered && !is_banned(index, prefix, at)) {
        Instant start = jail.window_start(at);
        if (jail.windows.would_fill(prefix, at, start, value, weight) ||
            jail.escalation.would_reach(prefix, at, start))
            return ask_if_exempt(index, hit, at, outcome);
    }
    ++jail.counts.hits;
    if (rules.tells_hits)
        outcome.told.push_back({index, address, at, weight, std::move(counted).value_or("")});
    if (count_to_ban(index, prefix, at, hit, outcome)) return;
    bool escalates = jail.escalation.escalates(prefix);
    if (escalates && count_to_wider_ban(index, prefix, at, hit, outcome)) return;

    jail.windows.expire(std::max(at, hit.arrival) - rules.findtime);
    if (rules.today) jail.windows.forget_before(prefix, jail.window_start(at));
    std::uint64_t previous = 0;
    if (auto view = jail.windows.find(prefix)) previous = view->note;
    std::uint64_t note = lines_.add(at, hit.pattern, hit.line, previous, weight);
    auto added = jail.windows.add(prefix, at, note, value, weight);
    outcome.events.emplace_back(Found{index, address, std::string(hit.pattern), at, added.hits});
    if (added.full) ban_for_hits(index, prefix, hit, note, added.hits, subject, outcome);
    if (escalates) escalate(index, prefix, hit, at, note, outcome);
    make_room();
}

// The table with most keys gives way, so that a flood pushes out none that another jail counts.
void Engine::make_room() {
    if (memory_->used() <= memory_->limit()) return;
    WindowTable* largest = nullptr;
    auto look = [&](WindowTable& table) {
        if (largest == nullptr || table.size() > largest->size()) largest = &table;
    };
    for (Jail& jail : jails_) {
        look(jail.windows);
        jail.escalation.for_each_table(look);
    }
    // Some more than needed, so that not each hit has to look.
    std::size_t enough = memory_->limit() - memory_->limit() / 1024;
    for (std::size_t gone = 0; gone < most_evictions && memory_->used() > enough; ++gone)
        if (largest->evict()) ++evicted_for_memory_;
}

// With weights, and lines that stand for several, it is not the lines that were counted. Lines from
// before the last start are not there any more.
std::string Engine::reason_of(JailIndex index, const Counted& hit, std::uint32_t failures,
                              std::optional<std::uint32_t> lines) const {
    std::string reason(hit.pattern);
    if (jails_[index].rules.weights.empty() && lines.value_or(failures) == failures) return reason;
    reason += ": " + count_of(failures, "failure");
    if (lines) reason += " by " + count_of(*lines, "line");
    return reason;
}

// Of a key that came to maxretry.
void Engine::ban_for_hits(JailIndex index, const Prefix& prefix, const Counted& hit,
                          std::uint64_t note, std::uint32_t hits, const Subject& subject,
                          Outcome& outcome) {
    const JailRules& rules = jails_[index].rules;
    auto story = std::make_shared<Story>();
    auto lines = lines_.lines_of(note, hits);
    story->reason = reason_of(index, hit, hits, lines);
    story->matches = lines_.up_to(note, std::min(rules.maxmatches, lines.value_or(hits)));
    story->fields = hit.fields;
    if (rules.where)
        for (const auto& [name, fact] : rules.where->used_facts(subject))
            story->fields.add(name, fact);
    ban_for(index, prefix, hit.address, hit, hits, std::move(story), outcome);
}

// A hit during a ban restarts its time, if the jail says so.
std::optional<Instant> Engine::extended_until(const Ban& ban, Instant at) const {
    const BantimePolicy& policy = jails_[ban.key.jail].rules.bantime;
    if (!policy.extend || ban.by_hand || ban.until == never) return {};
    Instant until = at + bantime_of(policy, ban.key.prefix, ban.from, ban.offence);
    return until > ban.until ? std::optional(until) : std::nullopt;
}

// Whether a hit is one of an address that is banned, or was when the line was written.
bool Engine::count_to_ban(JailIndex index, const Prefix& prefix, Instant at, const Counted& hit,
                          Outcome& outcome) {
    BanKey key{index, prefix};
    std::uint32_t slot = bans().slot_of(key);
    const Ban* ban = bans().at(slot);
    if (ban != nullptr && ban->until <= at) {
        end(key, Unbanned::Why::expired, ban->until, outcome);
        ban = nullptr;
    }
    if (ban == nullptr) return count_to_late_ban(key, at, hit, outcome);
    ledger_.count_hit(slot);
    if (auto until = extended_until(*ban, at)) {
        ++jails_[index].counts.already_banned;
        ledger_.extend(slot, *until);
        ledger_.set_offence_end(key, *until);
        outcome.events.emplace_back(Extended{*ban});
    } else {
        ignore(index, hit.address, at, Ignored::Why::already_banned, outcome);
    }
    return true;
}

// The same of a ban that has ended since. If its end would have been later, had the line been read
// at once, the ban begins again: as it was, and not as one more offence.
bool Engine::count_to_late_ban(const BanKey& key, Instant at, const Counted& hit,
                               Outcome& outcome) {
    const Ban* late = ledger_.count_late_hit(key, at);
    if (late == nullptr) return false;
    auto until = extended_until(*late, at);
    if (!until) {
        ignore(key.jail, hit.address, at, Ignored::Why::already_banned, outcome);
        return true;
    }
    ++jails_[key.jail].counts.already_banned;
    // A block may hold an address that is exempt since.
    if (*until <= hit.arrival || holds_exempt(key.jail, key.prefix))
        ledger_.extend_ended(key, std::min(*until, hit.arrival));
    else if (const Ban* again = ledger_.begin_again(key, *until))
        outcome.events.emplace_back(Banned{*again});
    return true;
}

void Engine::ban_for(JailIndex index, const Prefix& prefix, const Address& address,
                     const Counted& hit, std::uint32_t hits, std::shared_ptr<const Story> story,
                     Outcome& outcome) {
    const JailRules& rules = jails_[index].rules;
    Instant at = counted_time(hit);
    Ban ban;
    ban.key = {index, prefix};
    ban.from = at;
    ban.hits = hits;
    ban.story = std::move(story);
    ban.offence = ledger_.count_offence(index, prefix, at, rules.bantime.all_jails);
    ban.until = at + bantime_of(rules.bantime, prefix, at, ban.offence);
    ledger_.set_offence_end(ban.key, ban.until);
    begin(std::move(ban), outcome);
    feed_with_ban({index, prefix}, {address, at, hit.arrival, rules.name, {}, hit.fields}, outcome);
}

// Jails that count bans.
void Engine::feed_with_ban(const BanKey& ban, Counted hit, Outcome& outcome) {
    const JailRules& rules = jails_[ban.jail].rules;
    if (rules.fed_by_bans) return;
    std::string why = fmt::format("ban of {} in jail {}", to_string(ban.prefix), rules.name);
    hit.line = why;
    for (JailIndex jail : order_)
        if (jails_[jail].rules.fed_by_bans) count_hit(jail, hit, outcome);
}

void Engine::begin(Ban ban, Outcome& outcome) {
    Jail& jail = jails_[ban.key.jail];
    if (jail.rules.simulate) ban.state = BanState::simulated;
    const Ban* begun = ledger_.begin(std::move(ban));
    if (begun == nullptr) return;
    ++jail.counts.bans;
    outcome.events.emplace_back(Banned{*begun});
}

void Engine::end(const BanKey& key, Unbanned::Why why, Instant at, Outcome& outcome) {
    tell_end(ledger_.end(key, why, at), outcome);
}

void Engine::tell_end(Unbanned ended, Outcome& outcome) {
    ++jails_[ended.ban.key.jail].counts.unbans;
    outcome.events.emplace_back(std::move(ended));
}

void Engine::on_time(Instant now, Outcome& outcome, Instant read_until) {
    ledger_.forget_ended(std::min(now, read_until));
    for (std::size_t told = 0; told < most_ended; ++told) {
        auto ended = ledger_.end_next(now);
        if (!ended) return;
        tell_end(std::move(*ended), outcome);
    }
}

Result<> Engine::check_ban(const BanOrder& order) const {
    const JailRules& rules = jails_[order.jail].rules;
    std::string what = "ban " + to_string(order.prefix);
    if (!order.even_if_ignored) {
        if (ignores_some_of(rules, order.prefix))
            return fail(what, "ignoreip of jail \"" + rules.name + "\" holds it",
                        "use --force to ban it all the same");
        if (rules.ignoreself && own_addresses_.overlaps(order.prefix))
            return fail(what, "it is an address of this machine",
                        "use --force to ban it all the same");
    }
    if (ledger_.full() && bans().find({order.jail, order.prefix}) == nullptr)
        return fail(what,
                    fmt::format("{} bans are active, which is the limit", ledger_.limits().bans),
                    "raise \"ban_limit\" in bandd.yaml");
    return {};
}

Result<> Engine::ban_by_hand(const BanOrder& order, Instant now, Outcome& outcome) {
    if (auto good = check_ban(order); !good) {
        if (ledger_.full()) ledger_.count_refused();
        return good;
    }
    const JailRules& rules = jails_[order.jail].rules;
    Ban ban;
    ban.key = {order.jail, order.prefix};
    ban.from = now;
    ban.by_hand = true;
    ban.even_if_ignored = order.even_if_ignored;
    std::string reason = order.reason.empty() ? "by hand" : "by hand: " + order.reason;
    if (order.past) {
        ban.from = std::min(order.past->from, now);
        ban.offence = order.past->offence;
        ban.hits = order.past->hits;
        ban.by_hand = order.past->by_hand;
        reason = order.reason;
    }
    ban.story = ledger_.story_of_reason(reason);
    ban.until = now + order.bantime.value_or(rules.bantime.base);
    jails_[order.jail].windows.erase(order.prefix);
    // The next one is a further one.
    if (order.past && !ban.by_hand) ledger_.raise_offences(ban.key, ban.offence, ban.until);
    if (std::uint32_t slot = bans().slot_of(ban.key); slot != BanTable::none) {
        ledger_.take_over(slot, ban);
        outcome.events.emplace_back(Extended{*bans().at(slot)});
        return {};
    }
    begin(std::move(ban), outcome);
    return {};
}

Engine::Heritage Engine::inherit(const Inherited& past, Instant now, Outcome& outcome) {
    Jail& jail = jails_[past.jail];
    const JailRules& rules = jail.rules;
    Duration bantime = past.bantime.value_or(rules.bantime.base);
    Ban ban;
    ban.key.jail = past.jail;
    ban.key.prefix =
        past.prefix.is_single() ? key_for(past.jail, past.prefix.network) : past.prefix;
    ban.from = past.from;
    ban.until = past.from + bantime;
    ban.offence = past.offence;
    ban.hits = past.hits;
    ban.story = past.story;
    Instant remembered = past.from;
    for (std::uint32_t i = 0; i < past.remembered_times; ++i) remembered = remembered + bantime;
    if (ignores_some_of(rules, ban.key.prefix) ||
        (rules.ignoreself && own_addresses_.overlaps(ban.key.prefix)))
        return Heritage::exempt;
    const Ban* there = bans().find(ban.key);
    bool lives = !past.ended && ban.until > now;
    if (lives && there == nullptr && ledger_.full()) {
        ledger_.count_refused();
        return Heritage::no_room;
    }
    auto before = ledger_.offences(ban.key);
    bool fresh = ledger_.raise_offences(ban.key, past.offence, remembered);
    // One that was inherited before, would go on, and is not there: it was lifted here.
    bool was_lifted = there == nullptr && before && before->last == remembered;
    if (!fresh && (!lives || was_lifted || (there != nullptr && there->until >= ban.until)))
        return Heritage::known;
    // What led to it is done with; of one that counts bans, too.
    jail.windows.erase(ban.key.prefix);
    if (!lives) {
        Instant end = std::max(ban.from, std::min(ban.until, now));
        bool lifted = ban.until > now;
        ledger_.put_past({ban, lifted ? Unbanned::Why::by_hand : Unbanned::Why::expired, end});
    } else if (there == nullptr) {
        begin(ban, outcome);
    } else if (there->until < ban.until) {
        ledger_.extend(bans().slot_of(ban.key), ban.until);
        outcome.events.emplace_back(Extended{*there});
    }
    // A block has no address that could be counted.
    if (fresh && past.prefix.is_single())
        feed_with_ban(ban.key, {past.prefix.network, past.from, past.from, rules.name, {}, {}},
                      outcome);
    if (!lives) return Heritage::over;
    return there != nullptr ? Heritage::shared : Heritage::banned;
}

Engine::Adoption Engine::adopt(const Adopted& told, Outcome& outcome) {
    Jail& jail = jails_[told.key.jail];
    const Ban* there = bans().find(told.key);
    bool holds_all_the_same = there != nullptr && there->even_if_ignored;
    if (!holds_all_the_same && holds_exempt(told.key.jail, told.key.prefix))
        return Adoption::exempt;
    Ban ban;
    ban.key = told.key;
    ban.from = told.from;
    ban.until = told.until;
    ban.offence = told.offence;
    ban.hits = told.hits;
    ban.decider = Decider::fleet;
    if (there == nullptr) {
        if (ledger_.full()) {
            ledger_.count_refused();
            return Adoption::no_room;
        }
        ban.story = ledger_.story_of_reason(told.reason);
        ledger_.raise_offences(told.key, told.offence, told.until);
        jail.windows.erase(told.key.prefix);
        begin(std::move(ban), outcome);
        return Adoption::begun;
    }
    if (there->until == told.until && there->offence == told.offence) return Adoption::same;
    ledger_.raise_offences(told.key, told.offence, told.until);
    ledger_.adopt(bans().slot_of(told.key), ban);
    outcome.events.emplace_back(Extended{*bans().find(told.key)});
    return Adoption::changed;
}

bool Engine::drop(const BanKey& key, Instant now, Outcome& outcome) {
    if (bans().find(key) == nullptr) return false;
    end(key, Unbanned::Why::fleet, now, outcome);
    return true;
}

std::size_t Engine::unban(std::optional<JailIndex> jail, const Prefix& prefix, Instant now,
                          Outcome& outcome, Wider wider) {
    std::size_t ended = unban_over(jail, prefix, now, outcome, wider);
    if (prefix.is_single()) return ended;
    std::size_t before = outcome.events.size();
    std::uint32_t slot = 0;
    while (unban_some({jail, prefix}, slot, now, outcome)) {
    }
    return ended + outcome.events.size() - before;
}

std::size_t Engine::unban_over(std::optional<JailIndex> jail, const Prefix& prefix, Instant now,
                               Outcome& outcome, Wider wider) {
    std::vector<BanKey> ending;
    for (JailIndex one : order_) {
        if (jail && *jail != one) continue;
        Prefix own = prefix.is_single() ? key_for(one, prefix.network) : prefix;
        bans().for_covering(one, prefix, [&](const BanKey& key) {
            if (wider == Wider::covering || key.prefix.length >= own.length) ending.push_back(key);
        });
    }
    for (const BanKey& key : ending) end(key, Unbanned::Why::by_hand, now, outcome);
    // Pardoned is pardoned: the hits so far are forgotten, too.
    for (JailIndex one : order_) {
        if (jail && *jail != one) continue;
        jails_[one].windows.erase(prefix.is_single() ? key_for(one, prefix.network) : prefix);
        jails_[one].escalation.forget(prefix);
    }
    return ending.size();
}

std::size_t Engine::unban_all(std::optional<JailIndex> jail, Unbanned::Why why, Instant now,
                              Outcome& outcome) {
    std::vector<BanKey> ending;
    for (const Ban& ban : bans())
        if (!jail || ban.key.jail == *jail) ending.push_back(ban.key);
    for (const BanKey& key : ending) end(key, why, now, outcome);
    return ending.size();
}

bool Engine::unban_some(const Lifting& lifting, std::uint32_t& slot, Instant now,
                        Outcome& outcome) {
    constexpr int most_lifted = 32;
    constexpr int most_slots = 4096;
    auto is_meant = [&](const BanKey& key) {
        if (lifting.jail && key.jail != *lifting.jail) return false;
        const auto& block = lifting.inside;
        return !block ||
               (key.prefix.length > block->length && contains(*block, key.prefix.network));
    };
    for (int lifted = 0, looked = 0; lifted < most_lifted && looked < most_slots; ++looked) {
        if (slot >= bans().slots()) return false;
        const Ban* ban = bans().at(slot++);
        if (ban == nullptr || !is_meant(ban->key)) continue;
        end(BanKey(ban->key), lifting.why, now, outcome);
        ++lifted;
    }
    return true;
}

std::size_t Engine::lift_exempt(Instant now, Outcome& outcome) {
    std::vector<BanKey> ending;
    for (const Ban& ban : bans())
        if (!ban.even_if_ignored && holds_exempt(ban.key.jail, ban.key.prefix))
            ending.push_back(ban.key);
    for (const BanKey& key : ending) end(key, Unbanned::Why::ignored, now, outcome);
    return ending.size();
}

std::size_t Engine::lift_exempt(std::span<const std::uint32_t> slots, Instant now,
                                Outcome& outcome) {
    std::size_t lifted = 0;
    for (std::uint32_t slot : slots) {
        const Ban* ban = bans().at(slot);
        if (ban == nullptr || ban->even_if_ignored || !holds_exempt(ban->key.jail, ban->key.prefix))
            continue;
        end(BanKey(ban->key), Unbanned::Why::ignored, now, outcome);
        ++lifted;
    }
    return lifted;
}

std::size_t Engine::waiting_changes() const {
    std::size_t waiting = ledger_.waiting_changes() + accounts_.waiting_changes();
    for (const Jail& jail : jails_)
        waiting += jail.windows.waiting_changes() + jail.escalation.waiting_changes() +
                   jail.attacked.waiting_changes();
    return waiting;
}

Changes Engine::take_changes(std::size_t most) {
    Changes changes;
    for (std::size_t i = 0; i < jails_.size(); ++i) {
        auto take = [&](const Prefix& key, const WindowTable::View& view) {
            changes.windows.push_back({{static_cast<JailIndex>(i), key},
                                       {view.times.begin(), view.times.end()},
                                       {view.values.begin(), view.values.end()}});
        };
        jails_[i].windows.take_changes(take, most);
        jails_[i].escalation.take_changes(take, most);
    }
    ledger_.take_changes(changes, most);
    for (std::size_t i = 0; i < jails_.size(); ++i)
        if (std::exchange(jails_[i].stored_counts, jails_[i].counts) != jails_[i].counts)
            changes.counts.emplace_back(static_cast<JailIndex>(i), jails_[i].counts);
    auto take = [&](JailIndex jail, AccountTable& table) {
        auto put = [&](const std::string& user, const AccountUse* account) {
            changes.accounts.push_back(
                {jail, user, account == nullptr ? std::nullopt : std::optional(*account)});
        };
        table.take_changes(put, most);
    };
    take(any_jail, accounts_);
    for (std::size_t i = 0; i < jails_.size(); ++i)
        take(static_cast<JailIndex>(i), jails_[i].attacked);
    return changes;
}

// What may be told in the story of a wider ban stays in memory.
bool Engine::forget_details(std::size_t most, std::span<const JailIndex> but) {
    return ledger_.forget_details(most, [&](const Ban& ban) {
        return std::ranges::find(but, ban.key.jail) == but.end() &&
               !jails_[ban.key.jail].escalation.escalates(ban.key.prefix);
    });
}

void Engine::mark_all_changed() {
    for (Jail& jail : jails_) {
        jail.windows.mark_all_changed();
        jail.escalation.mark_all_changed();
        jail.attacked.mark_all_changed();
        jail.stored_counts = {};
    }
    ledger_.mark_all_changed();
    accounts_.mark_all_changed();
}

std::uint32_t Engine::restore_ban(Ban ban) {
    ban.state = jails_[ban.key.jail].rules.simulate ? BanState::simulated : BanState::pending;
    return ledger_.restore(std::move(ban));
}

void Engine::restore_window(const WindowChange& window) {
    Jail& jail = jails_[window.key.jail];
    if (!jail.escalation.restore(window.key.prefix, window.times, window.values))
        jail.windows.restore(window.key.prefix, window.times, window.values, true);
    make_room();
}

void Engine::restore_account(AccountChange account) {
    AccountTable& table = account.jail == any_jail ? accounts_ : jails_[account.jail].attacked;
    table.restore(std::move(*account.use));
}

void Engine::restore_counts(JailIndex jail, const JailCounts& counts) {
    jails_[jail].counts = jails_[jail].stored_counts = counts;
}

}  // namespace bandd
