// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/fleet.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <sstream>

#include "control/protocol.h"
#include "core/base/printable.h"
#include "core/decide/engine.h"
#include "daemon/pipeline.h"
#include "fleet/word_text.h"
#include "os/clock.h"
#include "os/log.h"
#include "os/loop.h"

namespace bandd {
namespace {

constexpr std::string_view instance_row = "instance", out_row = "out", node_row = "node";
// Numbers of messages with hits among all that are published.
constexpr std::uint64_t hit_message = std::uint64_t{1} << 63U;
// While the socket to bandd-fleet is full.
constexpr Duration short_pause = std::chrono::milliseconds(20);
// A refusal is said once in this time, each kind by itself; all are counted.
constexpr Duration quiet_after_refusal = std::chrono::minutes(10);
constexpr std::size_t longest_instance = 64, longest_version = 64;

// Without it two machines, or two lives of one, might be taken for one.
std::uint64_t random_number() {
    std::uint64_t number = 0;
    if (::getrandom(&number, sizeof number, 0) != sizeof number) std::abort();
    return number;
}

// "mx1, mx2, mx3, mx4 and 3 more"
std::string some_of(const std::vector<std::string>& names) {
    constexpr std::size_t most = 4;
    std::size_t shown = std::min(names.size(), most);
    std::string text = fmt::format("{}", fmt::join(names.begin(), names.begin() + shown, ", "));
    if (names.size() > shown) text += fmt::format(" and {} more", names.size() - shown);
    return text;
}

std::string text_of(const Json& object, const char* key, std::size_t longest) {
    auto found = object.find(key);
    if (found == object.end() || !found->is_string()) return {};
    return printable(found->get_ref<const std::string&>().substr(0, longest));
}

}  // namespace

Fleet::Fleet(Parts parts, Membership membership)
    : parts_(std::move(parts)),
      membership_(std::move(membership)),
      member_(membership_.access.node, membership_.access.counting, parts_.config.fleet.trust),
      process_(parts_.roles, parts_.loop, Role::fleet,
               {[this] {
                    readable_ = true;
                    parts_.loop.again();
                },
                [this](const Error& error) { parts_.log.put(Severity::error, to_line(error)); },
                [this] {
                    // What was under way with the one before is to be said again.
                    member_.begin_anew();
                    publishing_ = 0;
                    ticket_ = 0;
                    for (auto& [number, out] : outbox_) out.under_way = false;
                    stuck_ = to_packet(ToFleet(membership_.access));
                    to_send_.clear();
                    next_heartbeat_ = {};
                }}),
      hiding_key_(hiding_key(membership_.key)),
      life_(random_number()) {}

void Fleet::restore(const FleetRow& row) {
    if (row.kind == instance_row && row.value) {
        instance_ = *row.value;
    } else if (row.kind == node_row && row.value) {
        std::istringstream words(*row.value);
        for (std::string instance; words >> instance;) instances_[row.key].push_back(instance);
    } else if (row.kind == out_row && row.value) {
        std::uint64_t number = 0;
        std::from_chars(row.key.data(), row.key.data() + row.key.size(), number);
        outbox_bytes_ += row.value->size();
        outbox_[number] = {*row.value};
        next_out_ = std::max(next_out_, number + 1);
    } else if (!member_.restore(row)) {
        counter_.restore(row);
    }
}

void Fleet::take_rows(std::vector<FleetRow>& rows, std::size_t most) {
    member_.take_rows(rows, most);
    counter_.take_rows(rows, most);
    pack_hits(rows);
    take_own_rows(rows);
}

void Fleet::take_own_rows(std::vector<FleetRow>& rows) {
    if (std::exchange(is_new_instance_, false))
        rows.push_back({std::string(instance_row), "", instance_});
    for (const std::string& name : std::exchange(changed_instances_, {}))
        rows.push_back(
            {std::string(node_row), name, fmt::format("{}", fmt::join(instances_[name], " "))});
}

void Fleet::forget() {
    member_ = FleetMember(membership_.access.node, membership_.access.counting,
                          parts_.config.fleet.trust);
    instance_.clear();
    counter_ = FleetCounter();
    outbox_.clear();
    outbox_bytes_ = 0;
}

void Fleet::mark_all_changed() {
    member_.mark_all_changed();
    counter_.mark_all_changed();
    out_written_ = 0;
    for (const auto& [name, all] : instances_) changed_instances_.insert(name);
    is_new_instance_ = true;
}

void Fleet::begin(Instant now) {
    if (instance_.empty()) {
        instance_ = fmt::format("{:016x}", random_number());
        is_new_instance_ = true;
    }
    counter_.restored();
    on_disk_ = out_written_ = next_out_;
    // Of the streams it has read, it knows nothing any more.
    lost_state_ = is_new_instance_ && membership_.access.counts();
    // A failure is said, and it is tried again.
    [[maybe_unused]] auto started = process_.start(now);
}

void Fleet::configure() {
    member_.set_trust(parts_.config.fleet.trust);
    share_.assign(parts_.engine.jail_names().size(), Share::nothing);
    witnesses_.assign(share_.size(), 1);
    const auto& jails = parts_.engine.jails();
    for (std::size_t i = 0; i < jails.size(); ++i) {
        const JailConfig& jail = parts_.config.jails[i];
        share_[jails[i]] = jail.share;
        witnesses_[jails[i]] = jail.witnesses;
        rules_text_.resize(share_.size());
        rules_text_[jails[i]] =
            jail.share == Share::hits ? to_text(parts_.engine.rules(jails[i])) : "";
    }
    // Bans may belong to other jails here than before.
    remapping_ = true;
    remap_bucket_ = 0;
    unsaid_slot_ = 0;
    parts_.loop.again();
}

bool Fleet::shares(JailIndex jail) const {
    return jail < share_.size() && share_[jail] != Share::nothing;
}

// ---- what the engine decided

bool Fleet::is_told(const Ban& ban) const {
    return ban.state != BanState::simulated && shares(ban.key.jail);
}

Fleet::Key Fleet::say(const Ban& ban, Instant now) {
    Key key{parts_.engine.rules(ban.key.jail).name, ban.key.prefix};
    member_.decided(
        key,
        {ban.from, ban.until, ban.offence, ban.hits, ban.story ? ban.story->reason : std::string()},
        now);
    return key;
}

void Fleet::on_event(const Event& event) {
    auto on_ban = [&](const Ban& ban) {
        if (ban.decider == Decider::here && is_told(ban)) to_refresh_.push_back(say(ban, now()));
    };
    if (const auto* banned = std::get_if<Banned>(&event)) return on_ban(banned->ban);
    if (const auto* extended = std::get_if<Extended>(&event)) return on_ban(extended->ban);
    const auto* ended = std::get_if<Unbanned>(&event);
    if (ended == nullptr || ended->why == Unbanned::Why::expired ||
        ended->why == Unbanned::Why::fleet || !shares(ended->ban.key.jail))
        return;
    const std::string& jail = parts_.engine.rules(ended->ban.key.jail).name;
    const Prefix& prefix = ended->ban.key.prefix;
    bool by_hand = ended->why == Unbanned::Why::by_hand;
    auto lift = [&](const std::string& name) {
        Key key{name, prefix};
        const BanWord* own = member_.words().word_of(key, member_.node(), false);
        // A jail that goes, and what is exempt here, says nothing about others' bans.
        if (by_hand || (own != nullptr && own->kind == BanWord::Kind::decided))
            member_.lifted(key, now());
    };
    if (auto others = elsewhere_.find(prefix); jail == fleet_jail && others != elsewhere_.end())
        for (const std::string& name : std::vector(others->second)) lift(name);
    lift(jail);
}

void Fleet::on_hit(const ToldHit& hit) {
    if (hit.jail >= rules_text_.size() || rules_text_[hit.jail].empty()) return;
    SharedHit told{hit.time, {life_, ++hit_number_}, hit.address, 0, hit.weight, 0};
    if (!hit.value.empty())
        told.value = hidden_value(hiding_key_, parts_.engine.rules(hit.jail).name, hit.value);
    // While the state cannot be written.
    if (fresh_count_ >= most_fresh_hits) {
        ++counts_.hits_lost;
        return;
    }
    ++fresh_count_;
    fresh_hits_[hit.jail].push_back(told);
    ++counts_.hits_told;
}

// With the checkpoint that has the lines as read.
void Fleet::pack_hits(std::vector<FleetRow>& rows) {
    for (auto& [jail, hits] : std::exchange(fresh_hits_, {}))
        for (std::size_t first = 0; first < hits.size(); first += most_hits_of_batch) {
            std::size_t count = std::min(most_hits_of_batch, hits.size() - first);
            auto begin = hits.begin() + static_cast<std::ptrdiff_t>(first);
            HitBatch batch{
                life_, rules_text_[jail], {begin, begin + static_cast<std::ptrdiff_t>(count)}};
            Out out{to_text(batch), count};
            outbox_bytes_ += out.payload.size();
            outbox_.emplace(next_out_++, std::move(out));
        }
    fresh_count_ = 0;
    drop_oldest_hits(rows);
    for (auto out = outbox_.lower_bound(out_written_); out != outbox_.end(); ++out)
        rows.push_back({std::string(out_row), std::to_string(out->first), out->second.payload});
    out_written_ = next_out_;
    for (std::uint64_t number : std::exchange(done_, {}))
        rows.push_back({std::string(out_row), std::to_string(number), {}});
}

void Fleet::drop_oldest_hits(std::vector<FleetRow>& rows) {
    std::size_t most = parts_.config.fleet.outbox << 20U;
    while (outbox_bytes_ > most && !outbox_.empty()) {
        auto oldest = outbox_.begin();
        if (counts_.hits_lost == 0)
            parts_.log.write(
                Severity::warning,
                "fleet: the server is away for so long that the oldest hits are lost to "
                "the other machines (\"outbox\" in \"fleet\"); they are counted");
        counts_.hits_lost += std::max<std::size_t>(oldest->second.hits, 1);
        outbox_bytes_ -= oldest->second.payload.size();
        rows.push_back({std::string(out_row), std::to_string(oldest->first), {}});
        outbox_.erase(oldest);
    }
}

// Bans that the hits of all lead to.
void Fleet::say_counted(Instant now) {
    auto changes = counter_.take_changes(FleetCounter::most_read);
    if (counter_.waits()) parts_.loop.again();
    for (FleetCounter::Counted& one : changes) {
        Key key{one.jail, one.ban.prefix};
        Instant until = one.gone ? one.ban.from : one.ban.until;
        const BanWord* before = member_.words().word_of(key, member_.node(), true);
        if (before == nullptr && until <= now) continue;  // it is over, and was never told
        bool told = before != nullptr && before->from == one.ban.from && before->until == until &&
                    before->offence == one.ban.offence && before->makers == one.makers;
        if (told) continue;
        std::string reason = fmt::format("{} hit{} on {}", one.ban.hits,
                                         one.ban.hits == 1 ? "" : "s", some_of(one.makers));
        if (auto refused = member_.counted(
                key, {one.ban.from, until, one.ban.offence, one.ban.hits, std::move(reason)},
                std::move(one.makers), now)) {
            say_refusal(*refused, "hits on " + to_string(key.prefix) + " in jail " + key.jail, now);
            continue;
        }
        to_refresh_.push_back(std::move(key));
        parts_.changed();
    }
}

// ---- what the fleet says

void Fleet::refresh(const Key& key, Instant now, Outcome& outcome) {
    auto own = parts_.engine.find_jail(key.jail);
    auto fallback = parts_.engine.find_jail(fleet_jail);
    auto listed = elsewhere_.find(key.prefix);
    if (own) {
        if (listed != elsewhere_.end() && fallback &&
            std::ranges::find(listed->second, key.jail) != listed->second.end()) {
            forget(key);
            refresh_at(*fallback, key.prefix, now, outcome);
        }
        refresh_at(*own, key.prefix, now, outcome);
        return;
    }
    if (!fallback) return;
    auto& names = elsewhere_[key.prefix];
    if (std::ranges::find(names, key.jail) == names.end()) names.push_back(key.jail);
    refresh_at(*fallback, key.prefix, now, outcome);
}

// This node's hits, or its people, are among those who made it.
bool Fleet::is_own(const FleetBan& ban) const {
    return std::ranges::find(ban.makers, member_.node()) != ban.makers.end();
}

std::optional<Fleet::Told> Fleet::told_of(const BanKey& ban, Instant now) const {
    const std::string& jail = parts_.engine.rules(ban.jail).name;
    std::optional<Told> told;
    auto consider = [&](const std::string& name) {
        auto one = member_.ban_of({name, ban.prefix}, now);
        if (one && (!told || one->until > told->ban.until)) told = Told{name, std::move(*one)};
    };
    consider(jail);
    if (jail == fleet_jail)
        if (auto others = elsewhere_.find(ban.prefix); others != elsewhere_.end())
            for (const std::string& name : others->second) consider(name);
    return told;
}

std::vector<Fleet::Told> Fleet::all_told_of(const Prefix& prefix, Instant now) const {
    std::vector<Told> all;
    auto consider = [&](const std::string& name) {
        if (auto one = member_.ban_of({name, prefix}, now)) all.push_back({name, std::move(*one)});
    };
    for (JailIndex jail : parts_.engine.jails()) consider(parts_.engine.rules(jail).name);
    if (auto others = elsewhere_.find(prefix); others != elsewhere_.end())
        for (const std::string& name : others->second) consider(name);
    return all;
}

// Others may make the next ban here no longer than their own may be.
std::uint32_t Fleet::most_offences(JailIndex jail) const {
    constexpr std::uint32_t enough = 64;  // doublings
    const BantimePolicy& policy = parts_.engine.rules(jail).bantime;
    Duration longest = parts_.config.fleet.trust.longest;
    if (!policy.increment || longest == forever) return UINT32_MAX;
    std::uint32_t most = 1;
    while (most < enough && bantime_of(policy, Prefix{}, Instant{}, most + 1) <= longest) ++most;
    return most < enough ? std::max<std::uint32_t>(most, 2) - 1 : UINT32_MAX;
}

void Fleet::refresh_at(JailIndex jail, const Prefix& prefix, Instant now, Outcome& outcome) {
    Engine& engine = parts_.engine;
    BanKey key{jail, prefix};
    auto told = told_of(key, now);
    bool own = told && is_own(told->ban);
    if (told && !shares(jail)) {
        ++counts_.not_shared;
        return;
    }
    if (told && !own && told->ban.makers.size() < witnesses_[jail]) {
        ++counts_.unwitnessed;
        told.reset();
    }
    if (!told) {
        if (elsewhere_.contains(prefix) && engine.rules(jail).name == fleet_jail)
            elsewhere_.erase(prefix);
        if (shares(jail) && engine.drop(key, now, outcome)) ++counts_.dropped;
        return;
    }
    FleetBan& ban = told->ban;
    // Whoever is cut off from the server hears nothing more, not even that this was wrong.
    if (!own &&
        std::ranges::any_of(servers_, [&](const Address& one) { return contains(prefix, one); })) {
        ++counts_.exempt;
        return;
    }
    std::string reason = own && ban.said_by == member_.node()
                             ? ban.reason
                             : fmt::format("{} ({}{})", ban.reason, ban.said_by,
                                           told->jail == engine.rules(jail).name
                                               ? std::string()
                                               : ", jail " + printable(told->jail));
    if (!own) ban.offence = std::min(ban.offence, most_offences(jail));
    const Ban* there = engine.bans().find(key);
    // It simulated, and does not any more.
    if (there != nullptr && there->state == BanState::simulated && !engine.rules(jail).simulate)
        engine.drop(key, now, outcome);
    switch (engine.adopt({key, ban.from, ban.until, ban.offence, ban.hits, std::move(reason)},
                         outcome)) {
        case Engine::Adoption::begun:
        case Engine::Adoption::changed:
            ++counts_.adopted;
            break;
        case Engine::Adoption::same:
            break;
        case Engine::Adoption::exempt:
            ++counts_.exempt;
            break;
        case Engine::Adoption::no_room:
            ++counts_.no_room;
            break;
    }
}

void Fleet::say_refusal(FleetMember::Refusal why, const std::string& subject, Instant now) {
    Instant& quiet_until = said_[why];
    if (now < quiet_until) return;
    quiet_until = now + quiet_after_refusal;
    parts_.log.write(Severity::warning, "fleet: {}: not taken: {}; others like it are counted",
                     printable(subject), to_words(why));
}

void Fleet::on(const FleetMessage& message, Instant now) {
    if (message.ticket != 0) {
        ticket_ = message.ticket;
        parts_.changed();
    }
    if (message.subject.starts_with("node.")) return on_node(message, now);
    if (message.subject.starts_with("hit.")) {
        if (!membership_.access.counts() || message.ticket == 0) return;
        counter_.hear(message);
        return;
    }
    if (!message.subject.starts_with("ban.")) return;
    ++counts_.heard;
    auto heard = member_.hear(message, now);
    if (heard.refused) say_refusal(*heard.refused, message.subject, now);
    if (!heard.key) return;
    parts_.changed();
    const BanWord* lift = member_.words().word_of(*heard.key, operator_name, false);
    if (membership_.access.counts() && lift != nullptr &&
        node_of_subject(message.subject) == operator_name)
        counter_.pardon(heard.key->jail, {lift->stamp.time, heard.key->prefix});
    to_refresh_.push_back(std::move(*heard.key));
}

void Fleet::on(const FleetPublished& published, Instant) {
    if (published.id == 0) return;  // that it is there
    if ((published.id & hit_message) != 0) {
        auto out = outbox_.find(published.id & ~hit_message);
        publishing_ -= std::min<std::size_t>(publishing_, 1);
        if (out == outbox_.end()) return;
        outbox_bytes_ -= out->second.payload.size();
        done_.push_back(out->first);
        outbox_.erase(out);
        parts_.changed();
        return;
    }
    publishing_ -= std::min<std::size_t>(publishing_, 1);
    member_.published(published.id);
    parts_.changed();
}

void Fleet::on(const FleetRefused& refused, Instant now) {
    if (refused.id == 0) return;
    publishing_ -= std::min<std::size_t>(publishing_, 1);
    if ((refused.id & hit_message) == 0) return member_.refused(refused.id);
    // Not at once: it would be refused again.
    next_hits_ = now + FleetMember::pause;
    if (auto out = outbox_.find(refused.id & ~hit_message); out != outbox_.end())
        out->second.under_way = false;
}

void Fleet::on(const FleetState& state, Instant now) {
    state_ = state;
    std::vector<Address> servers;
    for (const std::string& text : state.addresses)
        if (auto address = parse_address(text)) servers.push_back(*address);
    if (!servers.empty() && servers != servers_) {
        servers_ = std::move(servers);
        lift_servers(now);
    }
    if (state.connected == said_connected_) return;
    if (!state.connected && state.why_not == not_connected_yet) return;
    said_connected_ = state.connected;
    if (state.connected) {
        parts_.log.write(Severity::notice, "fleet \"{}\": connected to {}",
                         membership_.access.fleet, state.server);
        next_heartbeat_ = {};
    } else {
        parts_.log.write(Severity::warning,
                         "fleet \"{}\": not connected ({}); this machine bans alone until it is",
                         membership_.access.fleet, printable(state.why_not));
    }
}

// What was adopted before it was known where the servers are.
void Fleet::lift_servers(Instant now) {
    Outcome outcome;
    for (const Address& server : servers_)
        for (const Ban* ban : parts_.engine.bans_over(make_prefix(server, server.bits()))) {
            auto told = told_of(ban->key, now);
            if (told && !is_own(told->ban)) parts_.engine.drop(BanKey(ban->key), now, outcome);
        }
    parts_.pipeline.put(outcome, now);
}

void Fleet::on(const FleetProgress& progress, Instant) {
    pending_[progress.stream] = progress.pending;
    member_.on_progress(progress);
}

std::uint64_t Fleet::behind() const {
    std::uint64_t all = 0;
    for (const auto& [stream, pending] : pending_) all += pending;
    return all;
}

std::string Fleet::own_words(Instant now) const {
    return Json{{"v", fleet_language},
                {"version", BANDD_VERSION},
                {"instance", instance_},
                {"at", now.us / 1000},
                {"unpublished", member_.unpublished()}}
        .dump();
}

void Fleet::on_node(const FleetMessage& message, Instant now) {
    auto name = node_of_subject(message.subject);
    Json said = Json::parse(message.payload, nullptr, false);
    if (!name || message.ticket == 0 || !said.is_object()) return;
    FleetNodeStatus node;
    node.version = text_of(said, "version", longest_version);
    node.instance = text_of(said, "instance", longest_instance);
    node.said = message.stored;
    node.unpublished = said.value("unpublished", Json(0)).is_number_unsigned()
                           ? said["unpublished"].get<std::uint64_t>()
                           : 0;
    if (auto at = said.find("at"); at != said.end() && at->is_number_integer()) {
        constexpr std::int64_t most = 4'000'000'000'000;
        std::int64_t ms = std::clamp<std::int64_t>(at->get<std::int64_t>(), 0, most);
        node.clock = Duration(ms * 1000 - message.stored.us);
    }
    if (*name == member_.node()) {
        // What it said in another life, before its state was lost, is old.
        bool is_new = message.stored > now - heartbeat * 2;
        if (node.instance != instance_ && is_new) {
            if (counts_.clones++ == 0)
                parts_.log.write(Severity::error,
                                 "fleet: another machine calls itself \"{}\", too: give each its "
                                 "own file (bandctl fleet add)",
                                 member_.node());
        }
        if (node.instance != instance_) return;
    }
    auto known = nodes_.find(*name);
    if (known == nodes_.end() && nodes_.size() >= most_nodes) return;
    auto before = instances_.find(*name);
    bool is_other = before == instances_.end() || before->second.back() != node.instance;
    // Two machines with one name take turns: neither is to get all again each time.
    bool is_fresh = before != instances_.end() &&
                    std::ranges::find(before->second, node.instance) == before->second.end();
    if (is_other) {
        auto& all = instances_[*name];
        std::erase(all, node.instance);
        all.push_back(node.instance);
        if (all.size() > most_instances) all.erase(all.begin());
        changed_instances_.insert(*name);
    }
    // One may have waited for its stream.
    bool is_away = node.clock > clock_tolerance || node.clock < -clock_tolerance;
    if (is_away) node.times_away = known == nodes_.end() ? 1 : known->second.times_away + 1;
    if (node.times_away == 2 && message.stored > now - heartbeat * 2)
        parts_.log.write(Severity::warning,
                         "fleet: the clock of {} is {} s off the server's; bans end when each "
                         "machine's own clock says so",
                         *name, node.clock / std::chrono::seconds(1));
    if (membership_.access.counts() && (known == nodes_.end() || is_fresh))
        to_send_.push_back(FleetKeep{*name, is_fresh});
    nodes_[*name] = std::move(node);
}

// Nobody has a word on it any more.
void Fleet::forget(const Key& key) {
    auto listed = elsewhere_.find(key.prefix);
    if (listed == elsewhere_.end()) return;
    std::erase(listed->second, key.jail);
    if (listed->second.empty()) elsewhere_.erase(listed);
}

// Bans from before there was a fleet, or before their jail shared them.
void Fleet::say_unsaid(Instant now) {
    const BanTable& bans = parts_.engine.bans();
    for (std::size_t i = 0; i < keys_a_turn; ++i) {
        if (*unsaid_slot_ >= bans.slots()) {
            unsaid_slot_.reset();
            return;
        }
        const Ban* ban = bans.at((*unsaid_slot_)++);
        if (ban == nullptr || !is_told(*ban) || elsewhere_.contains(ban->key.prefix)) continue;
        Key key{parts_.engine.rules(ban->key.jail).name, ban->key.prefix};
        if (member_.words().words(key).empty()) say(*ban, now);
    }
    parts_.loop.again();
}

// ---- packets

void Fleet::read_packets(Instant now) {
    if (!readable_) return;
    double begun = stopwatch();
    for (std::size_t i = 0; i < packets_a_turn && stopwatch() - begun < longest_reading; ++i) {
        auto packet = process_.receive(largest_fleet_packet, now);
        if (!packet) {
            readable_ = false;
            if (!process_.is_running()) {
                state_.connected = false;
                state_.why_not = "bandd-fleet has ended";
                said_connected_.reset();
                pending_.clear();
            }
            return;
        }
        if (auto said = parse_from_fleet(*packet))
            std::visit([&](const auto& what) { on(what, now); }, *said);
    }
    parts_.loop.again();
}

// False: it has to wait.
bool Fleet::send(const ToFleet& said, Instant now) {
    std::string packet = to_packet(said);
    if (process_.send(packet, now)) return true;
    stuck_ = std::move(packet);
    return false;
}

void Fleet::write_packets(Instant now) {
    if (!process_.is_running()) return;
    if (stuck_) {
        if (!process_.send(*stuck_, now)) return;
        stuck_.reset();
    }
    while (!to_send_.empty()) {
        ToFleet said = std::move(to_send_.front());
        to_send_.pop_front();
        if (!send(said, now)) return;
    }
    while (publishing_ < most_publishing / 2) {
        auto message = member_.next_publication();
        if (!message) break;
        ++publishing_;
        if (!send(*message, now)) return;
    }
    write_hits(now);
}

// The oldest first; a few at a time, as they are large.
void Fleet::write_hits(Instant now) {
    if (!process_.is_running() || stuck_ || now < next_hits_) return;
    std::size_t under_way = 0;
    for (auto& [number, out] : outbox_) {
        if (number >= on_disk_ || under_way >= most_hit_messages) return;
        ++under_way;
        if (std::exchange(out.under_way, true)) continue;
        ++publishing_;
        if (!send(FleetPublish{hit_message | number, hit_subject(member_.node()), out.payload},
                  now))
            return;
    }
}

void Fleet::settle(Ticket ticket, Instant now) {
    on_disk_ = std::max(on_disk_, ticket.outbox);
    if (ticket.process == process_.ends() && ticket.number > 0)
        to_send_.push_back(FleetSettled{ticket.number});
    write_packets(now);
}

void Fleet::on_turn(Instant now) {
    if (auto due = process_.next_start(); due && *due <= now) [[maybe_unused]]
        auto started = process_.start(now);
    read_packets(now);
    Outcome outcome;
    if (remapping_) {
        remapping_ = member_.words().visit_some(
            remap_bucket_, keys_a_turn, [&](const Key& key) { to_refresh_.push_back(key); });
        parts_.loop.again();
    } else if (to_refresh_.empty() && unsaid_slot_) {
        say_unsaid(now);
    }
    for (std::size_t i = 0; i < keys_a_turn && !to_refresh_.empty(); ++i) {
        refresh(to_refresh_.front(), now, outcome);
        to_refresh_.pop_front();
    }
    if (!to_refresh_.empty()) parts_.loop.again();
    if (membership_.access.counts()) {
        // Later ones may have been stored meanwhile, if it is behind.
        auto pending = pending_.find("HITS");
        bool has_all = state_.connected && pending != pending_.end() && pending->second == 0;
        if (has_all && now >= next_look_) counter_.on_time(now - most_ahead);
        say_counted(now);
    }
    if (now >= next_look_) {
        for (const Key& key : member_.on_time(now)) forget(key);
        next_look_ = now + FleetMember::pause;
    }
    if (state_.connected && now >= next_heartbeat_) {
        next_heartbeat_ = now + heartbeat;
        if (std::exchange(lost_state_, false)) to_send_.push_back(FleetKeep{member_.node(), true});
        to_send_.push_back(FleetPublish{0, node_subject(member_.node()), own_words(now)});
    }
    write_packets(now);
    // The kernel hears of it with the next turn.
    if (!outcome.events.empty()) parts_.loop.again();
    parts_.pipeline.put(outcome, now);
}

std::optional<Instant> Fleet::next_deadline() const {
    std::optional<Instant> next = process_.next_start();
    auto consider = [&](Instant due) {
        if (!next || due < *next) next = due;
    };
    if (stuck_) consider(now() + short_pause);
    if (state_.connected) consider(next_heartbeat_);
    if (member_.words().size() > 0) consider(next_look_);
    return next;
}

}  // namespace bandd
