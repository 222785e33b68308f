// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/bulk.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <optional>

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
constexpr std::size_t most_quoted = 100;                // bytes of a word; no address has as many
constexpr std::string_view by_hand_head = "by hand: ";  // bandd puts it before a reason

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
    std::string stamp = text.size() == 10 ? text + " 00:00:00" : text;
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
        // A bare number before other words is rather a part of the reason: "3 failures".
        bool bare = word.find_first_not_of("0123456789") == std::string::npos;
        std::string_view behind = after;
        std::string second = next_word(behind);
        auto end = parse_date(word + " " + second, now_);
        if (end)
            after = behind;
        else
            end = parse_date(word, now_);
        auto span = parse_duration(word);
        if (span && *span > Duration{0} && (!bare || after.empty())) {
            order.span = word;
            rest = after;
        } else if (end) {
            if (*end <= now_) return void(++bulk_.over);
            order.until = *end;
            rest = after;
        } else if (looks_like_end(word) && (!bare || after.empty())) {
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
        if (order.reason.size() > longest_reason)
            return bad(
                {"the reason", fmt::format("is longer than {} bytes", longest_reason), {}, {}});
        if (bulk_.orders.size() >= most_orders)
            return bad({"\"" + order.ip + "\"",
                        fmt::format("it is more than {} addresses", most_orders),
                        {},
                        {}});
        bulk_.orders.push_back(std::move(order));
    }

  private:
    void take_json(std::string_view text, const Place& where) {
        Json json = Json::parse(text, nullptr, false);
        if (!json.is_object()) return bulk_.bad.push_back({"the line", "is no JSON", {}, where});
        if (!json.contains("bans")) return take_ban(json, where);
        for (const Json& ban : list(json, "bans")) take_ban(ban, where);
    }

    void take_ban(const Json& ban, const Place& where) {
        BulkOrder order;
        order.where = where;
        if (ban.is_object()) {
            order.ip = shortened(text_argument(ban, "ip"));
            order.jail = text_argument(ban, "jail");
            order.reason = text_argument(ban, "reason");
            order.again = true;
            order.even_if_ignored = ban.value("even_if_ignored", Json(false)) == true;
        }
        if (order.reason == "by hand") order.reason.clear();
        if (order.reason.starts_with(by_hand_head)) order.reason.erase(0, by_hand_head.size());
        order.reason.resize(std::min(order.reason.size(), longest_reason));
        if (ban.contains("until") && ban["until"].is_null()) order.span = "forever";
        if (std::string until = text_argument(ban, "until"); !until.empty()) {
            auto end = parse_date(until, now_);
            if (!end)
                return bulk_.bad.push_back(
                    {"until \"" + shortened(until) + "\"", "is no date", {}, where});
            if (*end <= now_) return void(++bulk_.over);
            order.until = *end;
        }
        add(std::move(order));
    }

    Bulk& bulk_;
    Instant now_;
};

Json to_json(const BulkOrder& order, const Json& for_all) {
    Json json{{"ip", order.ip}};
    if (!order.span.empty()) json["for"] = order.span;
    if (order.until) json["until"] = order.until->us;
    if (!order.reason.empty()) json["reason"] = order.reason;
    if (order.again) json["again"] = true;
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
        if (value.is_number() && name != "done")
            sums[name] = sums.value(name, std::uint64_t{0}) + value.get<std::uint64_t>();
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
    const std::function<void(std::size_t number, Error error)>& refuse) {
    Json sums = Json::object();
    Progress progress(count, !common.json);
    auto begun = begin_call(common, "version", Json::object());
    if (!begun) return std::unexpected(begun.error());
    // What bandd does not reach in its turn is sent again: about twice as much as it did last.
    std::size_t most = least_in_a_slice;
    for (std::size_t done = 0; done < count;) {
        Json arguments = for_all;
        arguments["orders"] = slice_of(done, count, most, order_at);
        auto result = ask(begun->client, command, arguments);
        if (!result) return std::unexpected(result.error());
        std::size_t taken = result->value("done", std::size_t{0});
        if (taken == 0) break;
        for (const Json& one : list(*result, "refused"))
            refuse(done + one.value("at", std::size_t{0}),
                   error_from_json(one.value("error", Json::object())));
        add_up(sums, *result);
        done += taken;
        most = std::clamp(2 * taken, least_in_a_slice, most_in_a_slice);
        progress.show(done);
    }
    return sums;
}

std::expected<Json, int> send_orders(const CommonOptions& common, const std::string& command,
                                     const std::vector<BulkOrder>& orders, const Json& for_all,
                                     std::vector<Error>& refused) {
    return send_slices(
        common, command, orders.size(),
        [&](std::size_t number) { return to_json(orders[number], for_all); }, for_all,
        [&](std::size_t number, Error error) {
            if (number < orders.size()) error.where = orders[number].where;
            refused.push_back(std::move(error));
        });
}

}  // namespace bandd
