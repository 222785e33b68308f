// SPDX-License-Identifier: GPL-2.0-or-later
#include "fleet/counter.h"

#include <algorithm>
#include <charconv>

#include "fleet/hit_text.h"

namespace bandd {
namespace {

constexpr std::string_view rules_row = "rules", pardons_row = "pardons", group_row = "group",
                           node_row = "counted node", now_row = "counted until";

}  // namespace

FleetCounter::Counting* FleetCounter::counting_for(const std::string& text) {
    auto found = jails_.find(text);
    if (found != jails_.end()) return &found->second;
    auto rules = parse_shared_rules(text);
    if (!rules) {
        ++counts_.malformed;
        return nullptr;
    }
    if (jails_.size() >= most_rules) {
        ++counts_.too_many_rules;
        return nullptr;
    }
    return &jails_.emplace(text, Counting{SharedJail(std::move(*rules), lateness_)}).first->second;
}

NodeIndex FleetCounter::index_of(const std::string& node) {
    auto known = indices_.find(node);
    if (known != indices_.end()) return known->second;
    auto index = static_cast<NodeIndex>(nodes_.size());
    nodes_.push_back(node);
    indices_.emplace(node, index);
    return index;
}

void FleetCounter::hear(const FleetMessage& message) {
    auto node = node_of_subject(message.subject);
    auto batch = node ? parse_hit_batch(message.payload) : std::nullopt;
    if (!batch || (!indices_.contains(*node) && nodes_.size() >= most_nodes)) {
        ++counts_.malformed;
        return;
    }
    // One that comes again after later ones is as late as these.
    if (message.stored > now_) {
        now_ = message.stored;
        now_changed_ = true;
    }
    Counting* counting = counting_for(batch->rules);
    if (counting == nullptr) return;
    NodeIndex index = index_of(*node);
    for (SharedHit& hit : batch->hits) {
        hit.node = index;
        hit.weight = std::min(hit.weight, counting->jail.rules().maxretry);
        switch (counting->jail.add(hit, now_)) {
            case SharedJail::Taken::counted:
                ++counts_.counted;
                break;
            case SharedJail::Taken::known:
                ++counts_.known;
                break;
            case SharedJail::Taken::too_late:
                ++counts_.too_late;
                break;
            case SharedJail::Taken::ahead:
                ++counts_.ahead;
                break;
            case SharedJail::Taken::no_room:
                ++counts_.no_room;
                break;
        }
    }
}

void FleetCounter::pardon(const std::string& jail, const Pardon& pardon) {
    for (auto& [text, counting] : jails_) {
        if (counting.jail.rules().name != jail) continue;
        counting.jail.pardon(pardon, std::max(now_, pardon.at));
        counting.pardons_changed = true;
    }
}

void FleetCounter::on_time(Instant now) {
    if (now > now_) {
        now_ = now;
        now_changed_ = true;
    }
    for (auto& [text, counting] : jails_) counting.jail.on_time(now_, settled_a_time);
}

bool FleetCounter::waits() const {
    return std::ranges::any_of(jails_, [](const auto& one) { return one.second.jail.waits(); });
}

std::vector<FleetCounter::Counted> FleetCounter::take_changes(std::size_t most) {
    std::map<std::pair<std::string, Prefix>, SharedBan> changed;
    bool read = false;
    for (auto& [text, counting] : jails_) {
        // One that has much to read takes the turn.
        if (read && most != SIZE_MAX && counting.jail.waits()) continue;
        read = read || counting.jail.waits();
        for (SharedJail::Change& change : counting.jail.take_changes(most))
            changed.insert_or_assign({counting.jail.rules().name, change.ban.prefix},
                                     std::move(change.ban));
    }
    std::vector<Counted> all;
    for (auto& [key, ban] : changed) {
        const auto& [jail, prefix] = key;
        const SharedBan* longest = nullptr;
        for (const auto& [text, counting] : jails_)
            if (counting.jail.rules().name == jail)
                if (const SharedBan* last = counting.jail.last_of(prefix);
                    last != nullptr && (longest == nullptr || last->until > longest->until))
                    longest = last;
        Counted one{jail, longest == nullptr ? std::move(ban) : *longest, {}, longest == nullptr};
        for (NodeIndex node : one.ban.nodes) one.makers.push_back(nodes_.at(node));
        std::ranges::sort(one.makers);
        all.push_back(std::move(one));
    }
    return all;
}

std::map<std::string, std::size_t> FleetCounter::rules_by_jail() const {
    std::map<std::string, std::size_t> count;
    for (const auto& [text, counting] : jails_)
        if (counting.jail.hits() > 0) ++count[counting.jail.rules().name];
    return count;
}

std::size_t FleetCounter::hits() const {
    std::size_t all = 0;
    for (const auto& [text, counting] : jails_) all += counting.jail.hits();
    return all;
}

// ---- for the state

std::size_t FleetCounter::waiting_rows() const {
    std::size_t waiting = 0;
    for (const auto& [text, counting] : jails_) waiting += counting.jail.waiting_rows();
    return waiting;
}

void FleetCounter::take_rows(std::vector<FleetRow>& rows, std::size_t most) {
    auto put = [&](std::string_view kind, std::string key, std::optional<std::string> value) {
        rows.push_back({std::string(kind), std::move(key), std::move(value)});
    };
    for (; stored_nodes_ < nodes_.size(); ++stored_nodes_)
        put(node_row, std::to_string(stored_nodes_), nodes_[stored_nodes_]);
    if (std::exchange(now_changed_, false)) put(now_row, "", std::to_string(now_.us));
    for (auto& [text, counting] : jails_) {
        if (!std::exchange(counting.is_stored, true)) put(rules_row, text, "");
        if (std::exchange(counting.pardons_changed, false))
            put(pardons_row, text, counting.jail.pardons());
        auto groups = counting.jail.take_rows(most);
        most -= groups.size();
        for (SharedJail::Row& row : groups)
            put(group_row, text + '\0' + to_string(row.group), std::move(row.bytes));
    }
}

void FleetCounter::mark_all_changed() {
    stored_nodes_ = 0;
    now_changed_ = true;
    for (auto& [text, counting] : jails_) {
        counting.is_stored = false;
        counting.pardons_changed = true;
        counting.jail.mark_all_changed();
    }
}

bool FleetCounter::restore(const FleetRow& row) {
    if (!row.value) return false;
    if (row.kind == rules_row) {
        if (Counting* counting = counting_for(row.key)) counting->is_stored = true;
    } else if (row.kind == now_row) {
        std::from_chars(row.value->data(), row.value->data() + row.value->size(), now_.us);
    } else if (row.kind == node_row || row.kind == pardons_row || row.kind == group_row) {
        groups_.push_back(row);
    } else {
        return false;
    }
    return true;
}

void FleetCounter::restored() {
    std::map<std::size_t, std::string> names;
    for (const FleetRow& row : groups_) {
        if (row.kind == node_row) {
            std::size_t index = most_nodes;
            std::from_chars(row.key.data(), row.key.data() + row.key.size(), index);
            if (index < most_nodes) names[index] = *row.value;
        }
        if (row.kind == pardons_row)
            if (Counting* counting = counting_for(row.key))
                counting->jail.restore_pardons(*row.value);
    }
    for (const auto& [index, name] : names)
        if (index == nodes_.size()) index_of(name);
    stored_nodes_ = nodes_.size();
    for (const FleetRow& row : std::exchange(groups_, {})) {
        auto parted = row.key.find('\0');
        if (row.kind != group_row || parted == std::string::npos) continue;
        auto group = parse_prefix(std::string_view(row.key).substr(parted + 1));
        Counting* counting = counting_for(row.key.substr(0, parted));
        if (group && counting != nullptr) counting->jail.restore(*group, *row.value);
    }
}

}  // namespace bandd
