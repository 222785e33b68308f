// SPDX-License-Identifier: GPL-2.0-or-later
// What bandctl import takes over from another ban daemon while bandd runs.
#include <algorithm>
#include <array>
#include <expected>
#include <iterator>
#include <memory>

#include "control/heritage.h"
#include "core/decide/engine.h"
#include "daemon/checkpointer.h"
#include "daemon/commands.h"
#include "daemon/pipeline.h"
#include "os/clock.h"

namespace bandd {
namespace {

constexpr std::int64_t most_remembered_times = 10;

// In microseconds; without "bantime" it is the jail's, INT64_MAX is for ever.
std::expected<Engine::Inherited, Json> read_inherited(const CommandParts& parts,
                                                      const Json& order) {
    auto bad = [&](const char* what) {
        return std::unexpected(failure({what, "is missing or wrong", {}, {}}, exit_usage));
    };
    auto number = [&](const char* name) -> std::optional<std::int64_t> {
        auto found = order.find(name);
        if (found == order.end() || !found->is_number_integer()) return {};
        return found->get<std::int64_t>();
    };
    auto jail = find_jail(parts, text_argument(order, "jail"));
    if (!jail) return std::unexpected(failure(jail.error()));
    auto prefix = parse_prefix(text_argument(order, "ip"));
    if (!prefix) return bad("ip");
    auto from = number("from"), bantime = number("bantime");
    auto offence = number("offence"), times = number("remembered_times"), hits = number("hits");
    if (!from) return bad("from");
    if (bantime && *bantime < 0) return bad("bantime");
    if (!offence || *offence < 1 || *offence > UINT32_MAX) return bad("offence");
    if (!times || *times < 1 || *times > most_remembered_times) return bad("remembered_times");
    if (!hits || *hits < 0 || *hits > UINT32_MAX) return bad("hits");
    auto story = std::make_shared<Story>();
    story->reason = text_argument(order, "reason");
    Engine::Inherited past;
    past.jail = *jail;
    past.prefix = *prefix;
    past.from = {*from};
    if (bantime) past.bantime = Duration{*bantime};
    past.ended = order.value("ended", Json(false)) == true;
    past.offence = static_cast<std::uint32_t>(*offence);
    past.remembered_times = static_cast<std::uint32_t>(*times);
    past.hits = static_cast<std::uint32_t>(*hits);
    past.story = std::move(story);
    return past;
}

// Some of the orders; "done" says how many.
Json inherit_many(CommandParts& parts, const Json& arguments, const Reply&) {
    std::array<std::size_t, heritages.size()> counts{};
    std::size_t led = 0;
    Outcome outcome, of_one;
    Instant at = now();
    Json result = in_slice(arguments, [&](const Json& one) -> std::optional<Json> {
        auto past = read_inherited(parts, one);
        if (!past) return past.error();
        of_one = {};
        ++counts[static_cast<std::size_t>(parts.engine.inherit(*past, at, of_one))];
        led += bans_of_others(of_one, past->jail);
        std::ranges::move(of_one.events, std::back_inserter(outcome.events));
        std::ranges::move(of_one.questions, std::back_inserter(outcome.questions));
        return {};
    });
    parts.pipeline.put(outcome, at);
    result[led_to] = led;
    for (std::size_t i = 0; i < counts.size(); ++i) result[heritages[i]] = counts[i];
    return success(std::move(result));
}

}  // namespace

std::span<const CommandRow> inherit_commands() {
    static const std::array table{CommandRow{"inherit many", inherit_many, true}};
    return table;
}

}  // namespace bandd
