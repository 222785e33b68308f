// SPDX-License-Identifier: GPL-2.0-or-later
// bandctl bans, ban, unban, flush.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <expected>

#include "action/dispatch.h"
#include "config/types.h"
#include "core/base/typed_prefix.h"
#include "core/decide/engine.h"
#include "daemon/ban_json.h"
#include "daemon/checkpointer.h"
#include "daemon/commands.h"
#include "daemon/overrides.h"
#include "daemon/pipeline.h"
#include "daemon/slices.h"
#include "facts/databases.h"
#include "os/clock.h"

namespace bandd {
namespace {

const std::string& jail_name(const CommandParts& parts, const Ban& ban) {
    return parts.engine.rules(ban.key.jail).name;
}

// What `bandctl bans` asks for.
struct Wanted {
    std::optional<JailIndex> jail;
    std::optional<Prefix> within;
    bool covering = false;  // and what holds `within`
    std::string country, reason;
    Instant since{INT64_MIN};

    bool is_within(const Prefix& prefix) const {
        if (prefix.length >= within->length) return contains(*within, prefix.network);
        return covering && contains(prefix, within->network);
    }

    bool takes(const Ban& ban, const GeoDatabases& facts) const {
        if (jail && ban.key.jail != *jail) return false;
        if (ban.from < since) return false;
        if (within && !is_within(ban.key.prefix)) return false;
        if (!reason.empty() && (!ban.story || ban.story->reason.find(reason) == std::string::npos))
            return false;
        return country.empty() || facts.origin(ban.key.prefix.network).country == country;
    }
};

std::expected<Wanted, Json> read_wanted(const CommandParts& parts, const Json& arguments) {
    Wanted wanted;
    if (std::string name = text_argument(arguments, "jail"); !name.empty()) {
        auto jail = find_jail(parts, name);
        if (!jail) return std::unexpected(failure(jail.error()));
        wanted.jail = *jail;
    }
    if (std::string text = text_argument(arguments, "within"); !text.empty()) {
        auto prefix = read_prefix(text);
        if (!prefix) return std::unexpected(failure(prefix.error(), exit_usage));
        wanted.within = *prefix;
    }
    wanted.covering = arguments.value("covering", Json(false)) == true;
    if (std::string text = text_argument(arguments, "since"); !text.empty()) {
        auto since = since_when(text, now());
        if (!since) return std::unexpected(failure(since.error(), exit_usage));
        wanted.since = *since;
    }
    wanted.reason = text_argument(arguments, "reason");
    wanted.country = text_argument(arguments, "country");
    for (char& c : wanted.country)
        c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    if (!wanted.country.empty() && parts.facts.empty())
        return std::unexpected(failure({"country \"" + wanted.country + "\"",
                                        "no database says where addresses are",
                                        "name one with \"geoip:\" in bandd.yaml",
                                        {}}));
    return wanted;
}

// A part of all of them, as they stand in the table: "next" is where the rest begins. So a client
// that wants a million holds up nobody.
Json page_of_bans(const CommandParts& parts, const Wanted& wanted, std::size_t from) {
    constexpr std::size_t most_bans = 1000;
    constexpr std::size_t most_slots = 50'000;
    const BanTable& table = parts.engine.bans();
    std::size_t end = std::min<std::size_t>(table.slots(), from + most_slots);
    Json list = Json::array();
    std::size_t slot = from;
    for (; slot < end && list.size() < most_bans; ++slot) {
        const Ban* ban = table.at(static_cast<std::uint32_t>(slot));
        if (ban != nullptr && wanted.takes(*ban, parts.facts))
            list.push_back(ban_to_json(*ban, jail_name(parts, *ban)));
    }
    Json page{{"bans", std::move(list)}};
    if (slot < table.slots()) page["next"] = slot;
    return success(std::move(page));
}

// What bans are sorted by, and how they are found again.
struct Listed {
    BanKey key;
    Instant from, until;
    std::uint64_t hits = 0;
    std::size_t place = 0;  // of its jail, as configured
};

class Sorting {
  public:
    Sorting(std::string_view by, bool reverse) : by_(read(by)), reverse_(reverse) {}
    bool operator()(const Listed& first, const Listed& second) const {
        return reverse_ ? before(second, first) : before(first, second);
    }

  private:
    enum class By : std::uint8_t { from, until, ip, jail, hits };
    static By read(std::string_view by) {
        if (by == "until") return By::until;
        if (by == "ip") return By::ip;
        if (by == "jail") return By::jail;
        return by == "hits" ? By::hits : By::from;
    }
    bool before(const Listed& a, const Listed& b) const {
        if (by_ == By::until && a.until != b.until) return a.until < b.until;
        if (by_ == By::jail && a.place != b.place) return a.place < b.place;
        if (by_ == By::hits && a.hits != b.hits) return a.hits > b.hits;
        if (by_ != By::ip && a.from != b.from) return a.from > b.from;
        if (a.key.prefix != b.key.prefix) return a.key.prefix < b.key.prefix;
        return a.place < b.place;
    }
    By by_;
    bool reverse_;
};

// The first `most` of all bans in that order. They are looked at some at a time; bans that come or
// go meanwhile may be in it or not.
class BanList {
  public:
    BanList(CommandParts& parts, Wanted wanted, Sorting order, std::size_t most)
        : parts_(parts), wanted_(std::move(wanted)), order_(std::move(order)), most_(most) {
        for (std::size_t i = 0; JailIndex jail : parts.engine.jails()) {
            places_.resize(std::max<std::size_t>(places_.size(), jail + 1U));
            places_[jail] = i++;
        }
    }
    std::size_t total() const { return total_; }
    // False: all were looked at, and `next` gives them.
    bool look() {
        constexpr std::uint32_t slots_a_step = 1024;
        const BanTable& table = parts_.engine.bans();
        std::uint32_t end = std::min(table.slots(), slot_ + slots_a_step);
        for (; slot_ < end; ++slot_) {
            const Ban* ban = table.at(slot_);
            if (ban == nullptr || !wanted_.takes(*ban, parts_.facts)) continue;
            ++total_;
            JailIndex jail = ban->key.jail;
            rows_.push_back({ban->key, ban->from, ban->until, ban->hits,
                             jail < places_.size() ? places_[jail] : SIZE_MAX});
            if (rows_.size() / 2 > most_) cut();
        }
        if (slot_ < table.slots()) return true;
        cut();
        std::ranges::make_heap(rows_,
                               [this](const Listed& a, const Listed& b) { return order_(b, a); });
        return false;
    }
    std::optional<Listed> next() {
        if (rows_.empty()) return {};
        std::ranges::pop_heap(rows_,
                              [this](const Listed& a, const Listed& b) { return order_(b, a); });
        Listed row = rows_.back();
        rows_.pop_back();
        return row;
    }

  private:
    void cut() {
        if (rows_.size() <= most_) return;
        std::ranges::nth_element(rows_, rows_.begin() + static_cast<std::ptrdiff_t>(most_), order_);
        rows_.resize(most_);
    }

    CommandParts& parts_;
    Wanted wanted_;
    Sorting order_;
    std::size_t most_;
    std::vector<std::size_t> places_;  // by jail
    std::vector<Listed> rows_;
    std::uint32_t slot_ = 0;
    std::size_t total_ = 0;
};

std::optional<Json> bans(CommandParts& parts, const Json& arguments, const Reply& reply) {
    auto wanted = read_wanted(parts, arguments);
    if (!wanted) return wanted.error();
    if (auto from = arguments.find("from"); from != arguments.end())
        return page_of_bans(parts, *wanted, number_argument(arguments, "from", 0));
    std::size_t skip = number_argument(arguments, "skip", 0);
    std::size_t limit = limit_argument(arguments);
    std::size_t most = limit > SIZE_MAX - skip ? SIZE_MAX : skip + limit;
    struct Work {
        BanList list;
        ListAnswer answer{"bans"};
        bool looking = true;
        std::size_t skipped = 0;
    };
    auto work = std::make_shared<Work>(BanList(
        parts, std::move(*wanted),
        Sorting(text_argument(arguments, "sort"), arguments.value("reverse", Json(false)) == true),
        most));
    parts.slices.add([=, &parts] {
        if (work->looking) {
            work->looking = work->list.look();
            return true;
        }
        auto row = work->list.next();
        if (!row) {
            reply.line(std::move(work->answer)
                           .line({{"total", work->list.total()}, {"skipped", work->skipped}}));
            return false;
        }
        if (work->skipped < skip)
            ++work->skipped;
        else if (const Ban* ban = parts.engine.bans().find(row->key); ban != nullptr)
            work->answer.add(ban_to_json(*ban, jail_name(parts, *ban)));
        return true;
    });
    return {};
}

// An answer waits until so many bans are out of the kernel's sets, and not for more.
constexpr std::size_t most_waited_for = 64;

// Blocks that are wider are mistyped more often than meant.
constexpr int widest_v4 = 16, widest_v6 = 32;

std::optional<Error> refuse_if_wide(const Engine& engine, JailIndex jail, const Prefix& prefix) {
    int widest = prefix.is_v4() ? widest_v4 : widest_v6;
    if (prefix.length >= widest) return {};
    std::string reason = "it is wider than a /" + std::to_string(widest);
    if (engine.holds_exempt(jail, prefix))
        reason += ", and ignored addresses or this machine's own are in it";
    return Error{"ban " + to_string(prefix), reason, "use --force to ban it all the same", {}};
}

// Of a ban that `bandctl bans` listed.
std::optional<Engine::BanOrder::Past> read_past(const Json& arguments) {
    auto listed = arguments.find("again");
    if (listed == arguments.end() || !listed->is_object()) return {};
    auto number = [&](const char* name, std::int64_t least, std::int64_t most) {
        auto found = listed->find(name);
        bool is_number = found != listed->end() && found->is_number_integer();
        return std::clamp(is_number ? found->get<std::int64_t>() : least, least, most);
    };
    Engine::BanOrder::Past past;
    past.from = Instant{number("from", 0, INT64_MAX)};
    past.offence = static_cast<std::uint32_t>(number("offence", 1, UINT32_MAX));
    past.hits = static_cast<std::uint32_t>(number("hits", 0, UINT32_MAX));
    past.by_hand = listed->value("by_hand", Json(true)) == true;
    return past;
}

// The order that these arguments are, or why it cannot be given. What is the same for many orders
// is in `for_all`.
std::expected<Engine::BanOrder, Json> read_order(const CommandParts& parts, const Json& arguments,
                                                 const Json& for_all, Instant at) {
    std::string text = text_argument(arguments, "ip");
    auto prefix = read_prefix(text);
    if (!prefix) return std::unexpected(failure(prefix.error(), exit_usage));
    auto text_of = [&](const char* key) {
        std::string own = text_argument(arguments, key);
        return own.empty() ? text_argument(for_all, key) : own;
    };
    std::string name = text_of("jail");
    auto jail = find_jail(parts, name.empty() ? std::string(manual_jail) : name);
    if (!jail) return std::unexpected(failure(jail.error()));
    Engine::BanOrder order{
        *jail, *prefix, {}, text_of("reason"), for_all.value("force", Json(false)) == true};
    if (std::string span = text_of("for"); !span.empty()) {
        order.bantime = parse_duration(span);
        if (!order.bantime || *order.bantime <= Duration{0})
            return std::unexpected(failure(bad_duration(span), exit_usage));
    }
    // An end in place of a time, in microseconds since 1970.
    if (auto until = arguments.find("until"); until != arguments.end()) {
        order.bantime = Instant{until->is_number_integer() ? until->get<std::int64_t>() : 0} - at;
        if (*order.bantime <= Duration{0})
            return std::unexpected(
                failure({"ban " + to_string(*prefix), "its time is over already", {}, {}}));
    }
    bool forced = order.even_if_ignored;
    order.past = read_past(arguments);
    // With --force a list of bans says of each whether it was forced.
    if (order.past && arguments.value("even_if_ignored", Json(false)) != true)
        order.even_if_ignored = false;
    if (!order.even_if_ignored) {
        if (auto wide = refuse_if_wide(parts.engine, *jail, *prefix); wide && !forced)
            return std::unexpected(failure(*wide));
        const JailRules& rules = parts.engine.rules(*jail);
        if (rules.ignoreip.overlaps(*prefix) && parts.overrides.allows(*prefix, rules.name))
            return std::unexpected(failure({"ban " + to_string(*prefix),
                                            "it is allowed by hand (bandctl allow list)",
                                            "use --force to ban it all the same",
                                            {}}));
    }
    // An address alone means what the jail bans as one: an IPv6 host's /64.
    if (prefix->is_single() && text.find('/') == std::string::npos)
        order.prefix = parts.engine.key_for(*jail, prefix->network);
    if (auto good = parts.engine.check_ban(order); !good)
        return std::unexpected(failure(good.error()));
    return order;
}

Json ban(CommandParts& parts, const Json& arguments, const Reply&) {
    Instant at = now();
    auto order = read_order(parts, arguments, arguments, at);
    if (!order) return order.error();
    Outcome outcome;
    if (auto done = parts.engine.ban_by_hand(*order, at, outcome); !done)
        return failure(done.error());
    parts.pipeline.put_at_once(outcome, at);
    const Ban& made = *parts.engine.bans().find({order->jail, order->prefix});
    Json result = ban_to_json(made, jail_name(parts, made));
    if (made.state == BanState::pending)
        for (const TargetStatus& target : parts.dispatch.targets())
            if (target.spec.jail == order->jail && target.error)
                result["error"] = to_line(*target.error);
    return success(std::move(result));
}

std::vector<const Ban*> bans_over(const CommandParts& parts, std::optional<JailIndex> jail,
                                  const Prefix& prefix) {
    std::vector<const Ban*> over = parts.engine.bans_over(prefix);
    if (jail) std::erase_if(over, [&](const Ban* ban) { return ban->key.jail != *jail; });
    return over;
}

Error nothing_lifted(const CommandParts& parts, const Prefix& prefix,
                     const std::vector<const Ban*>& over) {
    std::string who = to_string(prefix);
    if (over.empty()) return {"\"" + who + "\"", "is not banned", "bandctl bans shows who is", {}};
    std::string block = to_string(over.front()->key.prefix);
    return {
        who,
        "is banned only as a part of " + block + " (jail " + jail_name(parts, *over.front()) + ")",
        "bandctl unban " + block + " lifts that whole block, and so does --covering",
        {}};
}

// With "check" nobody is banned, and only what would be refused is told. If there is not room for
// `count` bans, also for how many there is, and which of these would take it.
Json ban_many(CommandParts& parts, const Json& arguments, const Reply&) {
    bool only_check = arguments.value("check", Json(false)) == true;
    Outcome outcome;
    Instant at = now();
    std::size_t made = 0, renewed = 0, number = 0;
    std::size_t room = parts.engine.room_for_bans();
    bool scarce = only_check && room < number_argument(arguments, "count", 0);
    Json fresh = Json::array();
    Json result = in_slice(arguments, [&](const Json& one) -> std::optional<Json> {
        std::size_t place = number++;
        auto order = read_order(parts, one, arguments, at);
        if (!order) return order.error();
        bool there = parts.engine.bans().find({order->jail, order->prefix}) != nullptr;
        if (only_check) {
            if (scarce && !there)
                fresh.push_back(
                    {{"at", place},
                     {"ban", fmt::format("{} {}", order->jail, to_string(order->prefix))}});
            return {};
        }
        if (auto done = parts.engine.ban_by_hand(*order, at, outcome); !done)
            return failure(done.error());
        ++(there ? renewed : made);
        return {};
    });
    parts.pipeline.put(outcome, at);
    result["banned"] = made;
    result["renewed"] = renewed;
    if (scarce) {
        result["fresh"] = std::move(fresh);
        result["room"] = room;
    }
    return success(std::move(result));
}

// Its own bans, of which there were `lifted`, are not those of `over`.
Error still_banned(const CommandParts& parts, const Prefix& prefix,
                   const std::vector<const Ban*>& over, std::size_t lifted) {
    Error error = nothing_lifted(parts, prefix, over);
    if (lifted > 0) error.reason = "its own ban is lifted, but it still " + error.reason;
    return error;
}

Json unban_many(CommandParts& parts, const Json& arguments, const Reply&) {
    Outcome outcome;
    Instant at = now();
    std::size_t lifted = 0, not_banned = 0;
    bool covering = arguments.value("covering", Json(false)) == true;
    Json result = in_slice(arguments, [&](const Json& one) -> std::optional<Json> {
        auto prefix = read_prefix(text_argument(one, "ip"));
        if (!prefix) return failure(prefix.error(), exit_usage);
        std::optional<JailIndex> jail;
        std::string name = text_argument(one, "jail");
        if (name.empty()) name = text_argument(arguments, "jail");
        if (!name.empty()) {
            auto found = find_jail(parts, name);
            if (!found) return failure(found.error());
            jail = *found;
        }
        std::size_t count = parts.engine.unban(
            jail, *prefix, at, outcome, covering ? Engine::Wider::covering : Engine::Wider::stay);
        lifted += count;
        auto over = bans_over(parts, jail, *prefix);
        if (!over.empty()) return failure(still_banned(parts, *prefix, over, count));
        if (count == 0) ++not_banned;
        return {};
    });
    parts.pipeline.put(outcome, at);
    result["unbanned"] = lifted;
    result["not_banned"] = not_banned;
    return success(std::move(result));
}

// Names the first `most_named` bans in an answer.
std::function<void(const Ban&)> namer(CommandParts& parts, std::shared_ptr<ListAnswer> answer,
                                      std::size_t most_named) {
    return [=, &parts](const Ban& ban) {
        if (answer->rows() < most_named) answer->add(ban_to_json(ban, jail_name(parts, ban)));
    };
}

std::optional<Json> unban_all(CommandParts& parts, std::optional<JailIndex> jail,
                              std::size_t most_named, const Reply& reply) {
    auto answer = std::make_shared<ListAnswer>("bans");
    lift_all(parts, {.jail = jail}, namer(parts, answer, most_named), [=](std::size_t count) {
        reply.line(std::move(*answer).line({{"unbanned", count}}));
    });
    return {};
}

// Bans in a block have to be looked for, and may be many; of an address there are none.
std::optional<Json> unban(CommandParts& parts, const Json& arguments, const Reply& reply) {
    std::optional<JailIndex> jail;
    if (std::string name = text_argument(arguments, "jail"); !name.empty()) {
        auto found = find_jail(parts, name);
        if (!found) return failure(found.error());
        jail = *found;
    }
    if (arguments.value("all", Json(false)) == true)
        return unban_all(parts, jail, most_in_an_answer, reply);
    std::string text = text_argument(arguments, "ip");
    auto prefix = read_prefix(text);
    if (!prefix) return failure(prefix.error(), exit_usage);
    bool all_over = arguments.value("covering", Json(false)) == true;
    Outcome outcome;
    Instant at = now();
    std::size_t count = parts.engine.unban_over(
        jail, *prefix, at, outcome, all_over ? Engine::Wider::covering : Engine::Wider::stay);
    auto answer = std::make_shared<ListAnswer>("bans");
    auto name = namer(parts, answer, most_in_an_answer);
    for (const Event& event : outcome.events)
        if (const auto* ended = std::get_if<Unbanned>(&event)) name(ended->ban);
    parts.pipeline.put(outcome, at);
    auto answer_with = [=, &parts, who = *prefix](std::size_t lifted) {
        std::vector<const Ban*> over = bans_over(parts, jail, who);  // wider ones, which stay
        if (lifted == 0) return reply(failure(nothing_lifted(parts, who, over)));
        Json others{{"unbanned", lifted}};
        for (const Ban* ban : over)
            others["covered_by"].push_back(ban_to_json(*ban, jail_name(parts, *ban)));
        // Of a few, the kernel has let go when the answer comes.
        Outcome nothing;
        if (lifted <= most_waited_for) parts.pipeline.put_at_once(nothing, now());
        reply.line(std::move(*answer).line(others));
    };
    if (prefix->is_single())
        parts.slices.add([=] {
            answer_with(count);
            return false;
        });
    else
        lift_all(parts, {.jail = jail, .inside = *prefix}, name,
                 [=](std::size_t inside) { answer_with(count + inside); });
    return {};
}

std::optional<Json> flush(CommandParts& parts, const Json&, const Reply& reply) {
    return unban_all(parts, {}, 0, reply);
}

}  // namespace

void lift_all(CommandParts& parts, const Engine::Lifting& lifting,
              std::function<void(const Ban&)> each, std::function<void(std::size_t)> then) {
    struct Work {
        std::uint32_t slot = 0;
        std::size_t count = 0;
    };
    parts.slices.add([=, &parts, each = std::move(each), then = std::move(then),
                      work = std::make_shared<Work>()] {
        Outcome outcome;
        Instant at = now();
        bool more = parts.engine.unban_some(lifting, work->slot, at, outcome);
        for (const Event& event : outcome.events)
            if (const auto* ended = std::get_if<Unbanned>(&event)) {
                ++work->count;
                each(ended->ban);
            }
        // What follows from the last step is an order, too.
        if (!outcome.events.empty() || !more) parts.checkpointer.write_for_good();
        parts.pipeline.put(outcome, at);
        if (!more) then(work->count);
        return more;
    });
}

// Some milliseconds' worth.
constexpr double longest_slice = 0.002;   // seconds
constexpr std::size_t least_orders = 32;  // however slow the machine is

Json in_slice(const Json& arguments,
              const std::function<std::optional<Json>(const Json& order)>& carry_out) {
    const Json orders = arguments.value("orders", Json::array());
    Json refused = Json::array();
    std::size_t done = 0;
    double begin = stopwatch();
    for (const Json& order : orders) {
        if (done >= least_orders && stopwatch() - begin > longest_slice) break;
        if (auto why = carry_out(order); why && why->contains("error"))
            refused.push_back({{"at", done}, {"error", (*why)["error"]}});
        ++done;
    }
    return {{"done", done}, {"refused", std::move(refused)}};
}

std::span<const CommandRow> ban_commands() {
    static const std::array table{
        CommandRow{"bans", bans},
        CommandRow{"ban", ban, true},
        CommandRow{"unban", unban, true},
        CommandRow{"ban many", ban_many, true},
        CommandRow{"unban many", unban_many, true},
        CommandRow{"flush", flush, true},
    };
    return table;
}

}  // namespace bandd
