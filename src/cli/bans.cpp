// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <expected>
#include <optional>
#include <vector>

#include "cli/call.h"
#include "cli/output.h"
#include "core/text/datetime.h"
#include "os/clock.h"

namespace bandd {
namespace {

struct Options {
    std::string jail, within, sort = "from", country, since, reason, format = "table", limit;
    std::size_t skip = 0;
    bool reverse = false, covering = false;
};

constexpr std::size_t longest_table = 10'000;  // unless more is asked for

// As RFC 4180 has it.
std::string quoted(std::string cell) {
    if (cell.find_first_of(",\"\r\n") == std::string::npos) return cell;
    for (std::size_t at = 0; (at = cell.find('"', at)) != std::string::npos; at += 2)
        cell.insert(at, 1, '"');
    return '"' + cell + '"';
}

// What is said if --skip leaves none of them; else nothing.
std::string all_skipped(const Json& result) {
    auto total = result.value("total", std::size_t{0});
    if (total == 0 || total > result.value("skipped", std::size_t{0})) return {};
    return fmt::format("--skip leaves out all: there {} {}", total == 1 ? "is" : "are",
                       count_of(total, "ban"));
}

// For programs: what was cut off is said where it is no line of the list.
int print_lines(const Json& result, bool csv) {
    if (csv) fmt::print("address,jail,state,from,until,hits,reason\n");
    for (const Json& ban : list(result, "bans")) {
        fmt::print("{}", text(ban, "ip"));
        if (csv)
            for (const char* key : {"jail", "state", "from", "until", "hits", "reason"})
                fmt::print(",{}", quoted(text(ban, key)));
        fmt::print("\n");
    }
    flush_output();
    if (std::size_t rest = rest_of(result, list(result, "bans").size()); rest > 0)
        fmt::print(stderr, "{} more: use --limit\n", rest);
    else if (auto skipped = all_skipped(result); !skipped.empty())
        fmt::print(stderr, "{}\n", skipped);
    return exit_done;
}

int print_bans(const Json& result, bool filtered) {
    const Json& bans = list(result, "bans");
    if (bans.empty() && result.value("total", 0) == 0) {
        print_wrapped("nobody is banned{}\n", filtered ? " that this is true of" : "");
        return exit_done;
    }
    if (auto skipped = all_skipped(result); !skipped.empty()) {
        print_wrapped("{}\n", skipped);
        return exit_done;
    }
    std::vector<std::vector<std::string>> rows;
    Instant at = now();
    for (const Json& ban : bans) {
        std::string state = text(ban, "state");
        if (state == "pending") state = yellow(state);
        rows.push_back({text(ban, "ip"), text(ban, "jail"), state, local_time(text(ban, "from")),
                        local_time(text(ban, "until")), relative_time(text(ban, "until"), at),
                        text(ban, "hits"), text(ban, "reason")});
    }
    print_table({"ADDRESS", "JAIL", "STATE", "FROM", "UNTIL", "LEFT", "HITS", "REASON"}, rows,
                {"FROM", "HITS", "LEFT", "STATE"});
    print_rest(result, bans.size());
    return exit_done;
}

Json to_arguments(const Options& options) {
    return {
        {"jail", options.jail},       {"within", options.within}, {"country", options.country},
        {"since", options.since},     {"reason", options.reason}, {"sort", options.sort},
        {"reverse", options.reverse}, {"skip", options.skip},     {"covering", options.covering}};
}

// Before another one, as the daemon sorts them; but jails come by name.
bool comes_before(const Json& a, const Json& b, const std::string& sort) {
    auto prefix = [](const Json& ban) { return parse_prefix(text(ban, "ip")).value_or(Prefix{}); };
    auto when = [](const Json& ban, const char* key) {
        auto date = scan_iso_date(text(ban, key));
        return date ? resolve(*date, Zone{}, never) : never;
    };
    if (sort == "ip" && prefix(a) != prefix(b)) return prefix(a) < prefix(b);
    if (sort == "until" && when(a, "until") != when(b, "until"))
        return when(a, "until") < when(b, "until");
    if (sort == "jail" && text(a, "jail") != text(b, "jail"))
        return text(a, "jail") < text(b, "jail");
    std::uint64_t hits_a = a.value("hits", std::uint64_t{0});
    std::uint64_t hits_b = b.value("hits", std::uint64_t{0});
    if (sort == "hits" && hits_a != hits_b) return hits_a > hits_b;
    if (sort != "ip" && when(a, "from") != when(b, "from"))
        return when(a, "from") > when(b, "from");
    return std::pair(prefix(a), text(a, "jail")) < std::pair(prefix(b), text(b, "jail"));
}

// All of them, however many there are: if it is more than one answer holds, a page at a time, so
// that the daemon is not held up.
std::expected<Json, int> all_bans(const CommonOptions& common, const Options& options) {
    Json arguments = to_arguments(options);
    arguments["limit"] = longest_table;
    auto begun = begin_call(common, "bans", arguments);
    if (!begun) return std::unexpected(begun.error());
    if (rest_of(begun->result, list(begun->result, "bans").size()) == 0) return begun->result;
    std::vector<Json> bans;
    Json page{{"next", 0}};
    while (page.contains("next")) {
        arguments["from"] = page["next"];
        auto next = ask(begun->client, "bans", arguments);
        if (!next) return std::unexpected(next.error());
        page = std::move(*next);
        for (Json& ban : page["bans"]) bans.push_back(std::move(ban));
    }
    std::ranges::stable_sort(bans, [&](const Json& a, const Json& b) {
        return options.reverse ? comes_before(b, a, options.sort)
                               : comes_before(a, b, options.sort);
    });
    std::size_t total = bans.size();
    return Json{{"bans", std::move(bans)}, {"total", total}, {"skipped", 0}};
}

// Empty: it is no number.
std::optional<std::size_t> read_limit(const std::string& text) {
    std::size_t limit = 0;
    auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (fault == std::errc{} && end == text.data() + text.size()) return limit;
    print_error({"--limit \"" + text + "\"", "is no number of bans", {}, {}});
    return {};
}

int print(const Json& result, const Options& options) {
    bool filtered =
        !(options.jail + options.within + options.country + options.since + options.reason).empty();
    if (options.format == "table") return print_bans(result, filtered);
    return print_lines(result, options.format == "csv");
}

int bans(const CommonOptions& common, const Options& options) {
    if (!is_prefix(options.within)) return exit_usage;
    if (options.covering && options.within.empty()) {
        print_error({"--covering", "says nothing without --within", {}, {}});
        return exit_usage;
    }
    bool for_programs = common.json || options.format != "table";
    if (for_programs && options.limit.empty() && options.skip == 0) {
        auto all = all_bans(common, options);
        if (!all) return all.error();
        if (!common.json) return print(*all, options);
        print_json(*all);
        return exit_done;
    }
    std::optional<std::size_t> limit = longest_table;
    if (!options.limit.empty()) limit = read_limit(options.limit);
    if (!limit) return exit_usage;
    Json arguments = to_arguments(options);
    arguments["limit"] = *limit;
    return call(common, "bans", arguments,
                [&](const Json& result) { return print(result, options); });
}

}  // namespace

Run bans_command(CommandLine& line) {
    auto options = std::make_shared<Options>();
    line.text("-j,--jail", options->jail, "only of this jail");
    line.text("-p,--prefix,--within", options->within, "only what lies within this CIDR block");
    line.flag("--covering", options->covering, "with --within: and blocks that hold it");
    line.text("--country", options->country, "only of this country: DE (needs geoip)");
    line.text("--since", options->since, "only since: 2d, 12h, or 2026-11-21[ 03:05:50]");
    line.text("--reason", options->reason, "only with this text in their reason");
    line.choice("--sort", options->sort, {"from", "until", "ip", "jail", "hits"},
                "from, until, ip, jail or hits");
    line.flag("--reverse", options->reverse, "the other way round");
    line.text("--limit", options->limit,
              "show at most so many; else 10000 in a table, and all for programs");
    line.number("--skip", options->skip, "after so many that are not shown");
    line.choice("--format", options->format, {"table", "csv", "list"},
                "table; csv; or list: one address a line");
    return [options](const CommonOptions& common) { return bans(common, *options); };
}

}  // namespace bandd
