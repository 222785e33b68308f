// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/bulk.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <optional>
#include <set>

#include "cli/call.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "core/base/typed_prefix.h"
#include "core/text/datetime.h"
#include "os/zoneinfo.h"

namespace bandd {
namespace {

constexpr std::size_t most_shown = 100;        // bad lines
constexpr std::size_t slice_bytes = 48 << 10;  // well below largest_request
constexpr std::size_t most_in_a_slice = 1000;  // orders
constexpr std::size_t least_in_a_slice = 32;
constexpr std::size_t most_quoted = 100;  // bytes of a word; no address has as many
constexpr std::string_view by_hand = "by hand", by_hand_head = "by hand: ";  // bandd's own words

std::string next_word(std::string_view& rest) {
    auto begin = std::min(rest.find_first_not_of(" \t\r"), rest.size());
    auto end = std::min(rest.find_first_of(" \t\r", begin), rest.size());
    std::string word(rest.substr(begin, end - begin));
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t\r", end), rest.size()));
    return word;
}

std::string shortened(std::string word) {
    if (word.size() <= most_quoted) return word;
    return word.substr(0, most_quoted) + "…";
}

std::optional<Instant> parse_date(const std::string& text, Instant now) {
    constexpr std::size_t day = 10, minute = 16;  // 2026-12-01, 2026-12-01 12:30
    std::string stamp = text;
    if (text.size() == day) stamp += " 00:00:00";
    if (text.size() == minute) stamp += ":00";
    auto date = scan_iso_date(stamp);
    if (!date || date->length != stamp.size()) return {};
    return resolve(*date, read_zone("").value_or(Zone{}), now);
}

// `2hh`, `-1h`, `0`.
bool looks_like_end(std::string_view word) {
    if (word.starts_with('-')) word.remove_prefix(1);
    return !word.empty() && word.front() >= '0' && word.front() <= '9';
}

class Reader {
  public:
    Reader(Bulk& bulk, Instant now) : bulk_(bulk), now_(now) {}

    void take_line(const std::string& line, const Place& where) {
        std::string_view rest = line;
        rest.remove_prefix(std::min(rest.find_first_not_of(" \t\r"), rest.size()));
        if (rest.empty() || rest.front() == '#') return;
        if (rest.front() == '{') return take_json(rest, where);
        BulkOrder order;
        order.where = where;
        order.ip = shortened(next_word(rest));
        std::string_view after = rest;
        std::string word = next_word(after);
        std::string_view behind = after;
        std::string second = next_word(behind);
        auto end = parse_date(word + " " + second, now_);
        if (end)
            after = behind;
        else
            end = parse_date(word, now_);
        auto span = parse_duration(word);
        if (span && *span > Duration{0}) {
            order.span = word;
            rest = after;
        } else if (end) {
            if (*end <= now_) return void(++bulk_.over);
            order.until = *end;
            rest = after;
        } else if (looks_like_end(word)) {
            return bulk_.bad.push_back(
                {"end \"" + shortened(word) + "\"", "is neither a time nor a date",
                 "write 2h, forever, 2026-12-01 or 2026-12-01T12:30:00Z", where});
        }
        order.reason = rest.substr(0, rest.find_last_not_of(" \t\r") + 1);
        add(std::move(order));
    }

    void add(BulkOrder order) {
        auto bad = [&](Error error) {
            error.where = order.where;
            bulk_.bad.push_back(std::move(error));
        };
        if (auto prefix = read_prefix(order.ip); !prefix) return bad(prefix.error());
        std::size_t longest = order.listed ? longest_listed_reason : longest_reason;
        if (order.reason.size() > longest)
            return bad({"the reason", fmt::format("is longer than {} bytes", longest), {}, {}});
        if (bulk_.orders.size() >= most_orders)
            return bad({"\"" + order.ip + "\"",
                        fmt::format("it is more than {} addresses", most_orders),
                        {},
                        {}});
        bulk_.orders.push_back(std::move(order));
    }

  private:
    void bad(std::string what, std::string why, std::string hint, const Place& where) {
        bulk_.bad.push_back({std::move(what), std::move(why), std::move(hint), where});
    }

    void take_json(std::string_view text, const Place& where) {
        Json json = Json::parse(text, nullptr, false);
        if (!json.is_object()) return bad("the line", "is no JSON", {}, where);
        if (!json.contains("bans")) return take_ban(json, where);
        if (!json["bans"].is_array()) return bad("\"bans\"", "is no list", {}, where);
        for (const Json& ban : json["bans"]) take_ban(ban, where);
    }

    // A value of another type is not taken for none: that would be another ban than was meant.
    bool has_types(const Json& ban, const Place& where) {
        auto is = [&](const char* key, auto is_type, const char* otherwise) {
            auto value = ban.find(key);
            if (value == ban.end() || is_type(*value)) return true;
            bad(fmt::format("\"{}\": {}", key, shortened(value->dump())), otherwise, {}, where);
            return false;
        };
        auto is_text = [](const Json& value) { return value.is_string() || value.is_null(); };
        auto is_yes_or_no = [](const Json& value) { return value.is_boolean(); };
        auto is_count = [](const Json& value) {
            return value.is_number_integer() && value.get<std::int64_t>() >= 0;
        };
        return is("ip", is_text, "is no text") && is("jail", is_text, "is no text") &&
               is("reason", is_text, "is no text") && is("from", is_text, "is no text") &&
               is("by_hand", is_yes_or_no, "is neither true nor false") &&
               is("force", is_yes_or_no, "is neither true nor false") &&
               is("even_if_ignored", is_yes_or_no, "is neither true nor false") &&
               is("offence", is_count, "is no number") && is("hits", is_count, "is no number");
    }

    // Since 1970.
    static std::optional<Instant> parse_seconds(const Json& number) {
        constexpr double latest = 253'402'300'800;  // the year 10,000
        constexpr double microseconds = 1e6;
        double seconds = number.get<double>();
        if (!(seconds >= 0 && seconds < latest)) return {};
        if (number.is_number_integer()) return Instant::from_seconds(number.get<std::int64_t>());
        return Instant{static_cast<std::int64_t>(seconds * microseconds)};
    }

    // False: it is no end, which was said, or it is over, which was counted.
    bool take_end(const Json& ban, BulkOrder& order) {
        auto until = ban.find("until");
        if (until == ban.end()) return true;
        if (until->is_null()) {
            order.span = "forever";
            return true;
        }
        std::optional<Instant> end;
        if (until->is_number()) end = parse_seconds(*until);
        if (until->is_string()) end = parse_date(until->get<std::string>(), now_);
        if (!end)
            bad("until " + shortened(until->dump()), "is no date, and no second since 1970",
                "write \"2026-12-01T12:30:00Z\", 1796128200, or null for ever", order.where);
        else if (*end <= now_)
            ++bulk_.over;
        else
            order.until = *end;
        return order.until.has_value();
    }

    void take_ban(const Json& ban, const Place& where) {
        if (!ban.is_object())
            return bad(shortened(ban.dump()), "is no ban", "write {\"ip\": \"203.0.113.9\"}",
                       where);
        if (!has_types(ban, where)) return;
        BulkOrder order;
        order.where = where;
        order.ip = shortened(text_argument(ban, "ip"));
        order.jail = text_argument(ban, "jail");
        order.reason = text_argument(ban, "reason");
        order.even_if_ignored = ban.value("even_if_ignored", false) || ban.value("force", false);
        if (!take_end(ban, order)) return;
        if (ban.contains("by_hand")) {
            order.listed = {parse_date(text_argument(ban, "from"), now_),
                            ban.value("offence", std::int64_t{1}),
                            ban.value("hits", std::int64_t{0}), ban.value("by_hand", true)};
        } else {
            if (order.reason == by_hand) order.reason.clear();
            if (order.reason.starts_with(by_hand_head)) order.reason.erase(0, by_hand_head.size());
        }
        add(std::move(order));
    }

    Bulk& bulk_;
    Instant now_;
};

Json order_to_json(const BulkOrder& order, const Json& for_all) {
    Json json{{"ip", order.ip}};
    if (!order.span.empty()) json["for"] = order.span;
    if (order.until) json["until"] = order.until->us;
    if (!order.reason.empty()) json["reason"] = order.reason;
    if (order.listed) {
        json["again"] = {{"offence", order.listed->offence},
                         {"hits", order.listed->hits},
                         {"by_hand", order.listed->by_hand}};
        json["again"]["from"] = order.listed->from.value_or(never).us;
    }
    if (order.even_if_ignored) json["even_if_ignored"] = true;
    // A jail that is named on the command line is that of all.
    if (!order.jail.empty() && text_argument(for_all, "jail").empty()) json["jail"] = order.jail;
    return json;
}

// As many orders from `begin` on as one request may hold, and no more than `most`.
Json slice_of(std::size_t begin, std::size_t end, std::size_t most,
              const std::function<Json(std::size_t)>& order_at) {
    Json slice = Json::array();
    std::size_t bytes = 0;
    for (std::size_t i = begin; i < end && slice.size() < most; ++i) {
        Json one = order_at(i);
        bytes += one.dump(-1, ' ', false, Json::error_handler_t::replace).size() + 1;
        if (bytes > slice_bytes && !slice.empty()) break;
        slice.push_back(std::move(one));
    }
    return slice;
}

void add_up(Json& sums, const Json& result) {
    for (const auto& [name, value] : result.items())
        if (value.is_number() && name != "done" && name != "room")
            sums[name] = sums.value(name, std::uint64_t{0}) + value.get<std::uint64_t>();
    if (result.contains("unsaved")) sums["unsaved"] = result["unsaved"];
}

}  // namespace

Bulk read_bulk(std::istream& in, Instant now) {
    Bulk bulk;
    Reader reader(bulk, now);
    std::string line;
    for (int number = 1; std::getline(in, line); ++number)
        reader.take_line(line, {"standard input", number, 0});
    return bulk;
}

Bulk read_bulk(const std::vector<std::string>& words, Instant now) {
    if (words.size() == 1 && words.front() == "-") return read_bulk(std::cin, now);
    Bulk bulk;
    Reader reader(bulk, now);
    for (const std::string& word : words) reader.add({word, {}, {}, {}, {}, {}});
    return bulk;
}

std::vector<Error> unforced(const Bulk& bulk) {
    std::vector<Error> unforced;
    for (const BulkOrder& order : bulk.orders)
        if (order.even_if_ignored)
            unforced.push_back({"ban " + order.ip, "the line wants it even if ignoreip holds it",
                                "use --force if that is meant", order.where});
    return unforced;
}

int refuse_bad(const std::vector<Error>& bad) {
    if (bad.empty()) return exit_done;
    for (std::size_t i = 0; i < std::min(bad.size(), most_shown); ++i) print_error(bad[i]);
    if (bad.size() > most_shown)
        print_error({fmt::format("… and {} more", bad.size() - most_shown), {}, {}, {}});
    return exit_usage;
}

std::expected<Json, int> send_slices(
    const CommonOptions& common, const std::string& command, std::size_t count,
    const std::function<Json(std::size_t number)>& order_at, const Json& for_all,
    const std::function<void(std::size_t number, Error error)>& refuse,
    const std::function<void(std::size_t done, const Json& result)>& each) {
    Json sums = Json::object();
    Progress progress(count, !common.json);
    auto begun = begin_call(common, "version", Json::object());
    if (!begun) return std::unexpected(begun.error());
    // What bandd does not reach in its turn is sent again: about twice as much as it did last.
    std::size_t most = least_in_a_slice;
    for (std::size_t done = 0; done < count;) {
        Json arguments = for_all;
        arguments["orders"] = slice_of(done, count, most, order_at);
        arguments["more"] = done + arguments["orders"].size() < count;
        auto result = ask(begun->client, command, arguments);
        if (!result) return std::unexpected(result.error());
        std::size_t taken = result->value("done", std::size_t{0});
        if (taken == 0) break;
        for (const Json& one : list(*result, "refused"))
            refuse(done + one.value("at", std::size_t{0}),
                   error_from_json(one.value("error", Json::object())));
        if (each) each(done, *result);
        add_up(sums, *result);
        done += taken;
        most = std::clamp(2 * taken, least_in_a_slice, most_in_a_slice);
        progress.show(done);
    }
    return sums;
}

namespace {

// Where the refused order came from is known here only.
std::function<void(std::size_t, Error)> noting(const std::vector<BulkOrder>& orders,
                                               std::vector<Error>& refused) {
    return [&](std::size_t number, Error error) {
        if (number < orders.size()) error.where = orders[number].where;
        refused.push_back(std::move(error));
    };
}

}  // namespace

std::expected<Json, int> send_orders(const CommonOptions& common, const std::string& command,
                                     const std::vector<BulkOrder>& orders, const Json& for_all,
                                     std::vector<Error>& refused) {
    return send_slices(
        common, command, orders.size(),
        [&](std::size_t number) { return order_to_json(orders[number], for_all); }, for_all,
        noting(orders, refused));
}

std::expected<std::vector<Error>, int> find_refused(const CommonOptions& common,
                                                    const std::vector<BulkOrder>& orders,
                                                    Json for_all) {
    std::vector<Error> refused;
    std::set<std::string> fresh;  // bans that would take a place; two orders may be one
    std::vector<std::size_t> over;
    for_all["check"] = true;
    for_all["count"] = orders.size();
    auto checked = send_slices(
        common, "ban many", orders.size(),
        [&](std::size_t number) { return order_to_json(orders[number], for_all); }, for_all,
        noting(orders, refused),
        [&](std::size_t done, const Json& result) {
            auto room = result.value("room", std::size_t{0});
            for (const Json& one : list(result, "fresh")) {
                std::string ban = text_argument(one, "ban");
                if (fresh.contains(ban)) continue;
                if (fresh.size() < room)
                    fresh.insert(std::move(ban));
                else
                    over.push_back(done + one.value("at", std::size_t{0}));
            }
        });
    if (!checked) return std::unexpected(checked.error());
    for (std::size_t number : over)
        if (number < orders.size())
            refused.push_back({"ban " + orders[number].ip,
                               fmt::format("there is room for {} more bans only", fresh.size()),
                               "raise \"ban_limit\" in bandd.yaml", orders[number].where});
    return refused;
}

}  // namespace bandd
