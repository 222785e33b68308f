// SPDX-License-Identifier: GPL-2.0-or-later
// The engine's part that bans wider IPv6 prefixes, once enough of what is in them offends.
#include <fmt/format.h>

#include <algorithm>

#include "core/decide/engine.h"

namespace bandd {
namespace {

// That a story names. A /56 has 256 of /64.
constexpr std::size_t most_named = 16;

std::string names_of(std::span<const Prefix> prefixes) {
    std::string names;
    for (const Prefix& prefix : prefixes.last(std::min(prefixes.size(), most_named)))
        names += (names.empty() ? "" : ", ") + to_string(prefix);
    if (prefixes.size() > most_named)
        names += fmt::format(" and {} more", prefixes.size() - most_named);
    return names;
}

}  // namespace

bool Engine::is_banned(JailIndex index, const Prefix& key, Instant at) const {
    auto holds = [&](const Prefix& prefix) {
        const Ban* ban = bans().find({index, prefix});
        return ban != nullptr && ban->until > at;
    };
    bool banned = holds(key);
    jails_[index].escalation.for_wider(
        key, [&](const Prefix& wider, std::uint32_t) { banned = banned || holds(wider); });
    return banned;
}

// Whether a hit is one of a wider prefix that is banned, or was when the line was written.
bool Engine::count_to_wider_ban(JailIndex index, const Prefix& key, Instant at, const Counted& hit,
                                Outcome& outcome) {
    bool counted = false;
    jails_[index].escalation.for_wider(key, [&](const Prefix& wider, std::uint32_t) {
        if (counted || (!bans().any_of_length(false, wider.length) && !ledger_.remembers())) return;
        counted = count_to_ban(index, wider, at, hit, outcome);
    });
    return counted;
}

void Engine::escalate(JailIndex index, const Prefix& key, const Counted& hit, Instant at,
                      std::uint64_t note, Outcome& outcome) {
    Jail& jail = jails_[index];
    jail.escalation.expire(std::max(at, hit.arrival) - jail.rules.findtime);
    std::optional<Instant> from;
    if (jail.rules.today) from = jail.window_start(at);
    for (const Escalation::Reached& reached : jail.escalation.add(key, at, from, note)) {
        auto is_in_it = [&](const Address& one) { return contains(reached.prefix, one); };
        // What holds this prefix holds the exempt address, too.
        if (holds_exempt(index, reached.prefix) || std::ranges::any_of(hit.exempt, is_in_it))
            return;
        ban_for(index, reached.prefix, hit.address, hit,
                static_cast<std::uint32_t>(reached.offenders.size()), story_of(index, reached, hit),
                outcome);
    }
}

std::shared_ptr<const Story> Engine::story_of(JailIndex index, const Escalation::Reached& reached,
                                              const Counted& hit) const {
    const JailRules& rules = jails_[index].rules;
    auto story = std::make_shared<Story>();
    story->reason =
        fmt::format("{}: {} of its /{} offended {}", hit.pattern, reached.offenders.size(),
                    reached.offenders.front().length,
                    rules.today ? "on one day" : "within " + format_duration(rules.findtime));
    story->fields = hit.fields;
    story->fields.set("offenders", names_of(reached.offenders));
    std::span<const Prefix> told = reached.offenders;
    for (const Prefix& offender : told.last(std::min<std::size_t>(told.size(), rules.maxmatches)))
        if (auto match = last_match(index, offender)) story->matches.push_back(std::move(*match));
    return story;
}

// The last line that is known of an offender, which may be banned by now.
std::optional<Match> Engine::last_match(JailIndex index, const Prefix& offender) const {
    if (auto view = jails_[index].windows.find(offender)) {
        auto lines = lines_.up_to(view->note, 1);
        if (!lines.empty()) return std::move(lines.back());
    }
    const Ban* ban = bans().find({index, offender});
    if (ban == nullptr || !ban->story || ban->story->matches.empty()) return {};
    return ban->story->matches.back();
}

}  // namespace bandd
