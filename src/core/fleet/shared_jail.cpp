// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/fleet/shared_jail.h"

#include <algorithm>

#include "core/base/dump.h"
#include "core/decide/engine.h"
#include "core/fleet/stamp.h"

namespace bandd {
namespace {

// A group of so many hits is settled before it is due, each time that an eighth of it may go:
// settling reads the whole group, so it must not come with each hit.
constexpr std::size_t many_hits = 256;
constexpr std::size_t worth_settling = 8;

// When one group has no room, so many that are due soon are looked at.
constexpr std::size_t most_looks = 1000;

JailRules deciding_part(JailRules rules) {
    rules.ignoreip = {};
    rules.ignoreself = false;
    rules.where.reset();
    rules.weights.clear();
    rules.asks = rules.asks_program = rules.reverse_lookup = false;
    rules.simulate = rules.fed_by_bans = rules.fed_by_access = rules.tells_hits = false;
    rules.maxmatches = 0;
    // Of other jails nothing is known here.
    rules.bantime.all_jails = false;
    return rules;
}

// The failures without which nothing is banned.
std::uint64_t fewest_failures(const JailRules& rules) {
    std::uint64_t fewest = rules.maxretry;
    Escalation escalation(rules);
    escalation.for_wider(make_prefix(Address{}, rules.v6_length),
                         [&](const Prefix&, std::uint32_t needed) {
                             fewest = std::min<std::uint64_t>(fewest, needed);
                         });
    return fewest;
}

// The widest prefix that is banned as one.
int widest_v6(const JailRules& rules) {
    int widest = rules.v6_length;
    Escalation escalation(rules);
    escalation.for_wider(
        make_prefix(Address{}, rules.v6_length),
        [&](const Prefix& wider, std::uint32_t) { widest = std::min<int>(widest, wider.length); });
    return widest;
}

bool is_within(const Prefix& outer, const Prefix& inner) {
    return outer.length <= inner.length && outer.is_v4() == inner.is_v4() &&
           contains(outer, inner.network);
}

// Reads a group's hits and pardons one after the other.
class Reading {
  public:
    Reading(const JailRules& rules, const Settled& settled)
        : engine_({.bans = SIZE_MAX, .offences = 1'000'000, .kept_lines = 1}),
          findtime_(rules.findtime),
          bans_(settled.bans) {
        for (const SharedHit& hit : settled.last) recent_.push_back(&hit);
        engine_.set_rules({rules}, {}, outcome_);
        for (const Ban& ban : settled.memory.bans) engine_.restore_ban(ban);
        for (const WindowChange& window : settled.memory.windows) engine_.restore_window(window);
        for (const auto& [key, offences] : settled.memory.offences)
            engine_.restore_offences(key, offences);
    }

    void read(const SharedHit& hit) {
        engine_.on_time(hit.time, outcome_);
        note_events();
        recent_.push_back(&hit);
        engine_.on_weighed_hit(0, {hit.address, hit.time, hit.weight, hit.value}, outcome_);
        note_events();
    }
    void read(const Pardon& pardon) {
        engine_.on_time(pardon.at, outcome_);
        // A block forgets what is counted of it as a whole, and not what of each address in it.
        for (const SharedHit* hit : recent_)
            if (contains(pardon.prefix, hit->address))
                engine_.unban(0, make_prefix(hit->address, hit->address.bits()), pardon.at,
                              outcome_, Engine::Wider::stay);
        engine_.unban(0, pardon.prefix, pardon.at, outcome_);
        std::erase_if(recent_,
                      [&](const SharedHit* hit) { return contains(pardon.prefix, hit->address); });
        note_events();
    }
    std::vector<SharedBan> bans() {
        for (const Ban& ban : engine_.bans())
            if (SharedBan* known = find(ban.key.prefix, ban.from)) known->hits = ban.hits;
        return bans_;
    }
    // What is worth knowing at `at`.
    Settled settled(Instant at) {
        engine_.on_time(at, outcome_);
        note_events();
        engine_.mark_all_changed();
        Changes all = engine_.take_changes();
        Settled then;
        then.at = at;
        then.memory.bans = std::move(all.bans);
        Instant since = at - findtime_;
        for (WindowChange& window : all.windows)
            if (!window.times.empty() && window.times.back() >= since)
                then.memory.windows.push_back(std::move(window));
        for (auto& [key, offences] : all.offences)
            if (key.jail != any_jail && offences.last + LedgerLimits{}.offence_memory >= at)
                then.memory.offences.emplace_back(key, offences);
        for (const SharedBan& ban : bans())
            if (ban.until > since) then.bans.push_back(ban);
        for (const SharedHit* hit : recent_)
            if (hit->time >= since) then.last.push_back(*hit);
        return then;
    }

  private:
    SharedBan* find(const Prefix& prefix, Instant from) {
        auto found = std::ranges::find_if(
            bans_, [&](const SharedBan& ban) { return ban.prefix == prefix && ban.from == from; });
        return found == bans_.end() ? nullptr : &*found;
    }
    void note_events() {
        for (const Event& event : outcome_.events) {
            if (const auto* banned = std::get_if<Banned>(&event))
                begin(banned->ban);
            else if (const auto* extended = std::get_if<Extended>(&event))
                change(extended->ban, extended->ban.until);
            else if (const auto* ended = std::get_if<Unbanned>(&event))
                change(ended->ban, std::min(ended->ban.until, ended->at));
        }
        outcome_.events.clear();
    }
    void begin(const Ban& ban) {
        bans_.push_back(
            {ban.key.prefix, ban.from, ban.until, ban.offence, ban.hits, nodes_of(ban)});
    }
    void change(const Ban& ban, Instant until) {
        SharedBan* known = find(ban.key.prefix, ban.from);
        if (known == nullptr) return;
        known->until = until;
        known->hits = ban.hits;
    }
    // Who has read a hit that led to it: one within findtime, and after the prefix' ban before.
    std::vector<NodeIndex> nodes_of(const Ban& ban) const {
        Instant since = ban.from - findtime_;
        for (const SharedBan& before : bans_)
            if (before.prefix == ban.key.prefix) since = std::max(since, before.until);
        std::vector<NodeIndex> nodes;
        for (auto hit = recent_.rbegin(); hit != recent_.rend() && (*hit)->time >= since; ++hit)
            if (contains(ban.key.prefix, (*hit)->address)) nodes.push_back((*hit)->node);
        std::ranges::sort(nodes);
        auto doubles = std::ranges::unique(nodes);
        nodes.erase(doubles.begin(), doubles.end());
        return nodes;
    }

    Engine engine_;
    Outcome outcome_;
    Duration findtime_;
    std::vector<SharedBan> bans_;
    std::vector<const SharedHit*> recent_;
};

void read_all(Reading& reading, Instant since, std::span<const SharedHit> hits,
              std::span<const Pardon> pardons) {
    auto pardon = std::ranges::lower_bound(pardons, since, {}, &Pardon::at);
    for (const SharedHit& hit : hits) {
        for (; pardon != pardons.end() && pardon->at <= hit.time; ++pardon) reading.read(*pardon);
        reading.read(hit);
    }
    for (; pardon != pardons.end(); ++pardon) reading.read(*pardon);
}

}  // namespace

std::vector<SharedBan> decide_group(const JailRules& rules, const Settled& settled,
                                    std::span<const SharedHit> hits,
                                    std::span<const Pardon> pardons) {
    Reading reading(rules, settled);
    read_all(reading, settled.at, hits, pardons);
    return reading.bans();
}

Settled settle_group(const JailRules& rules, const Settled& settled,
                     std::span<const SharedHit> hits, std::span<const Pardon> pardons, Instant at) {
    Reading reading(rules, settled);
    auto end = std::ranges::lower_bound(pardons, at, {}, &Pardon::at);
    read_all(reading, settled.at, hits, {pardons.begin(), end});
    return reading.settled(at);
}

SharedJail::SharedJail(JailRules rules, Duration lateness)
    : SharedJail(std::move(rules), lateness, Limits{}) {}

SharedJail::SharedJail(JailRules rules, Duration lateness, Limits limits)
    : rules_(deciding_part(std::move(rules))),
      lateness_(lateness),
      limits_(limits),
      fewest_(fewest_failures(rules_)),
      v6_group_(widest_v6(rules_)) {}

// What is beside a translated address is another host, as for the engine.
Prefix SharedJail::group_of(const Address& address) const {
    if (address.is_v4()) return make_prefix(address, rules_.v4_length);
    return make_prefix(address, address.is_translated() ? address.bits() : v6_group_);
}

SharedJail::Taken SharedJail::add(const SharedHit& hit, Instant now) {
    if (hit.time < now - lateness_) return Taken::too_late;
    if (hit.time > now + most_ahead) return Taken::ahead;
    if (hits_ >= limits_.hits && !make_room()) return Taken::no_room;
    Prefix name = group_of(hit.address);
    Group& group = groups_[name];
    if (group.hits.size() >= many_hits &&
        may_go(group, now - lateness_) * worth_settling >= group.hits.size())
        settle(name, now);
    if (group.hits.size() >= limits_.hits_of_group) return Taken::no_room;
    auto at = std::lower_bound(group.hits.begin(), group.hits.end(), hit);
    if (at != group.hits.end() && at->order() == hit.order()) return Taken::known;
    bool last = at == group.hits.end();
    group.hits.insert(at, hit);
    changed_.insert(name);
    group.weight += hit.weight;
    ++hits_;
    bool can_ban = group.decided || group.weight >= fewest_;
    if (can_ban && !(last && !group.undecided && only_lengthens(group, hit)))
        decide_later(name, group);
    plan(name, group);
    return Taken::counted;
}

// Most hits of who is banned come in their order, during the ban, and change nothing else.
bool SharedJail::only_lengthens(Group& group, const SharedHit& hit) const {
    if (rules_.bantime.extend || !group.decided) return false;
    for (SharedBan& ban : group.decided->bans)
        if (ban.from <= hit.time && hit.time < ban.until && contains(ban.prefix, hit.address)) {
            ++ban.hits;
            return true;
        }
    return false;
}

bool SharedJail::remove(const Address& address, const HitId& id, Instant now) {
    Prefix name = group_of(address);
    auto found = groups_.find(name);
    if (found == groups_.end()) return false;
    Group& group = found->second;
    auto hit = std::ranges::find(group.hits, id, &SharedHit::id);
    if (hit == group.hits.end() || hit->time < now - lateness_) return false;
    group.weight -= hit->weight;
    group.hits.erase(hit);
    --hits_;
    changed_.insert(name);
    decide(name, group);
    plan(name, group);
    return true;
}

void SharedJail::pardon(const Pardon& pardon, Instant now) {
    if (pardon.at < now - lateness_) return;
    auto at = std::ranges::lower_bound(pardons_, pardon);
    if (at != pardons_.end() && *at == pardon) return;
    if (pardons_.size() >= limits_.pardons) return;
    pardons_.insert(at, pardon);
    for_groups_with_bans(pardon.prefix, [&](const Prefix& name, Group& group) {
        decide(name, group);
        plan(name, group);
    });
}

// Those that `prefix` holds, or the one that holds it.
template <class Visit>
void SharedJail::for_groups_with_bans(const Prefix& prefix, Visit&& visit) {
    Prefix name = group_of(prefix.network);
    if (is_within(name, prefix)) {
        auto found = groups_.find(name);
        if (found != groups_.end() && found->second.decided) visit(name, found->second);
        return;
    }
    for (auto& [other, group] : groups_)
        if (is_within(prefix, other) && group.decided) visit(other, group);
}

std::vector<Pardon> SharedJail::pardons_of(const Prefix& group) const {
    std::vector<Pardon> some;
    for (const Pardon& pardon : pardons_)
        if (is_within(pardon.prefix, group) || is_within(group, pardon.prefix))
            some.push_back(pardon);
    return some;
}

void SharedJail::decide_later(const Prefix& name, Group& group) {
    if (!std::exchange(group.undecided, true)) undecided_.push_back(name);
}

void SharedJail::decide_waiting(std::size_t most_read) {
    while (!undecided_.empty() && most_read > 0) {
        Prefix name = undecided_.back();
        undecided_.pop_back();
        auto found = groups_.find(name);
        if (found == groups_.end() || !found->second.undecided) continue;
        most_read -= std::min(most_read, found->second.hits.size());
        decide(name, found->second);
        plan(name, found->second);
    }
}

std::vector<SharedJail::Change> SharedJail::take_changes(std::size_t most_read) {
    decide_waiting(most_read);
    return std::exchange(changes_, {});
}

void SharedJail::decide(const Prefix& name, Group& group) {
    group.undecided = false;
    auto decided = group.decided ? std::move(group.decided) : std::make_unique<Decided>();
    std::vector<SharedBan> fresh =
        decide_group(rules_, decided->settled, group.hits, pardons_of(name));
    auto same_place = [](const SharedBan& one) {
        return [&one](const SharedBan& other) {
            return other.prefix == one.prefix && other.from == one.from;
        };
    };
    for (const SharedBan& ban : decided->bans)
        if (std::ranges::none_of(fresh, same_place(ban))) changes_.push_back({ban, true});
    for (const SharedBan& ban : fresh) {
        auto before = std::ranges::find_if(decided->bans, same_place(ban));
        if (before == decided->bans.end() || before->until != ban.until ||
            before->offence != ban.offence || before->nodes != ban.nodes)
            changes_.push_back({ban, false});
    }
    decided->bans = std::move(fresh);
    changed_.insert(name);
    if (!decided->empty()) group.decided = std::move(decided);
}

void SharedJail::erase_hits(Group& group, std::size_t count) {
    auto end = group.hits.begin() + static_cast<std::ptrdiff_t>(count);
    for (auto hit = group.hits.begin(); hit != end; ++hit) group.weight -= hit->weight;
    group.hits.erase(group.hits.begin(), end);
    hits_ -= count;
}

// Hits before `horizon` are all there. What no ban came of is nothing once it is too old to count
// together with what may still come.
std::size_t SharedJail::may_go(const Group& group, Instant horizon) const {
    Instant end = group.decided ? horizon : horizon - rules_.findtime;
    auto at = std::ranges::lower_bound(group.hits, end, {}, &SharedHit::time);
    return static_cast<std::size_t>(at - group.hits.begin());
}

void SharedJail::settle(const Prefix& name, Instant now) {
    Group& group = groups_.at(name);
    changed_.insert(name);
    if (group.undecided) decide(name, group);
    Instant horizon = now - lateness_;
    std::size_t settled = may_go(group, horizon);
    if (!group.decided) return erase_hits(group, settled);
    Decided& decided = *group.decided;
    decided.settled = settle_group(rules_, decided.settled, std::span(group.hits).first(settled),
                                   pardons_of(name), horizon);
    erase_hits(group, settled);
    Instant since = horizon - rules_.findtime;
    std::erase_if(decided.bans, [&](const SharedBan& ban) { return ban.until <= since; });
    if (decided.empty()) group.decided.reset();
}

void SharedJail::on_time(Instant now, std::size_t most) {
    for (; most > 0 && !due_.empty() && due_.begin()->first <= now; --most) {
        Prefix name = due_.begin()->second;
        due_.erase(due_.begin());
        Group& group = groups_.at(name);
        group.due.reset();
        settle(name, now);
        if (group.hits.empty() && !group.decided)
            groups_.erase(name);
        else
            plan(name, group);
    }
    // A group that was not looked at in time may need an older one.
    if (due_.empty() || due_.begin()->first > now) forget_pardons(now);
}

void SharedJail::forget_pardons(Instant now) {
    Instant oldest = now - lateness_ - rules_.findtime;
    auto end = std::ranges::lower_bound(pardons_, oldest, {}, &Pardon::at);
    // Of a group without new hits, it is not in what is settled yet.
    for (auto pardon = pardons_.begin(); pardon != end; ++pardon)
        for_groups_with_bans(pardon->prefix, [&](const Prefix& name, Group& group) {
            if (group.decided->settled.at <= pardon->at) settle(name, now);
        });
    pardons_.erase(pardons_.begin(), end);
}

// When something of it can be let go: it is looked at then, or before.
void SharedJail::plan(const Prefix& name, Group& group) {
    Instant last{INT64_MIN};
    if (!group.hits.empty()) {
        last = group.hits.front().time + rules_.findtime;
    } else if (group.decided) {
        for (const WindowChange& window : group.decided->settled.memory.windows)
            last = std::max(last, window.times.back() + rules_.findtime);
        for (const SharedBan& ban : group.decided->bans) last = std::max(last, ban.until);
        for (const auto& [key, offences] : group.decided->settled.memory.offences)
            last = std::max(last, offences.last + LedgerLimits{}.offence_memory);
    }
    Instant due = last + lateness_ + std::chrono::milliseconds(1);
    if (due == never || (group.due && *group.due <= due)) return;
    if (group.due) {
        auto [row, end] = due_.equal_range(*group.due);
        while (row != end && row->second != name) ++row;
        due_.erase(row);
    }
    group.due = due;
    due_.emplace(due, name);
}

// Of those of which no ban came, the oldest go.
bool SharedJail::make_room() {
    std::size_t looks = 0;
    for (auto row = due_.begin(); row != due_.end() && looks < most_looks; ++looks) {
        auto group = groups_.find(row->second);
        if (group->second.decided || group->second.undecided) {
            ++row;
            continue;
        }
        hits_ -= group->second.hits.size();
        evicted_ += group->second.hits.size();
        changed_.insert(group->first);
        groups_.erase(group);
        row = due_.erase(row);
        if (hits_ < limits_.hits) return true;
    }
    return hits_ < limits_.hits;
}

// ---- as bytes

namespace {

constexpr std::int64_t dump_version = 1;

void put_prefix(std::string& out, const Prefix& prefix) { put(out, to_string(prefix)); }
Prefix take_prefix(DumpReader& in) {
    auto prefix = parse_prefix(in.text());
    if (!prefix) in.good = false;
    return prefix.value_or(Prefix{});
}
template <class Number>
Number take_number(DumpReader& in) {
    return static_cast<Number>(in.number());
}
void put_value(std::string& out, std::uint64_t value) {
    put(out, static_cast<std::int64_t>(value));
}

void put_hits(std::string& out, const std::vector<SharedHit>& hits) {
    put_value(out, hits.size());
    for (const SharedHit& hit : hits) {
        put(out, hit.time.us);
        put_value(out, hit.id.high);
        put_value(out, hit.id.low);
        put_prefix(out, make_prefix(hit.address, hit.address.bits()));
        put_value(out, hit.value);
        put_value(out, hit.weight);
        put_value(out, hit.node);
    }
}
std::vector<SharedHit> take_hits(DumpReader& in) {
    std::vector<SharedHit> hits;
    for (std::size_t left = in.count(); left > 0 && in.good; --left) {
        SharedHit hit;
        hit.time.us = in.number();
        hit.id.high = take_number<std::uint64_t>(in);
        hit.id.low = take_number<std::uint64_t>(in);
        hit.address = take_prefix(in).network;
        hit.value = take_number<std::uint64_t>(in);
        hit.weight = take_number<std::uint32_t>(in);
        hit.node = take_number<NodeIndex>(in);
        hits.push_back(hit);
    }
    return hits;
}

void put_bans(std::string& out, const std::vector<SharedBan>& bans) {
    put_value(out, bans.size());
    for (const SharedBan& ban : bans) {
        put_prefix(out, ban.prefix);
        put(out, ban.from.us);
        put(out, ban.until.us);
        put_value(out, ban.offence);
        put_value(out, ban.hits);
        put_value(out, ban.nodes.size());
        for (NodeIndex node : ban.nodes) put_value(out, node);
    }
}
std::vector<SharedBan> take_bans(DumpReader& in) {
    std::vector<SharedBan> bans;
    for (std::size_t left = in.count(); left > 0 && in.good; --left) {
        SharedBan ban;
        ban.prefix = take_prefix(in);
        ban.from.us = in.number();
        ban.until.us = in.number();
        ban.offence = take_number<std::uint32_t>(in);
        ban.hits = take_number<std::uint32_t>(in);
        for (std::size_t nodes = in.count(); nodes > 0 && in.good; --nodes)
            ban.nodes.push_back(take_number<NodeIndex>(in));
        bans.push_back(std::move(ban));
    }
    return bans;
}

// Of the engine's memory: its jail is number 0, and nobody asks for stories.
void put_memory(std::string& out, const Changes& memory) {
    put_value(out, memory.bans.size());
    for (const Ban& ban : memory.bans) {
        put_prefix(out, ban.key.prefix);
        put(out, ban.from.us);
        put(out, ban.until.us);
        put_value(out, ban.offence);
        put_value(out, ban.hits);
    }
    put_value(out, memory.windows.size());
    for (const WindowChange& window : memory.windows) {
        put_prefix(out, window.key.prefix);
        put_value(out, window.times.size());
        for (Instant time : window.times) put(out, time.us);
        put_value(out, window.values.size());
        for (std::uint64_t value : window.values) put_value(out, value);
    }
    put_value(out, memory.offences.size());
    for (const auto& [key, offences] : memory.offences) {
        put_prefix(out, key.prefix);
        put_value(out, offences.count);
        put(out, offences.last.us);
    }
}
Changes take_memory(DumpReader& in) {
    Changes memory;
    static const auto no_story = std::make_shared<const Story>();
    for (std::size_t left = in.count(); left > 0 && in.good; --left) {
        Ban ban;
        ban.key = {0, take_prefix(in)};
        ban.from.us = in.number();
        ban.until.us = in.number();
        ban.offence = take_number<std::uint32_t>(in);
        ban.hits = take_number<std::uint32_t>(in);
        ban.story = no_story;
        memory.bans.push_back(std::move(ban));
    }
    for (std::size_t left = in.count(); left > 0 && in.good; --left) {
        WindowChange window;
        window.key = {0, take_prefix(in)};
        for (std::size_t times = in.count(); times > 0 && in.good; --times)
            window.times.push_back({in.number()});
        for (std::size_t values = in.count(); values > 0 && in.good; --values)
            window.values.push_back(take_number<std::uint64_t>(in));
        memory.windows.push_back(std::move(window));
    }
    for (std::size_t left = in.count(); left > 0 && in.good; --left) {
        BanKey key{0, take_prefix(in)};
        Offences offences;
        offences.count = take_number<std::uint32_t>(in);
        offences.last.us = in.number();
        memory.offences.emplace_back(key, offences);
    }
    return memory;
}

}  // namespace

std::vector<SharedJail::Row> SharedJail::take_rows(std::size_t most) {
    std::vector<Row> rows;
    for (; most > 0 && !changed_.empty(); --most) {
        Row row{*changed_.begin(), {}};
        changed_.erase(changed_.begin());
        if (auto found = groups_.find(row.group); found != groups_.end()) {
            std::string& bytes = row.bytes.emplace();
            put(bytes, dump_version);
            put_hits(bytes, found->second.hits);
            put_value(bytes, found->second.decided ? 1 : 0);
            if (const auto& decided = found->second.decided) {
                put(bytes, decided->settled.at.us);
                put_memory(bytes, decided->settled.memory);
                put_bans(bytes, decided->settled.bans);
                put_hits(bytes, decided->settled.last);
            }
        }
        rows.push_back(std::move(row));
    }
    return rows;
}

void SharedJail::mark_all_changed() {
    for (const auto& [name, group] : groups_) changed_.insert(name);
}

std::string SharedJail::pardons() const {
    std::string bytes;
    put_value(bytes, pardons_.size());
    for (const Pardon& pardon : pardons_) {
        put(bytes, pardon.at.us);
        put_prefix(bytes, pardon.prefix);
    }
    return bytes;
}

void SharedJail::restore_pardons(std::string_view bytes) {
    DumpReader in{bytes};
    pardons_.clear();
    for (std::size_t left = in.count(); left > 0 && in.good; --left) {
        Instant at{in.number()};
        pardons_.push_back({at, take_prefix(in)});
    }
    std::ranges::sort(pardons_);
}

bool SharedJail::restore(const Prefix& name, std::string_view bytes) {
    DumpReader in{bytes};
    if (in.number() != dump_version || groups_.contains(name)) return false;
    Group group;
    group.hits = take_hits(in);
    if (in.number() == 1) {
        group.decided = std::make_unique<Decided>();
        Settled& settled = group.decided->settled;
        settled.at.us = in.number();
        settled.memory = take_memory(in);
        settled.bans = take_bans(in);
        settled.last = take_hits(in);
    }
    if (!in.good || !std::is_sorted(group.hits.begin(), group.hits.end())) return false;
    for (const SharedHit& hit : group.hits) group.weight += hit.weight;
    if (group.decided)
        group.decided->bans =
            decide_group(rules_, group.decided->settled, group.hits, pardons_of(name));
    hits_ += group.hits.size();
    Group& there = groups_.emplace(name, std::move(group)).first->second;
    if (!there.decided && there.weight >= fewest_) decide_later(name, there);
    plan(name, there);
    return true;
}

const SharedBan* SharedJail::last_of(const Prefix& prefix) const {
    auto group = groups_.find(group_of(prefix.network));
    if (group == groups_.end() || !group->second.decided) return nullptr;
    const SharedBan* last = nullptr;
    for (const SharedBan& ban : group->second.decided->bans)
        if (ban.prefix == prefix && (last == nullptr || ban.from > last->from)) last = &ban;
    return last;
}

std::vector<SharedBan> SharedJail::bans() {
    decide_waiting(SIZE_MAX);
    std::vector<SharedBan> all;
    for (const auto& [name, group] : groups_)
        if (group.decided)
            all.insert(all.end(), group.decided->bans.begin(), group.decided->bans.end());
    return all;
}

}  // namespace bandd
