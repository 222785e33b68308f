// SPDX-License-Identifier: GPL-2.0-or-later
// Orders for many addresses at once: all are understood before the first one is given.
#pragma once

#include <expected>
#include <functional>
#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "core/base/instant.h"

namespace bandd {

inline constexpr std::size_t most_orders = 2'000'000;
inline constexpr std::size_t longest_reason = 1000;
inline constexpr std::size_t longest_listed_reason = 32'768;  // of a ban that was listed

// What `bandctl bans --json` tells of a ban, besides where it holds and until when.
struct ListedBan {
    std::optional<Instant> from = {};
    std::int64_t offence = 1, hits = 0;
    bool by_hand = true;
};

struct BulkOrder {
    std::string ip;
    std::string span;                   // how long; empty if nothing is said
    std::optional<Instant> until = {};  // or until when
    std::string reason;                 // may be empty
    std::string jail;                   // may be empty
    Place where;
    std::optional<ListedBan> listed = {};
    bool even_if_ignored = false;  // only a command with --force may have it so
};

struct Bulk {
    std::vector<BulkOrder> orders;
    std::vector<Error> bad;
    std::size_t over = 0;  // bans of a list whose time is over
};

// Lines of ADDRESS [END] [REASON], or what `bandctl bans --json` writes. END is a time (2h, 600,
// forever) or a date (2026-12-01, 2026-12-01T10:00:00Z), and so is each word in its place that
// begins with a digit. Empty lines and those with # are nothing.
// In JSON, `until` may be in seconds since 1970, too; what else such a line says is left out.
Bulk read_bulk(std::istream& in, Instant now);
// Those that want what only --force may give.
std::vector<Error> unforced(const Bulk& bulk);
// The words of a command line; `-` is standard input.
Bulk read_bulk(const std::vector<std::string>& words, Instant now);

// Says what is bad, and gives the exit code; exit_done if nothing is.
int refuse_bad(const std::vector<Error>& bad);

// Sends `count` orders in slices, each one made by `order_at`, and adds up the numbers that are
// answered. `refuse` gets the number of each that is refused. The error is the exit code, after
// what failed was said.
std::expected<Json, int> send_slices(
    const CommonOptions& common, const std::string& command, std::size_t count,
    const std::function<Json(std::size_t number)>& order_at, const Json& for_all,
    const std::function<void(std::size_t number, Error error)>& refuse,
    const std::function<void(std::size_t done, const Json& result)>& each = {});

// Sends `orders` in slices, with `for_all` where an order says nothing else, and adds up what is
// answered: "banned", "unbanned" and so on. Orders that are refused go to `refused`. The error is
// the exit code, after what failed was said.
std::expected<Json, int> send_orders(const CommonOptions& common, const std::string& command,
                                     const std::vector<BulkOrder>& orders, const Json& for_all,
                                     std::vector<Error>& refused);
// Asks bandd which of `orders` it would refuse, and carries out none.
std::expected<std::vector<Error>, int> find_refused(const CommonOptions& common,
                                                    const std::vector<BulkOrder>& orders,
                                                    Json for_all);

}  // namespace bandd
